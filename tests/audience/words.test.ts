import { describe, expect, it } from 'vitest'
import { noEngagements } from '../../src/audience/receptions.js'
import {
  fadedSentence,
  hasFaded,
  hasLeft,
  hasRisen,
  leftSentence,
  repliedSentence,
  roseSentence,
} from '../../src/audience/words.js'
import { mailto } from '../../src/audience/words-page.js'
import { testApp } from '../support/app.js'
import { aPerson } from '../support/person.js'
import { aContact, aList, aMailing, anEngagement } from './rows.js'

const day = 86_400_000
const now = 1000 * day

describe('the rules of who is worth a word', () => {
  it('takes a rise of 15 points to 35 or more', () => {
    const rise = { score: 50, score_before: 35, done_at: null }
    expect(hasRisen(rise, now)).toBe(true)
    expect(hasRisen({ ...rise, score: 49.9 }, now)).toBe(false)
    expect(hasRisen({ score: 34, score_before: 2, done_at: null }, now)).toBe(false)
    expect(hasRisen({ ...rise, score_before: null }, now)).toBe(false)
    expect(hasFaded(rise, now)).toBe(false)
    expect(hasFaded({ score: 35, score_before: 50, done_at: null }, now)).toBe(true)
    expect(hasFaded({ score: 0, score_before: 34, done_at: null }, now)).toBe(false)
  })

  it('takes it again only for a rise that began after the word', () => {
    const rise = { score: 60, score_before: 35 }
    expect(hasRisen({ ...rise, done_at: now - 29 * day }, now)).toBe(false)
    expect(hasRisen({ ...rise, done_at: now - 30 * day }, now)).toBe(true)
  })

  it('takes who left after long activity, once', () => {
    const leave = {
      subscribed_at: now - 400 * day,
      unsubscribed_at: now - 3 * day,
      mailings: 45,
      opens: 30,
      clicks: 31,
      done_at: null,
    }
    expect(hasLeft(leave, now)).toBe(true)
    expect(hasLeft({ ...leave, subscribed_at: null }, now)).toBe(true)
    expect(hasLeft({ ...leave, subscribed_at: now - 60 * day }, now)).toBe(false)
    expect(hasLeft({ ...leave, mailings: 9 }, now)).toBe(false)
    expect(hasLeft({ ...leave, opens: 4, clicks: 5 }, now)).toBe(false)
    expect(hasLeft({ ...leave, unsubscribed_at: now - 31 * day }, now)).toBe(false)
    expect(hasLeft({ ...leave, done_at: now - 2 * day }, now)).toBe(false)
    expect(hasLeft({ ...leave, done_at: now - 4 * day }, now)).toBe(true)
    const told = { ...noEngagements, ...leave, list: 'Slow Mornings', status: 'unsubscribed' }
    expect(leftSentence(told, { machines: false }, now)).toBe(
      'Left Slow Mornings 3 days ago, after 13 months, 45 mailings, 30 opens and 31 clicks.',
    )
  })

  it('says the reason with its numbers', () => {
    expect(roseSentence(31.4, 58, { ...noEngagements, opens: 4, clicks: 1 }, { machines: false })).toBe(
      'The score rose from 31 to 58 within 30 days, with 4 opens and 1 click.',
    )
    expect(fadedSentence(62, 41, now - 24 * day, now)).toBe(
      'The score fell from 62 to 41 within 30 days. The last sign of life was 24 days ago.',
    )
    expect(repliedSentence(1, 'Issue 112', now - 2 * day, now)).toBe('Replied to Issue 112 2 days ago.')
    expect(repliedSentence(3, 'Issue 112', now - 2 * day, now)).toBe(
      'Replied 3 times within 14 days, the last time to Issue 112 2 days ago.',
    )
  })

  it('opens the mail program with the address and nothing else in it', () => {
    expect(mailto('ada+news@fernmail.example')).toBe('mailto:ada%2Bnews@fernmail.example')
    expect(mailto('a?bcc=b@c.example')).toBe('mailto:a%3Fbcc%3Db@c.example')
  })
})

describe('the page Worth a word', () => {
  it('says of its opens and clicks what cannot be judged, and what is left out or counted in', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const now = app.clock.now()
    const list = await aList(app)
    const deeds = { opens: 8, unjudged_opens: 5, clicks: 4, unjudged_clicks: 1 }
    const machines = { proxy_opens: 2, machine_opens: 1, machine_clicks: 6 }
    const rose = await aContact(app, { score: 58, score_before: 31 })
    await app.db
      .insertInto('contact_days')
      .values({ contact_id: rose, day_on: '2026-11-20', ...noEngagements, ...deeds, ...machines })
      .execute()
    const left = await aContact(app, {
      email: 'b@b.example',
      mailings: 45,
      ...deeds,
      unjudged_clicks: 0,
      ...machines,
    })
    await app.db
      .insertInto('subscriptions')
      .values({
        list_id: list,
        contact_id: left,
        status: 'unsubscribed',
        subscribed_at: now - 400 * day,
        unsubscribed_at: now - 3 * day,
      })
      .execute()
    const people = (await http.get('/audience/words').expect(200)).text
    const leftOut = 'Left out: 3 opens and 6 clicks by machines or mail proxies.'
    expect(people).toContain(
      `with 8 opens and 4 clicks. Of these, 5 opens and 1 click cannot be judged. ${leftOut}`,
    )
    expect(people).toContain(
      `45 mailings, 8 opens and 4 clicks. Of these, 5 opens cannot be judged. ${leftOut}`,
    )
    expect(people).toContain('href="/audience/words?machines=1"')

    const all = (await http.get('/audience/words?machines=1').expect(200)).text
    const countedIn = 'Counted in: 3 opens and 6 clicks by machines or mail proxies.'
    expect(all).toContain(
      `with 11 opens and 10 clicks. Of these, 5 opens and 1 click cannot be judged. ${countedIn}`,
    )
    expect(all).toContain('45 mailings, 11 opens and 10 clicks.')
    expect(all).toContain('<input type="hidden" name="machines" value="1">')
    const done = { contact: String(left), reason: 'left', machines: '1' }
    const { headers } = await send('/audience/words/done', done).expect(303)
    expect(headers.location).toBe('/audience/words?machines=1#left')
  })

  it('names everybody with the reason and a way to write', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const now = app.clock.now()
    const list = await aList(app)
    const mailing = await aMailing(app)
    const ada = await aContact(app, { name: 'Ada', score: 58, score_before: 31 })
    await app.db
      .insertInto('contact_days')
      .values({
        contact_id: ada,
        day_on: '2026-11-20',
        ...noEngagements,
        opens: 4,
        clicks: 6,
      })
      .execute()
    await aContact(app, {
      email: 'ben@mossmail.example',
      score: 20,
      score_before: 40,
      last_active_at: now - 24 * day,
    })
    const cleo = await aContact(app, { email: 'cleo@mossmail.example' })
    await anEngagement(app, {
      contact_id: cleo,
      mailing_id: mailing,
      kind: 'replied',
      happened_at: now - 2 * day,
    })
    const dan = await aContact(app, { email: 'dan@mossmail.example', mailings: 45, opens: 30, clicks: 31 })
    await app.db
      .insertInto('subscriptions')
      .values({
        list_id: list,
        contact_id: dan,
        status: 'unsubscribed',
        subscribed_at: now - 400 * day,
        unsubscribed_at: now - 3 * day,
      })
      .execute()
    await aContact(app, { email: 'erased:9', score: 90, score_before: 10, erased_at: now })
    await aContact(app, {
      email: 'cross@mossmail.example',
      score: 90,
      score_before: 10,
      status: 'complained',
    })

    const page = await http.get('/audience/words').expect(200)

    expect(page.text).toContain('Replied to Issue 112 2 days ago.')
    expect(page.text).toContain('The score rose from 31 to 58 within 30 days, with 4 opens and 6 clicks.')
    expect(page.text).toContain(
      'The score fell from 40 to 20 within 30 days. The last sign of life was 24 days ago.',
    )
    expect(page.text).toContain('Left Slow Mornings 3 days ago')
    expect(page.text).toContain('href="mailto:ada@fernmail.example"')
    expect(page.text).not.toContain('erased:9')
    expect(page.text).not.toContain('cross@')
  })

  it('lets go of who is done, and brings them back for something newer', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const contact_id = await aContact(app)
    const mailing_id = await aMailing(app)
    await anEngagement(app, { contact_id, mailing_id, kind: 'replied' })
    const names = async () =>
      (await http.get('/audience/words').expect(200)).text.includes('Replied to Issue 112')
    expect(await names()).toBe(true)

    app.clock.pass(60_000)
    const done = await send('/audience/words/done', {
      contact: String(contact_id),
      reason: 'replied',
    }).expect(303)
    expect(done.headers.location).toBe('/audience/words#replied')
    expect(await names()).toBe(false)

    app.clock.pass(60_000)
    await anEngagement(app, { contact_id, mailing_id, kind: 'replied' })
    expect(await names()).toBe(true)

    await send('/audience/words/done', { contact: '99', reason: 'replied' }).expect(404)
    await send('/audience/words/done', { contact: String(contact_id), reason: 'liked' }).expect(422)
  })

  it('brings back for a reply that came before the word and is told after it', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const contact_id = await aContact(app)
    const first = await aMailing(app)
    const second = await aMailing(app, 'Issue 113')
    const now = app.clock.now()
    await anEngagement(app, { contact_id, mailing_id: first, kind: 'replied', happened_at: now - day })
    const page = async () => (await http.get('/audience/words').expect(200)).text
    const shown = /name="seen" value="(\d+)"/.exec(await page())![1]!
    // While the page stands there, one more comes in: nobody has seen it yet.
    await anEngagement(app, { contact_id, mailing_id: second, kind: 'replied', happened_at: now - 2 * day })
    const done = { contact: String(contact_id), reason: 'replied' }
    await send('/audience/words/done', { ...done, seen: shown }).expect(303)
    expect(await page()).toContain('Replied to Issue 113 2 days ago.')

    const seen = /name="seen" value="(\d+)"/.exec(await page())![1]!
    await send('/audience/words/done', { ...done, seen }).expect(303)
    expect(await page()).toContain('Nobody replied within 14 days.')
  })

  it('names who was deleted at the provider after long activity, and nobody whom the author banned', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const now = app.clock.now()
    const list = await aList(app)
    const active = { mailings: 45, opens: 30, clicks: 31, status: 'removed' }
    for (const [email, provider_status] of [
      ['gone@mossmail.example', ''],
      ['banned@mossmail.example', 'removed'],
    ] as const)
      await app.db
        .insertInto('subscriptions')
        .values({
          list_id: list,
          contact_id: await aContact(app, { ...active, email }),
          status: 'removed',
          provider_status,
          subscribed_at: now - 400 * day,
          unsubscribed_at: now - 3 * day,
        })
        .execute()

    const page = await http.get('/audience/words').expect(200)

    expect(page.text).toContain('Was deleted from Slow Mornings 3 days ago, after 13 months, 45 mailings')
    expect(page.text).toContain('gone@mossmail.example')
    expect(page.text).not.toContain('banned@mossmail.example')
  })
})
