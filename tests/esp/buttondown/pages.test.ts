import { describe, expect, it, onTestFinished } from 'vitest'
import { readSetting, writeSetting } from '../../../src/database/settings.js'
import { aFolder, testApp } from '../../support/app.js'
import { startButtondown } from '../../support/buttondown.js'
import { aPerson } from '../../support/person.js'
import { bytesOf, deliveredUntil, expectProgress, words } from '../provider-page.js'

const home = '/providers/buttondown'
const signingKey = 'a-signing-key-of-our-own'

/** An application that nobody has connected yet, beside a stand-in Buttondown, and somebody who has logged in. */
async function beforeConnecting(env: Record<string, string> = {}, dataDir = aFolder()) {
  const standIn = await startButtondown()
  onTestFinished(() => standIn.close())
  const app = await testApp({
    dataDir,
    env: {
      BASE_URL: 'http://track.example',
      BUTTONDOWN_API_URL: standIn.url,
      BUTTONDOWN_REQUESTS_PER_MINUTE: '0',
      ...env,
    },
  })
  const person = await aPerson(app)
  return {
    ...app,
    person,
    standIn,
    world: standIn.world,
    page: async (path = '') => (await person.http.get(home + path).expect(200)).text,
    deliver(happening: Parameters<typeof standIn.body>[0], key = signingKey) {
      const body = standIn.body(happening)
      return app.http
        .post('/webhooks/buttondown')
        .set('Content-Type', 'application/json')
        .set(standIn.signature(body, key))
        .send(body)
    },
  }
}

describe('the API key', () => {
  it('is asked for first, tried, and kept sealed', async () => {
    const app = await beforeConnecting()
    const before = await app.page()
    expect(before).toMatch(/class="path__now"><strong>API key/)
    expect(words(before)).toContain('permission to read subscribers and emails')

    await app.person.send(`${home}/key`, { api_key: `  ${app.standIn.key}\n` }).expect(303)
    const after = await app.page()
    expect(words(after)).toContain('The key is saved. It belongs to “The Long Line”.')
    expect(after).toMatch(/class="path__done"><strong>API key/)
    expect(after).toMatch(/class="path__now"><strong>First sync/)
    expect(after).not.toContain(app.standIn.key)

    const kept = await readSetting(app.db, 'buttondown_api_key')
    expect(kept).toMatch(/^[\w-]{40,}$/)
    const { dataDir } = app
    await app.stop()
    expect(bytesOf(dataDir, 'throughline.db')).not.toContain(app.standIn.key)
    expect(bytesOf(dataDir, 'throughline.db')).toContain(kept)
  })

  it('is not kept when Buttondown refuses it, and the sentence stands at the field', async () => {
    const app = await beforeConnecting()
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    const kept = await readSetting(app.db, 'buttondown_api_key')
    const refused = await app.person.send(`${home}/key`, { api_key: 'some-other-key' }).expect(422)
    expect(refused.text).toMatch(/id="api_key-error">.*Buttondown refuses the API key/s)
    expect(refused.text).toMatch(/id="api_key"[^>]*aria-invalid="true"[^>]*autofocus/s)
    expect(refused.text).not.toContain('some-other-key')
    expect(await readSetting(app.db, 'buttondown_api_key')).toBe(kept)

    const none = await app.person.send(`${home}/key`, { api_key: ' ' }).expect(422)
    expect(words(none.text)).toContain('Paste the key.')
    const odd = await app.person.send(`${home}/key`, { api_key: 'two words' }).expect(422)
    expect(words(odd.text)).toContain('An API key is one word of letters, digits and hyphens.')
  })

  it('may be a limited one that does not tell whose it is', async () => {
    const app = await beforeConnecting()
    app.standIn.weather.forbidden = ['accounts', 'newsletters', 'webhooks']
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    expect(words(await app.page())).toContain('The key is saved. It works, and may not tell whose it is.')
  })

  it('is refused when it belongs to another newsletter than the one that is here', async () => {
    const app = await beforeConnecting()
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    await app.buttondown.sync.ask('the test')
    await app.buttondown.sync.performWaiting()
    Object.assign(app.world.newsletter, { id: app.world.newId(), name: 'Another Letter' })
    const refused = await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(422)
    expect(words(refused.text)).toContain(
      'This key is for “Another Letter”. What is here came from “The Long Line”',
    )
  })

  it('has no form when the environment has it, and can be entered again when it cannot be read', async () => {
    const app = await beforeConnecting({ BUTTONDOWN_API_KEY: 'stand-in-key-0001' })
    const page = await app.page()
    expect(words(page)).toContain('It is set through BUTTONDOWN_API_KEY, and is changed there.')
    expect(page).not.toContain('id="api_key"')
    const refused = await app.person.send(`${home}/key`, { api_key: 'something' }).expect(422)
    expect(refused.text).not.toContain('name="api_key"')
    expect(await readSetting(app.db, 'buttondown_api_key')).toBeUndefined()

    const other = await beforeConnecting()
    await writeSetting(other.db, 'buttondown_api_key', 'sealed-under-another-secret')
    await writeSetting(other.db, 'buttondown_signing_key', 'sealed-under-another-secret')
    const unreadable = await other.page()
    expect(words(unreadable)).toContain('The key that was entered cannot be read any more.')
    expect(words(unreadable)).toContain('The signing key that was kept cannot be read any more.')
    await other.person.send(`${home}/key`, { api_key: other.standIn.key }).expect(303)
    expect(await other.buttondown.apiKey.read()).toBe(other.standIn.key)
    await other.person.send(`${home}/key/removal`, {}).expect(303)
    expect(await other.buttondown.apiKey.source()).toBe('nowhere')
  })

  it('brings along what the newsletter says against counting', async () => {
    const app = await beforeConnecting()
    Object.assign(app.world.newsletter, { testMode: true, features: ['webhooks'] })
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    const page = words(await app.page())
    expect(page).toContain('The newsletter is in test mode.')
    expect(page).toContain('The newsletter does not track opens and clicks.')
  })
})

describe('the sync', () => {
  it('runs from the page, shows how far it is, and says what it brought', async () => {
    const app = await beforeConnecting()
    const ada = app.world.addSubscriber({ email: 'ada@fernmail.example' })
    app.world.addSubscriber({ email: 'ben@fernmail.example' })
    const email = app.world.addEmail({ subject: 'Issue 1' })
    app.world.addEvent({ type: 'delivered', subscriber: ada, email })
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    expect(words(await app.page('/sync'))).toContain('Start the first sync')

    const release = app.standIn.hold()
    const asked = app.standIn.requests.length
    await app.person.send(`${home}/sync`, { from: 'sync' }).expect(303).expect('Location', `${home}/sync`)
    await app.standIn.arrived(asked + 1)
    const running = await app.page('/sync')
    expect(running).toContain('hx-trigger="every 2s, refresh"')
    expect(words(running)).toContain('by maren')
    await expectProgress(app.person, `${home}/sync/progress`)

    release()
    await app.buttondown.sync.performWaiting()
    const done = await app.page('/sync')
    expect(done).toContain('hx-trigger="every 10s, refresh"')
    expect(words(done)).toContain('Synced just now')
    expect(words(done)).toContain('2 new contacts, 1 new mailing, 1 event')
    expect(words(done)).toContain('Every night at 02:15 (UTC)')
    expect(words(await app.page())).toContain('2 contacts, 1 mailing and 1 event of the past are here.')

    await app.person.send(`${home}/sync`, {}).expect(303).expect('Location', home)
    await app.buttondown.sync.performWaiting()
    expect(words(await app.page('/sync'))).toMatch(/Done +By hand by maren Nothing changed/)
    await app.person.send(`${home}/sync`, { all: '1' }).expect(303)
    await app.buttondown.sync.performWaiting()
    expect((await app.page('/sync')).match(/First sync/g)?.length).toBe(2)
  })

  it('can be cancelled, and goes on where it was', async () => {
    const app = await beforeConnecting()
    for (let i = 0; i < 120; i++) app.world.addSubscriber({ email: `reader${i}@fernmail.example` })
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    const release = app.standIn.hold()
    const asked = app.standIn.requests.length
    await app.person.send(`${home}/sync`, {}).expect(303)
    await app.standIn.arrived(asked + 1)
    const performing = app.buttondown.sync.performWaiting()
    await app.person.send(`${home}/sync/cancellation`, { from: 'sync' }).expect(303)
    release()
    await performing
    const page = words(await app.page('/sync'))
    expect(page).toContain('The last sync was cancelled')
    expect(page).toContain('It goes on where it was.')
    expect(words(await app.page())).toContain('It was cancelled, and goes on where it was.')
    await app.person.send(`${home}/sync`, {}).expect(303)
    await app.buttondown.sync.performWaiting()
    expect(words(await app.page('/sync'))).toContain('120 new contacts')
  })

  it('asks for the key where there is none, and says why a run failed', async () => {
    const app = await beforeConnecting()
    await app.person.send(`${home}/sync`, {}).expect(303).expect('Location', home)
    expect(words(await app.page())).toContain('There is no API key for Buttondown yet.')
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    app.standIn.weather.forbidden = ['subscribers']
    await app.person.send(`${home}/sync`, {}).expect(303)
    await app.buttondown.sync.performWaiting()
    const sentence = 'This API key may not read the subscribers.'
    expect(words(await app.page('/sync'))).toContain(`The last sync failed`)
    expect(words(await app.page('/sync'))).toContain(sentence)
    expect(words(await app.page())).toContain(`It stopped: ${sentence}`)
  })

  it('lists what could not be fetched until somebody forgets it', async () => {
    const app = await beforeConnecting()
    const gone = app.world.addSubscriber({ email: 'gone@fernmail.example' })
    const email = app.world.addEmail({ subject: 'Issue 1' })
    app.world.addEvent({ type: 'opened', subscriber: gone, email })
    app.world.deleteSubscriber(gone)
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    await app.person.send(`${home}/sync`, {}).expect(303)
    await app.buttondown.sync.performWaiting()
    const page = words(await app.page('/sync'))
    expect(page).toContain('Done, 1 failure')
    expect(page).toContain(`Subscriber ${gone.id}`)
    const { id } = await app.db.selectFrom('sync_failures').select('id').executeTakeFirstOrThrow()
    await app.person.send(`${home}/sync/failures`, { id: String(id) }).expect(303)
    expect(words(await app.page('/sync'))).not.toContain('What could not be fetched')
  })
})

describe('the webhook', () => {
  it('is registered by a button, and the first delivery is seen', async () => {
    const app = await beforeConnecting()
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    const before = await app.page()
    expect(before).toContain('<code id="webhook-url">http://track.example/webhooks/buttondown</code>')
    expect(words(before)).toContain('Register the webhook')
    await app.person.send(`${home}/webhook`, {}).expect(303)
    const [webhook] = app.standIn.webhooks
    expect(webhook).toMatchObject({ status: 'enabled', url: app.buttondown.webhookUrl })
    const page = await app.page()
    expect(words(page)).toContain('Registered, switched on, signed with our key.')
    expect(page).not.toContain(webhook!.signingKey)

    const ada = app.world.addSubscriber({ email: 'ada@fernmail.example' })
    await app.buttondown.sync.ask('the test')
    await app.buttondown.sync.performWaiting()
    const clicked = app.world.addEvent({ type: 'clicked', subscriber: ada })
    await app.deliver(clicked, webhook!.signingKey).expect(200)
    app.clock.pass(240)
    await app.buttondown.deliveries.run()
    const part = await app.person.part(`${home}/deliveries`).expect(200)
    expect(words(part.text)).toContain('Half are read within 240 ms')
    expect(words(part.text)).toMatch(/subscriber\.clicked ada@fernmail\.example Read 240 ms just now/)
    const steps = await app.person.part(`${home}/steps`).expect(200)
    expect(words(steps.text)).toContain('Connected')
    expect(steps.text).toContain('every 10s')
  })

  it('says in a sentence why it could not be registered, and how it is done by hand', async () => {
    const app = await beforeConnecting()
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    app.standIn.weather.forbidden = ['webhooks']
    const refused = await app.person.send(`${home}/webhook`, {}).expect(422)
    expect(words(refused.text)).toContain(
      'The webhook was not changed. This API key may not read the webhooks.',
    )
    expect(words(refused.text)).toContain('register it by hand')
    const onSync = await app.person.send(`${home}/webhook`, { from: 'sync' }).expect(422)
    expect(words(onSync.text)).toContain('This API key may not read the webhooks.')
    await app.person.send(`${home}/webhook/check`, {}).expect(422)

    await app.person.send(`${home}/signing-key`, { signing_key: 'x'.repeat(256) }).expect(422)
    await app.person.send(`${home}/signing-key`, { signing_key: signingKey }).expect(303)
    const happening = app.world.happen('subscriber.survey.responded')
    app.clock.pass(1000)
    await app.deliver(happening).expect(200)
    const page = words(await app.page())
    expect(page).toContain('Registered, switched on, signed with our key.')
    expect(page).toContain('Kept as it came')
    expect(page).not.toContain(signingKey)
    const { dataDir } = app
    await app.stop()
    expect(bytesOf(dataDir, 'throughline.db')).not.toContain(signingKey)
  })

  it('tells of what it refused', async () => {
    const app = await beforeConnecting()
    const happening = app.world.happen('subscriber.opened')
    await app.deliver(happening).expect(401)
    await app.person.send(`${home}/signing-key`, { signing_key: signingKey }).expect(303)
    await app.deliver(happening, '').expect(401)
    app.clock.pass(60_000)
    const page = words(await app.page())
    expect(page).toContain('An unsigned delivery arrived 1 min ago and was refused: it was not signed.')
    expect(page).toContain('An unsigned delivery of subscriber.opened arrived 1 min ago: it was not signed.')
    expect(page).toContain(
      'A delivery of subscriber.opened arrived 1 min ago: no signing key is configured here.',
    )
  })

  it('is switched on again when Buttondown has switched it off, or it has gone silent', async () => {
    const app = await beforeConnecting()
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    await app.person.send(`${home}/webhook`, {}).expect(303)
    const [webhook] = app.standIn.webhooks
    await deliveredUntil(app, 'buttondown', app.clock.now() - 300_000)
    expect(words(await app.page())).not.toContain('Silent')
    await app.db.deleteFrom('inbox').execute()
    await deliveredUntil(app, 'buttondown', app.clock.now() - 3 * 3_600_000)
    for (const path of ['', '/sync'])
      expect(words(await app.page(path))).toContain('Silent for 3 h, usually 5 min.')

    webhook!.status = 'disabled'
    await app.buttondown.lookAtWebhook()
    expect(words(await app.page('/sync'))).toContain('Buttondown has switched the webhook off.')
    await app.person.send(`${home}/webhook`, { from: 'sync' }).expect(303).expect('Location', `${home}/sync`)
    expect(app.standIn.webhooks).toHaveLength(1)
    expect(app.standIn.webhooks[0]!.status).toBe('enabled')

    webhook!.signingKey = 'changed-there'
    await app.person.send(`${home}/webhook/check`, {}).expect(303)
    expect(words(await app.page())).toContain('signs with another key than ours')
    webhook!.signingKey = ''
    await app.person.send(`${home}/webhook/check`, {}).expect(303)
    expect(words(await app.page())).toContain('has no signing key')
    app.standIn.webhooks.length = 0
    await app.person.send(`${home}/webhook/check`, {}).expect(303)
    expect(words(await app.page())).toContain('The webhook is gone at Buttondown.')
  })
})

describe('failed deliveries', () => {
  it('stand with their reason and what they said, and are tried again one by one or all', async () => {
    const app = await beforeConnecting({ BUTTONDOWN_WEBHOOK_SIGNING_KEY: signingKey })
    expect(words(await app.page('/failures'))).toContain('None.')
    await app.person.send(`${home}/key`, { api_key: app.standIn.key }).expect(303)
    for (let i = 0; i < 23; i++) {
      const subscriber = app.world.newId()
      const happening = app.world.happen('subscriber.opened', {
        subscriber,
        metadata: i === 22 ? { note: '<script>alert(1)</script>' } : {},
      })
      const body = app.standIn.body(happening, { metadata: 'flat' })
      await app.http
        .post('/webhooks/buttondown')
        .set(app.standIn.signature(body, signingKey))
        .set('Content-Type', 'application/json')
        .send(body)
        .expect(200)
      app.clock.pass(1000)
    }
    await app.buttondown.deliveries.run()
    await app.db
      .updateTable('inbox')
      .set({
        state: 'failed',
        tries: 6,
        reason: 'Buttondown knows no such subscriber.',
        settled_at: app.clock.now(),
      })
      .execute()
    const first = await app.page('/failures')
    expect(words(first)).toContain('Buttondown knows no such subscriber.')
    expect(words(first)).toContain('Showing 20')
    expect(first).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
    expect(first).not.toContain('<script>alert(1)')
    expect(words(await app.page())).toContain('Failures 23')
    const next = /href="\/providers\/buttondown(\/failures\?after=[^"]+)"/.exec(first)![1]!
    const second = await app.page(next)
    expect(words(second)).toContain('Showing 3')
    expect(words(await app.page('/failures?after=nonsense'))).toContain('Showing 20')

    const [one] = await app.db.selectFrom('inbox').select('id').orderBy('id').limit(1).execute()
    await app.person.send(`${home}/failures`, { id: String(one!.id) }).expect(303)
    expect(words(await app.page('/failures'))).toContain('1 delivery is read again now.')
    await app.person.send(`${home}/failures`, {}).expect(303)
    expect(words(await app.page('/failures'))).toContain('22 deliveries are read again now.')
    await app.person.send(`${home}/failures`, {}).expect(303)
    expect(words(await app.page('/failures'))).toContain('There was nothing to try again.')
  })
})

describe('the hidden link', () => {
  it('is kept when it is the address of a link', async () => {
    const app = await beforeConnecting()
    const wrong = await app.person.send(`${home}/canary`, { canary_url: 'not a link' }).expect(422)
    expect(wrong.text).toContain('value="not a link"')
    await app.person.send(`${home}/canary`, { canary_url: 'https://letter.example/hidden' }).expect(303)
    expect(await readSetting(app.db, 'canary_url')).toBe('https://letter.example/hidden')
    expect(await app.page()).toContain('value="https://letter.example/hidden"')
    await app.person.send(`${home}/canary`, { canary_url: '' }).expect(303)
    expect(words(await app.page())).toContain('No link counts as hidden any more.')
  })
})

describe('the pages of Buttondown', () => {
  it('are for people who have logged in, and take forms from our pages alone', async () => {
    const app = await beforeConnecting()
    for (const path of ['', '/sync', '/failures']) await app.http.get(home + path).expect(303)
    await app.person.http.post(`${home}/key`).type('form').send({ api_key: app.standIn.key }).expect(403)
    expect(await app.buttondown.apiKey.source()).toBe('nowhere')
  })
})
