import { Worker } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { testApp } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

/** Tables that grow with what people do. */
const engaged = 'engagements|receptions|contact_days|contact_tags|subscriptions|subscription_changes|events'

/** Everything that is asked of the database from here on, by the main thread and by the readers. */
function listen() {
  const prepare = vi.spyOn(Sqlite.prototype, 'prepare')
  const post = vi.spyOn(Worker.prototype, 'postMessage')
  onTestFinished(() => void vi.restoreAllMocks())
  return () => {
    const told = [
      ...prepare.mock.calls.map(([text]) => text),
      ...post.mock.calls.map(([message]) => (message as { sql?: string }).sql ?? ''),
    ]
    vi.restoreAllMocks()
    return [...new Set(told)].filter((text) => /^\s*(select|with|insert|update|delete)\b/i.test(text))
  }
}

function plansOf(path: string, texts: string[]) {
  const file = new Sqlite(path, { readonly: true })
  const plans = texts.map((text) => {
    const { length } = text.match(/\?/g) ?? []
    const steps = file.prepare(`explain query plan ${text}`).all(Array(length).fill(null))
    return { text, steps: (steps as { detail: string }[]).map(({ detail }) => detail) }
  })
  file.close()
  return plans
}

/** A step that reads a table through from one end to the other, be it by way of an index. */
const readsThrough = (tables: string) => new RegExp(`^SCAN (${tables})\\b`)
/** One that goes through the table itself. With an order and a limit, an index is read only as far as the page goes. */
const withoutIndex = (tables: string) => new RegExp(`^SCAN (${tables})(?!.* USING )`)

/** What a query makes for itself may bear the name of a table, and is as short as the query lets it be. */
const madeHere = (steps: string[]) =>
  steps.flatMap((step) => /^(?:CO-ROUTINE|MATERIALIZE) (\w+)/.exec(step)?.[1] ?? [])
/** The newest rows of a table stand at its end. */
const newestFirst = /order by "id" desc limit \?$/

const wrong = (plans: ReturnType<typeof plansOf>, ...patterns: RegExp[]) =>
  plans.flatMap(({ text, steps }) => {
    const made = madeHere(steps)
    return steps
      .filter((step) => patterns.some((pattern) => pattern.test(step)))
      .filter((step) => !made.includes(step.split(' ')[1]!) && !newestFirst.test(text))
      .map((step) => ({ step, text }))
  })

async function anAudience() {
  const app = await testApp()
  const list = await aList(app)
  const mailing = await aMailing(app, { list_id: list.id })
  const contact = await aContact(app, { name: 'Ada' })
  await app.db
    .insertInto('subscriptions')
    .values({ list_id: list.id, contact_id: contact.id, status: 'subscribed', subscribed_at: 1 })
    .execute()
  await app.audience.retag({ contacts: [contact.id], add: ['press'], remove: [] })
  for (const kind of ['delivered', 'opened', 'clicked', 'replied'] as const)
    await anEngagement(app, {
      contactId: contact.id,
      mailingId: mailing.id,
      kind,
      url: kind === 'clicked' ? 'https://longline.example/' : null,
    })
  await app.scoring.runAll()
  return app
}

describe('the plans of queries', () => {
  it.each([
    '/audience',
    '/audience?machines=1',
    '/audience?band=active',
    '/audience/ranking',
    '/audience/1',
    '/audience/activity',
    '/audience/activity?machines=1',
    '/audience/activity?kind=replied',
    '/audience/activity?mailing=1',
    '/audience/activity?contact=1',
    '/audience/words',
    '/mailings',
    '/mailings/1',
    '/mailings/1/counts',
    '/mailings/1/counts?machines=1',
    '/mailings/1/people?who=opened',
  ])('read nothing through that grows with what people do, for %s', async (path) => {
    const app = await anAudience()
    const person = await aPerson(app)
    const asked = listen()
    await person.part(path).expect(200)
    await person.http.get(path).expect(200)
    const plans = plansOf(app.path, asked())
    expect(plans.length).toBeGreaterThan(0)
    expect(wrong(plans, readsThrough(`${engaged}|inbox`), withoutIndex('contacts'))).toEqual([])
  })

  it.each([
    '/audience?tag=press',
    '/audience?tag=press&not=patron',
    '/audience?list=1&status=subscribed',
    '/audience?q=ada',
  ])('read no more than the contacts through, for %s', async (path) => {
    const app = await anAudience()
    const person = await aPerson(app)
    const asked = listen()
    await person.http.get(path).expect(200)
    expect(wrong(plansOf(app.path, asked()), readsThrough(engaged))).toEqual([])
  })

  it('read nothing through when an engagement is recorded, told again, completed, moved or erased', async () => {
    const asked = listen() // statements are prepared once
    const app = await anAudience()
    const fact = { contactId: 1, mailingId: 1, kind: 'opened', happenedAt: 5_000 } as const
    for (const providerId of [null, 'one', 'one', null, 'two'])
      await anEngagement(app, { ...fact, providerId })
    await anEngagement(app, {
      ...fact,
      kind: 'clicked',
      url: 'https://longline.example/?to=ada@fernmail.example',
    })
    await app.audience.mergeContacts({
      from: (await aContact(app, { email: 'ben@mail.example' })).id,
      into: 1,
    })
    await app.audience.erase(1)
    const plans = plansOf(app.path, asked())
    expect(plans.length).toBeGreaterThan(10)
    // Deliveries about nobody have an index of their own, and are few.
    expect(wrong(plans, readsThrough(`contacts|${engaged}`), withoutIndex('inbox'))).toEqual([])
    // An index of one kind holds a good part of all engagements: it may be asked for the last of a mailing at the most.
    expect(wrong(plans, /USING (COVERING )?INDEX engagements_by_kind/)).toEqual([])
  })
})
