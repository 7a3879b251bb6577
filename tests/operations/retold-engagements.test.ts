import { expect, it } from 'vitest'
import { readRetention, saveRetention } from '../../src/operations/retention.js'
import { aConnectedApp } from '../esp/buttondown/connected.js'
import { aConnectedOctopus } from '../esp/emailoctopus/connected.js'
import { type TestApp, testStart } from '../support/app.js'
import { countsIn, expectCountsToHold } from '../support/recount.js'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const old = testStart - 500 * day

/** Everything older than a year is removed. */
async function removed({ db, retention, clock }: TestApp) {
  await saveRetention(db, { ...(await readRetention(db)), engagements_days: 365 })
  await retention.run()
  clock.pass(8 * day)
  return (await retention.run()).engagements
}

const engagementsIn = ({ db }: TestApp) =>
  db.selectFrom('engagements').select(['kind', 'happened_at']).orderBy('id').execute()

/** Counts of mailings and people, without what the syncs themselves note. */
async function counted({ db }: TestApp) {
  const { contacts: _, ...counts } = await countsIn(db)
  return counts
}

it('knows removed engagements when Buttondown tells them again, in either spelling, and by a backfill', async () => {
  const app = await aConnectedApp({ now: () => testStart })
  const { world } = app
  const readers = ['ada', 'ben'].map((name) =>
    world.addSubscriber({ email: `${name}@fernmail.example`, at: old - day }),
  )
  const email = world.addEmail({ subject: 'Issue 1', at: old })
  for (const subscriber of readers) {
    world.addEvent({ type: 'delivered', subscriber, email, at: old })
    const metadata = { os: 'iOS', browser: 'Safari' }
    world.addEvent({ type: 'opened', subscriber, email, at: old + hour, metadata })
    world.addEvent({
      type: 'clicked',
      subscriber,
      email,
      at: old + hour + minute,
      metadata: { ...metadata, url: 'https://bindery.example/read' },
    })
  }
  await app.sync('first')
  const counts = await counted(app)
  expect(await removed(app)).toBe(6)
  expect(await engagementsIn(app)).toEqual([])
  for (const ids of ['typeid', 'uuid'] as const)
    for (const happening of world.happenings.filter(({ type }) => /opened|clicked|delivered/.test(type)))
      await app.deliver(happening, { ids }).expect(200)
  await app.read()
  await app.sync('first')
  expect(await engagementsIn(app)).toEqual([])
  expect(await counted(app)).toEqual(counts)
  const { text } = await app.http.get('/healthz').expect(200)
  expect(text).toContain('ok')
  await expectCountsToHold(app.db)
})

it('knows removed engagements when a report of EmailOctopus is read again, and when a webhook tells them', async () => {
  const app = await aConnectedOctopus()
  const { world } = app
  const list = world.addList({ name: 'Weekly letter', at: old - day })
  const [ada, ben, cleo] = ['ada', 'ben', 'cleo'].map((name) =>
    world.addContact(list, { email: `${name}@fernmail.example`, at: old - day }),
  )
  const campaign = world.addCampaign({ subject: 'Issue 1', lists: [list], at: old })
  const told = [
    world.open(campaign, ada!, { at: old + hour }),
    world.click(campaign, ada!, { at: old + hour + minute }),
    world.open(campaign, ben!, { at: old + 2 * hour }),
  ]
  await app.sync()
  const counts = await counted(app)
  expect((await engagementsIn(app)).length).toBe(6)
  expect(await removed(app)).toBe(6)
  await app.deliver(told).expect(200)
  await app.read()
  await app.db.deleteFrom('contact_report_walks').execute()
  await app.sync()
  expect(await engagementsIn(app)).toEqual([])
  expect(await counted(app)).toEqual(counts)
  // Something new is told beside it.
  await app.deliver([world.open(campaign, cleo!, { at: app.clock.at })]).expect(200)
  await app.read()
  await app.db.deleteFrom('contact_report_walks').execute()
  await app.sync()
  expect((await engagementsIn(app)).length).toBe(1)
  await expectCountsToHold(app.db)
})

it('still takes a bounce for a soft one after which mail came through that is removed by now', async () => {
  const app = await aConnectedOctopus()
  const { world } = app
  const list = world.addList({ name: 'Weekly letter', at: old - day })
  const ada = world.addContact(list, { email: 'ada@fernmail.example', at: old - day })
  const bounced = world.addCampaign({ subject: 'One', lists: [list], at: old })
  world.bounce(bounced, ada, { at: old + minute, kind: 'soft' })
  const came = world.addCampaign({ subject: 'Two', lists: [list], at: old + day })
  world.open(came, ada, { at: old + 2 * day })
  await app.sync()
  expect(await removed(app)).toBe(2)
  // The bounce has no instant of its own, and stays with what belongs to it.
  expect((await engagementsIn(app)).length).toBe(2)
  await app.db.deleteFrom('subscriptions').execute()
  world.unsubscribe(null, ada, { at: app.clock.at - hour })
  await app.sync('manual')
  const { status } = await app.db.selectFrom('subscriptions').select('status').executeTakeFirstOrThrow()
  expect(status).toBe('unsubscribed')
})
