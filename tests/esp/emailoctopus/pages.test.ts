import { describe, expect, it } from 'vitest'
import { readSetting, writeSetting } from '../../../src/database/settings.js'
import { aPerson } from '../../support/person.js'
import { bytesOf, deliveredUntil, expectProgress, words } from '../provider-page.js'
import { aConnectedOctopus, webhookSecret } from './connected.js'

const home = '/providers/emailoctopus'
const minute = 60_000
const hour = 60 * minute

/** An application that nobody has connected yet, beside a stand-in EmailOctopus, and somebody who has logged in. */
async function beforeConnecting(env: Record<string, string> = {}) {
  const app = await aConnectedOctopus({
    env: {
      BASE_URL: 'http://track.example',
      EMAILOCTOPUS_API_KEY: '',
      EMAILOCTOPUS_WEBHOOK_SECRET: '',
      ...env,
    },
  })
  const person = await aPerson(app, { remember: true })
  return {
    ...app,
    person,
    page: async (path = '') => (await person.http.get(home + path).expect(200)).text,
    saveKey: () => person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303),
    /** Waits for the run that a page has started. */
    ended: () => app.emailOctopus.sync.performWaiting(),
  }
}

/** A list with two readers and a campaign that one of them has opened. */
function fill({ world, clock }: Pick<Awaited<ReturnType<typeof beforeConnecting>>, 'world' | 'clock'>) {
  const list = world.addList({ name: 'Weekly letter', at: clock.now() - 90 * 24 * hour })
  const at = clock.now() - 50 * 24 * hour
  const ada = world.addContact(list, { email: 'ada@fernmail.example', at })
  const ben = world.addContact(list, { email: 'ben@fernmail.example', at })
  const campaign = world.addCampaign({ subject: 'Issue 1', lists: [list], at: clock.now() - 2 * hour })
  world.open(campaign, ada, { at: clock.now() - hour })
  return { list, ada, ben, campaign }
}

describe('the API key', () => {
  it('is all that a first sync needs, and is kept sealed', async () => {
    const app = await beforeConnecting()
    fill(app)
    const before = await app.page()
    expect(before).toMatch(/class="path__now"><strong>API key/)
    expect(words(before)).toContain('Keys made before October 2024 do not work.')

    const release = app.standIn.hold()
    const saving = app.person
      .send(`${home}/key`, { api_key: `  ${app.standIn.key}\n` })
      .expect(303)
      .then(() => app.page())
    await app.standIn.arrived(1)
    release()
    const after = await saving
    expect(words(after)).toContain('The key works, and is saved. The first sync has begun.')
    expect(after).toMatch(/class="path__done"><strong>API key/)
    expect(after).not.toContain(app.standIn.key)
    await app.ended()
    const done = await app.page()
    expect(words(done)).toContain('2 contacts, 1 mailing and 3 events of the past are here.')
    expect(done).toMatch(/class="path__now"><strong>Webhook/)

    await app.saveKey()
    expect(words(await app.page())).toContain('The key works, and is saved.')
    const runs = await app.db.selectFrom('sync_runs').select(['kind', 'asked_by', 'state']).execute()
    expect(runs).toEqual([{ kind: 'first', asked_by: 'maren', state: 'done' }])

    const kept = await readSetting(app.db, 'emailoctopus_api_key')
    expect(kept).toMatch(/^[\w-]{40,}$/)
    const { dataDir, standIn } = app
    await app.stop()
    expect(bytesOf(dataDir, 'throughline.db')).not.toContain(standIn.key)
    expect(bytesOf(dataDir, 'throughline.db')).toContain(kept)
  })

  it('is not kept when EmailOctopus refuses it, and the sentence stands at the field', async () => {
    const app = await beforeConnecting()
    const [legacy] = app.standIn.legacyKeys
    const refused = await app.person.send(`${home}/key`, { api_key: legacy! }).expect(422)
    expect(refused.text).toMatch(/id="api_key-error">.*keys made before October 2024 do not work/s)
    expect(refused.text).toMatch(/id="api_key"[^>]*aria-invalid="true"[^>]*autofocus/s)
    expect(refused.text).not.toContain(legacy)
    expect(await app.emailOctopus.apiKey.source()).toBe('nowhere')
    for (const [api_key, sentence] of [
      [' ', 'Paste the key.'],
      ['two words', 'An API key is one word of letters, digits and hyphens.'],
    ] as const) {
      const wrong = await app.person.send(`${home}/key`, { api_key }).expect(422)
      expect(words(wrong.text)).toContain(sentence)
    }
    expect(app.standIn.requests).toHaveLength(1)
    expect(await app.db.selectFrom('sync_runs').select('id').execute()).toEqual([])
  })

  it('is not kept when it belongs to another account, whose sync would find every list gone', async () => {
    const app = await beforeConnecting()
    const { list } = fill(app)
    await app.saveKey()
    await app.ended()
    app.world.foreign.add(list.id)
    const refused = await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(422)
    expect(words(refused.text)).toContain('This key belongs to another account than the lists that are here.')
    app.world.foreign.delete(list.id)
    await app.saveKey()
  })

  it('can be tried whenever somebody doubts it', async () => {
    const app = await beforeConnecting()
    await app.person.send(`${home}/key/trial`, {}).expect(303)
    expect(words(await app.page())).toContain('There is no API key for EmailOctopus yet.')
    await app.saveKey()
    await app.ended()
    await app.person.send(`${home}/key/trial`, {}).expect(303)
    expect(words(await app.page())).toContain('The key works.')
    await app.emailOctopus.apiKey.save('another-key')
    const refused = await app.person.send(`${home}/key/trial`, {}).expect(422)
    expect(words(refused.text)).toContain('The key was tried, and does not work. The key was refused:')
    expect(refused.text).not.toContain('another-key')
  })

  it('has no form when the environment has it, and can be entered again when it cannot be read', async () => {
    const app = await beforeConnecting({ EMAILOCTOPUS_API_KEY: 'eo_of-the-environment' })
    const page = await app.page()
    expect(words(page)).toContain('It is set through EMAILOCTOPUS_API_KEY, and is changed there.')
    expect(page).not.toContain('id="api_key"')
    expect(words(page)).toContain('Try the key')
    await app.person.send(`${home}/key`, { api_key: 'something' }).expect(422)
    expect(await readSetting(app.db, 'emailoctopus_api_key')).toBeUndefined()

    const other = await beforeConnecting()
    await writeSetting(other.db, 'emailoctopus_api_key', 'sealed-under-another-secret')
    await writeSetting(other.db, 'emailoctopus_webhook_secret', 'sealed-under-another-secret')
    const unreadable = words(await other.page())
    expect(unreadable).toContain('The key that was entered cannot be read any more.')
    expect(unreadable).toContain('The signing key that was kept cannot be read any more.')
    await other.saveKey()
    await other.ended()
    await other.person.send(`${home}/key/removal`, {}).expect(303)
    expect(await other.emailOctopus.apiKey.source()).toBe('nowhere')
  })
})

describe('the sync', () => {
  it('shows how far it is while it runs, and what it brought', async () => {
    const app = await beforeConnecting({ EMAILOCTOPUS_REQUESTS_PER_SECOND: '10' })
    fill(app)
    await app.saveKey()
    await app.ended()
    app.clock.pass(5 * minute)

    const release = app.standIn.hold()
    const asked = app.standIn.requests.length
    await app.person.send(`${home}/sync`, { from: 'sync' }).expect(303).expect('Location', `${home}/sync`)
    await app.standIn.arrived(asked + 1)
    const running = await app.page('/sync')
    expect(running).toContain('hx-trigger="every 2s, refresh"')
    expect(words(running)).toContain('EmailOctopus is syncing')
    expect(words(running)).toContain('Step 1 of 6: lists')
    await expectProgress(app.person, `${home}/sync/progress`)
    // A second one joins the first.
    await app.person.send(`${home}/sync`, { from: 'sync' }).expect(303)

    release()
    await app.ended()
    const done = words(await app.page('/sync'))
    expect(done).toContain('Synced just now')
    expect(done).toMatch(/Done First sync by maren 2 new contacts, 1 new mailing, new numbers of 1 mailing/)
    expect(done).toMatch(/Done By hand by maren Nothing changed/)
    expect(done).toContain('Every hour a sync brings what is new')
    expect(done).toContain('The next one starts in 55 min.')
    app.clock.pass(56 * minute)
    expect(words(await app.page('/sync'))).toContain('The next one starts within five minutes.')
    await app.emailOctopus.scheduled()
    expect(words(await app.page('/sync'))).toMatch(/Done Scheduled Nothing changed/)
    expect(await app.db.selectFrom('sync_runs').select('id').execute()).toHaveLength(3)
  })

  it('says as soon as every campaign has its numbers, and how many requests are left', async () => {
    const app = await beforeConnecting({ EMAILOCTOPUS_REQUESTS_PER_SECOND: '10' })
    const running = (kind: string, stage: string) =>
      app.db
        .insertInto('sync_runs')
        .values({
          provider: 'emailoctopus',
          kind,
          state: 'running',
          asked_by: 'maren',
          started_at: app.clock.now() - minute,
          seen_at: app.clock.now(),
          progress: JSON.stringify({
            stage,
            stages: { campaigns: { done: 61, of: 61 }, [stage]: { done: 12_000, of: 48_000 } },
            since: { at: app.clock.now() - 40_000, done: 2_000 },
            requests: 431,
            remaining: 61.8,
          }),
        })
        .execute()
    await running('first', 'contacts')
    const page = words(await app.page('/sync'))
    expect(page).toContain('Step 5 of 6: contacts')
    expect(page).toContain('about 2 min left in this step')
    expect(page).toMatch(/Campaigns 61 .*Contacts 12,000 of 48,000/)
    expect(page).toContain('Requests 431 61 left of 100, 10 more each second')
    expect(page).toContain('Every campaign and its numbers are here.')
    await app.db.deleteFrom('sync_runs').execute()
    await running('first', 'summaries')
    expect(words(await app.page('/sync'))).not.toContain('Every campaign and its numbers are here.')
    await app.db.deleteFrom('sync_runs').execute()
    await running('manual', 'contacts')
    expect(words(await app.page('/sync'))).not.toContain('Every campaign and its numbers are here.')
  })

  it('can be cancelled, and goes on where it was', async () => {
    const app = await beforeConnecting()
    const { list } = fill(app)
    for (let i = 0; i < 120; i++) app.world.addContact(list, { email: `reader${i}@fernmail.example` })
    await app.person.send(`${home}/sync`, {}).expect(303).expect('Location', home)
    expect(words(await app.page())).toContain('There is no API key for EmailOctopus yet.')
    expect(words(await app.page('/sync'))).toContain('There is no API key yet.')
    await app.emailOctopus.apiKey.save(app.standIn.key)
    const release = app.standIn.hold()
    await app.person.send(`${home}/sync`, {}).expect(303)
    await app.standIn.arrived(1)
    const performing = app.ended()
    await app.person.send(`${home}/sync/cancellation`, { from: 'sync' }).expect(303)
    release()
    await performing
    const page = words(await app.page('/sync'))
    expect(page).toContain('The last sync was cancelled')
    expect(page).toContain('It goes on where it was.')
    await app.person.send(`${home}/sync`, {}).expect(303)
    await app.ended()
    expect(words(await app.page('/sync'))).toContain('122 new contacts')
  })

  it('lists what it could not fetch on both pages, until somebody forgets it', async () => {
    const app = await beforeConnecting()
    const { list } = fill(app)
    const other = app.world.addList({ name: 'Northwind news' })
    for (const { id } of [list, other]) app.world.foreign.add(id)
    await app.saveKey()
    await app.ended()
    expect(words(await app.page('/sync'))).toContain('Done, 2 failures')
    for (const path of ['/sync', '/failures'])
      expect(words(await app.page(path))).toContain('List Northwind news')
    expect(words(await app.page())).toContain('Failures 2')

    const [one] = await app.db.selectFrom('sync_failures').select(['id', 'what']).orderBy('id').execute()
    await app.person
      .send(`${home}/sync/failures`, { id: String(one!.id), from: 'failures' })
      .expect(303)
      .expect('Location', `${home}/failures#could-not`)
    const rest = words(await app.page('/failures'))
    const left = await app.db
      .selectFrom('sync_failures')
      .select('what')
      .where('settled_at', 'is', null)
      .execute()
    expect(left).toHaveLength(1)
    expect(rest).toContain(left[0]!.what)
    expect(rest).not.toContain(one!.what)
    await app.person
      .send(`${home}/sync/failures`, { from: 'sync' })
      .expect(303)
      .expect('Location', `${home}/sync#could-not`)
    expect(words(await app.page('/sync'))).not.toContain('What could not be fetched')
  })

  it('says why a run failed', async () => {
    const app = await beforeConnecting({ EMAILOCTOPUS_API_KEY: 'eo_of-nobody' })
    await app.person.send(`${home}/sync`, {}).expect(303)
    await app.ended()
    expect(words(await app.page('/sync'))).toMatch(/The last sync failed .*The key was refused:/)
    expect(words(await app.page())).toContain('It stopped: The key was refused:')
  })
})

describe('the period', () => {
  it('is an hour, or a day where somebody wants fewer requests', async () => {
    const app = await beforeConnecting()
    await app.saveKey()
    await app.ended()
    expect(await app.page()).toMatch(/value="hourly" checked/)
    const wrong = await app.person.send(`${home}/period`, { period: 'yearly' }).expect(422)
    expect(words(wrong.text)).toContain('Choose how often to sync')
    await app.person.send(`${home}/period`, { period: 'daily' }).expect(303)
    const page = await app.page()
    expect(words(page)).toContain('A sync starts once a day from now on.')
    expect(page).toMatch(/value="daily" checked/)
    expect(words(await app.page('/sync'))).toContain('Once a day a sync brings what is new')
    app.clock.pass(2 * hour)
    await app.emailOctopus.scheduled()
    expect(await app.db.selectFrom('sync_runs').select('id').execute()).toHaveLength(1)
    app.clock.pass(22 * hour)
    await app.emailOctopus.scheduled()
    expect(await app.db.selectFrom('sync_runs').select('id').execute()).toHaveLength(2)
  })
})

describe('the webhook', () => {
  it('is set up by hand: the address, the steps, the signing key, and the first delivery is seen', async () => {
    const app = await beforeConnecting()
    const { campaign, ben } = fill(app)
    await app.saveKey()
    await app.ended()
    const before = await app.page()
    expect(before).toContain('<code id="webhook-url">http://track.example/webhooks/emailoctopus</code>')
    expect(words(before)).toContain('Integrations &amp; APIs, then Webhooks, and press Add endpoint')
    expect(words(before)).toContain('Deliveries travel readable over plain http.')

    const early = app.world.open(campaign, ben)
    await app.deliver([early]).expect(401)
    app.clock.pass(minute)
    expect(words(await app.page())).toContain(
      'A delivery of contact.opened arrived 1 min ago: no signing key is configured here.',
    )
    await app.person.send(`${home}/signing-key`, { signing_key: 'x'.repeat(256) }).expect(422)
    await app.person.send(`${home}/signing-key`, { signing_key: webhookSecret }).expect(303)
    const waiting = await app.page()
    expect(waiting).toMatch(/class="path__done"><strong>Webhook/)
    expect(waiting).toMatch(/class="path__now"><strong>First delivery/)
    expect(waiting).not.toContain(webhookSecret)

    await app.deliver([early]).expect(200)
    app.clock.pass(240)
    await app.read()
    const part = await app.person.part(`${home}/deliveries`).expect(200)
    expect(words(part.text)).toContain('Half are read within 240 ms')
    expect(words(part.text)).toMatch(/contact\.opened ben@fernmail\.example Read 240 ms just now/)
    const steps = await app.person.part(`${home}/steps`).expect(200)
    expect(words(steps.text)).toContain('Connected')
    const { dataDir } = app
    await app.stop()
    expect(bytesOf(dataDir, 'throughline.db')).not.toContain(webhookSecret)
  })

  it('says when deliveries have stopped', async () => {
    const app = await beforeConnecting({ EMAILOCTOPUS_WEBHOOK_SECRET: webhookSecret })
    await deliveredUntil(app, 'emailoctopus', app.clock.now() - 5 * minute)
    expect(words(await app.page())).not.toContain('Silent')
    app.clock.pass(3 * hour)
    for (const path of ['', '/sync'])
      expect(words(await app.page(path))).toContain('Silent for 3 h, usually 5 min.')
    expect(words(await app.page())).toContain('The signing key is set through EMAILOCTOPUS_WEBHOOK_SECRET')
  })

  it('does not say what is usual where too few deliveries have come to know', async () => {
    const app = await beforeConnecting({ EMAILOCTOPUS_WEBHOOK_SECRET: webhookSecret })
    const { campaign, ada } = fill(app)
    await app.deliver([app.world.open(campaign, ada)]).expect(200)
    app.clock.pass(11 * 24 * hour)
    const page = words(await app.page())
    expect(page).toContain('Silent for 11 days.')
    expect(page).not.toContain('usually')
  })
})

describe('failed deliveries', () => {
  it('stand with their reason and what they said, and are tried again', async () => {
    const app = await beforeConnecting({ EMAILOCTOPUS_WEBHOOK_SECRET: webhookSecret })
    expect(words(await app.page('/failures'))).toContain('None.')
    const { campaign, ada, ben } = fill(app)
    const opened = [app.world.open(campaign, ada), app.world.open(campaign, ben)]
    await app.deliver(opened).expect(200)
    // Nobody can be asked which campaign it is: there is no key.
    for (const pause of [0, minute, 5 * minute, 30 * minute, 2 * hour, 6 * hour]) {
      app.clock.pass(pause)
      await app.read()
    }
    const page = await app.page('/failures')
    expect(words(page)).toMatch(/contact\.opened .*Nobody knows this campaign yet/)
    expect(words(page)).toContain(campaign.id)
    expect(words(await app.page())).toContain('Failures 2')

    await app.emailOctopus.apiKey.save(app.standIn.key)
    await app.person.send(`${home}/failures`, {}).expect(303)
    expect(words(await app.page('/failures'))).toContain('2 deliveries are read again now.')
    await app.read()
    expect(words(await app.page('/failures'))).toContain('None.')
    const people = await app.db.selectFrom('engagements').select('contact_id').distinct().execute()
    expect(people).toHaveLength(2)
  })
})

describe('the pages of EmailOctopus', () => {
  it('are for people who have logged in, and take forms from our pages alone', async () => {
    const app = await beforeConnecting()
    for (const path of ['', '/sync', '/failures']) await app.http.get(home + path).expect(303)
    await app.person.http.post(`${home}/key`).type('form').send({ api_key: app.standIn.key }).expect(403)
    await app.person.http.post(`${home}/period`).type('form').send({ period: 'daily' }).expect(403)
    expect(await app.emailOctopus.apiKey.source()).toBe('nowhere')
  })

  it('are found in the menu and from the rooms that are empty', async () => {
    const app = await beforeConnecting()
    for (const path of ['/audience', '/mailings']) {
      const { text } = await app.person.http.get(path).expect(200)
      expect(text).toContain('<a href="/providers/emailoctopus">EmailOctopus</a>')
      expect(text).toContain('href="/providers/emailoctopus">Connect EmailOctopus</a>')
    }
  })
})

it('tries a key within the one limit of everything that calls', async () => {
  const app = await aConnectedOctopus()
  app.standIn.weather.limit = { capacity: 3, perSecond: 1 }
  await app.emailOctopus.tryKey(app.standIn.key)
  expect((await app.emailOctopus.api())!.remaining).toBe(2)
})
