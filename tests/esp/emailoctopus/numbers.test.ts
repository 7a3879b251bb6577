import { describe, expect, it } from 'vitest'
import { testStart } from '../../support/app.js'
import { aConnectedOctopus } from './connected.js'

const hour = 3_600_000
const day = 24 * hour

/** Twenty readers of a mailing that was sent so long ago, of whom one bounced hard and one softly. */
async function withBounces() {
  const app = await aConnectedOctopus()
  const { world } = app
  const list = world.addList({ name: 'Weekly letter', at: testStart - 90 * day })
  const readers = Array.from({ length: 20 }, (_, number) =>
    world.addContact(list, { email: `reader-${number}@fernmail.example`, at: testStart - 80 * day }),
  )
  const sentAt = testStart - hour
  const campaign = world.addCampaign({ subject: 'Issue 1', lists: [list], at: sentAt })
  world.bounce(campaign, readers[0]!, { at: sentAt + 5_000 })
  world.bounce(campaign, readers[1]!, { at: sentAt + 6_000, kind: 'soft' })
  await app.sync()
  return { app, world, campaign }
}

describe('a number that a later summary lacks', () => {
  it.each([{ bounced: undefined as never }, { bounced: { hard: 1 } as never }, { sent: undefined as never }])(
    'keeps what is delivered as it was: without %o',
    async (told) => {
      const { app, world, campaign } = await withBounces()
      world.tell(campaign, told)
      app.clock.pass(2 * hour)
      await app.sync('manual')
      expect(await app.db.selectFrom('mailing_snapshots').selectAll().execute()).toMatchObject([
        { recipients: 20, deliveries: 18, permanent_failures: 1, temporary_failures: 1 },
      ])
      expect(await app.db.selectFrom('mailing_reports').selectAll().execute()).toMatchObject([
        { recipients: 20, deliveries: 18, permanent_failures: 1, temporary_failures: 1 },
      ])
    },
  )

  it('is taken for what is delivered where the other has moved', async () => {
    const { app, world, campaign } = await withBounces()
    world.tell(campaign, { sent: undefined as never, bounced: { hard: 3, soft: 1 } })
    app.clock.pass(2 * hour)
    await app.sync('manual')
    expect(await app.db.selectFrom('mailing_reports').selectAll().execute()).toMatchObject([
      { recipients: 20, deliveries: 16, permanent_failures: 3, temporary_failures: 1 },
    ])
  })
})

describe('a mailing whose summary is not to be had', () => {
  /** Three mailings that are 200 days old, and how often each was asked for its summary. */
  async function withOldMailings() {
    const app = await aConnectedOctopus()
    const { world } = app
    const at = testStart - 200 * day
    const list = world.addList({ name: 'Weekly letter', at })
    const [known, deleted, untracked] = ['Known', 'Deleted', 'Untracked'].map((subject) =>
      world.addCampaign({ subject, lists: [list], at }),
    ) as [ReturnType<typeof world.addCampaign>, ...ReturnType<typeof world.addCampaign>[]]
    untracked!.refusesReports = true
    const asked = async (sync: () => Promise<unknown>) => {
      const before = app.standIn.requests.length
      await sync()
      return [known, deleted!, untracked!].map(
        ({ id }) =>
          app.standIn.requests.slice(before).filter(({ path }) => path === `/campaigns/${id}/reports/summary`)
            .length,
      )
    }
    return { app, world, deleted: deleted!, asked }
  }

  it('is asked for it as seldom as others of its age, and by hand', async () => {
    const { app, world, deleted, asked } = await withOldMailings()
    expect(await asked(() => app.sync())).toEqual([1, 1, 1])
    world.campaigns.delete(deleted.id)
    app.clock.pass(7 * day)
    expect(await asked(() => app.sync('nightly'))).toEqual([1, 1, 1])
    for (let hours = 0; hours < 3; hours++) {
      app.clock.pass(hour)
      expect(await asked(() => app.sync('nightly'))).toEqual([0, 0, 0])
    }
    expect(await asked(() => app.sync('manual'))).toEqual([1, 1, 1])
    app.clock.pass(7 * day)
    expect(await asked(() => app.sync('nightly'))).toEqual([1, 1, 1])
  })
})
