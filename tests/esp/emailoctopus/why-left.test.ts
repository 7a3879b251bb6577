import { expect, it } from 'vitest'
import { testStart } from '../../support/app.js'
import { expectCountsToHold } from '../../support/recount.js'
import { aConnectedOctopus } from './connected.js'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Ada, who got a mailing 40 days ago and one 3 days ago, and how she stands to the list. */
async function withAda() {
  const app = await aConnectedOctopus()
  const { world } = app
  const list = world.addList({ name: 'Weekly letter', at: testStart - 90 * day })
  const ada = world.addContact(list, { email: 'ada@fernmail.example', at: testStart - 80 * day })
  const old = world.addCampaign({ subject: 'Old', lists: [list], at: testStart - 40 * day })
  const recent = world.addCampaign({ subject: 'Recent', lists: [list], at: testStart - 3 * day })
  return {
    app,
    world,
    ada,
    old,
    recent,
    /** Told by webhook, an hour later, and read. */
    async deliver(type: string, { at = app.clock.at, id = type }: { at?: number; id?: string } = {}) {
      const told = { id, type, list_id: list.id, contact_id: ada.id, contact_email_address: ada.email }
      const body = JSON.stringify([{ ...told, occurred_at: new Date(at).toISOString() }])
      await app.deliver([], body).expect(200)
      await app.read()
    },
    async sync(kind: 'nightly' | 'manual' = 'nightly') {
      await app.sync(kind)
    },
    async status() {
      await expectCountsToHold(app.db)
      const rows = await app.db
        .selectFrom('subscriptions')
        .innerJoin('contacts', 'contacts.id', 'contact_id')
        .select(['subscriptions.status', 'contacts.status as person'])
        .execute()
      expect(rows.map(({ person }) => person)).toEqual(rows.map(({ status }) => status))
      return rows.map(({ status }) => status)
    },
  }
}

const softly = { at: testStart - 40 * day + minute, kind: 'soft' as const }

it('leaves whom a webhook names as having left so, though a mailing had bounced before', async () => {
  const { app, world, ada, old, deliver, sync, status } = await withAda()
  world.bounce(old, ada, softly)
  await sync()
  app.clock.pass(hour)
  world.unsubscribe(null, ada, { at: app.clock.at })
  await deliver('contact.unsubscribed')
  expect(await status()).toEqual(['unsubscribed'])
  for (const kind of ['nightly', 'manual'] as const) {
    app.clock.pass(hour)
    await sync(kind)
    expect(await status()).toEqual(['unsubscribed'])
  }
})

it('takes a bounce after which mail still came through for a soft one', async () => {
  const { app, world, ada, old, recent, sync, status } = await withAda()
  world.bounce(old, ada, softly)
  world.open(recent, ada, { at: testStart - 2 * day })
  world.unsubscribe(null, ada, { at: testStart - day })
  await sync()
  expect(await status()).toEqual(['unsubscribed'])
  app.clock.pass(hour)
  await sync('manual')
  expect(await status()).toEqual(['unsubscribed'])
})

it('takes a bounce after which the contact was still subscribed for a soft one', async () => {
  const { app, world, ada, old, sync, status } = await withAda()
  world.bounce(old, ada, softly)
  await sync()
  app.clock.pass(hour)
  world.unsubscribe(null, ada, { at: app.clock.at })
  await sync()
  expect(await status()).toEqual(['unsubscribed'])
  app.clock.pass(hour)
  await sync('manual')
  expect(await status()).toEqual(['unsubscribed'])
})

it('tells a bounce by a webhook that names no campaign, before the sync and after it', async () => {
  for (const isFirst of [true, false]) {
    const { app, world, ada, deliver, sync, status } = await withAda()
    await sync()
    app.clock.pass(hour)
    const at = app.clock.at
    world.unsubscribe(null, ada, { at }) // as a hard bounce does
    if (isFirst) await deliver('contact.bounced', { at })
    await sync()
    app.clock.pass(minute)
    if (!isFirst) await deliver('contact.bounced', { at })
    app.clock.pass(hour)
    await sync()
    expect(await status()).toEqual(['bounced'])
  }
})

it('believes a webhook that comes late more than the bounce it had concluded from', async () => {
  const { app, world, ada, recent, deliver, sync, status } = await withAda()
  await sync()
  app.clock.pass(hour)
  world.bounce(recent, ada, { at: app.clock.at, kind: 'soft' })
  const leftAt = app.clock.at + minute
  world.unsubscribe(null, ada, { at: leftAt })
  app.clock.pass(hour)
  await sync('manual')
  expect(await status()).toEqual(['bounced']) // as nobody has named her as having left
  await deliver('contact.unsubscribed', { at: leftAt })
  expect(await status()).toEqual(['unsubscribed'])
  app.clock.pass(hour)
  await sync('manual')
  expect(await status()).toEqual(['unsubscribed'])
})

it('takes back a bounce when a webhook tells of an open after it', async () => {
  const { app, world, ada, recent, deliver, sync, status } = await withAda()
  await sync()
  app.clock.pass(hour)
  world.bounce(recent, ada, { at: app.clock.at })
  app.clock.pass(hour)
  await sync('manual')
  expect(await status()).toEqual(['bounced'])
  await deliver('contact.opened', { at: app.clock.at - minute })
  expect(await status()).toEqual(['unsubscribed'])
})
