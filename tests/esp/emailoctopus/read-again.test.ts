import { expect, it } from 'vitest'
import { engagementKind } from '../../../src/audience/engagement-kinds.js'
import { testStart } from '../../support/app.js'
import { expectCountsToHold } from '../../support/recount.js'
import { aConnectedOctopus, type ConnectedOctopus } from './connected.js'

const minute = 60_000
const hour = 60 * minute
const sentAt = testStart - 2 * hour

/** Four readers of a campaign, of whom two have opened it and one has clicked. */
function fill({ world }: ConnectedOctopus) {
  const list = world.addList({ name: 'Weekly letter', at: sentAt - 24 * hour })
  const readers = ['ada', 'ben', 'cleo', 'dina'].map((name) =>
    world.addContact(list, { email: `${name}@fernmail.example`, at: sentAt - 24 * hour }),
  )
  const campaign = world.addCampaign({ subject: 'Issue 1', lists: [list], at: sentAt })
  const [ada, ben, cleo, dina] = readers as [(typeof readers)[0], ...(typeof readers)[0][]]
  world.open(campaign, ada, { at: sentAt + 5 * minute })
  world.open(campaign, ben!, { at: sentAt + 6 * minute })
  world.click(campaign, ada, { at: sentAt + 7 * minute })
  return { campaign, ada, ben: ben!, cleo: cleo!, dina: dina! }
}

async function kindsOf({ db }: ConnectedOctopus) {
  const rows = await db
    .selectFrom('engagements')
    .select(({ fn }) => ['kind', fn.countAll<number>().as('count')])
    .groupBy('kind')
    .execute()
  return Object.fromEntries(rows.map(({ kind, count }) => [engagementKind(kind), count]))
}

it('adds nothing but what is new when a report whose counter has moved is read again', async () => {
  const app = await aConnectedOctopus()
  const { campaign, cleo, dina } = fill(app)
  await app.sync()
  expect(await kindsOf(app)).toEqual({ sent: 4, opened: 2, clicked: 1 })

  app.clock.pass(hour)
  await app.deliver([app.world.open(campaign, cleo, { at: app.clock.now() })]).expect(200)
  await app.read()
  // Of this one no delivery tells.
  app.world.open(campaign, dina, { at: app.clock.now() })
  app.world.click(campaign, dina, { at: app.clock.now() })
  app.clock.pass(minute)
  await app.sync()
  expect(await kindsOf(app)).toEqual({ sent: 4, opened: 4, clicked: 2 })
  await expectCountsToHold(app.db)
})

it('doubles no row of the report that a cancelled sync was reading', async () => {
  const app = await aConnectedOctopus()
  fill(app)
  await app.sync()
  const before = await kindsOf(app)
  // As if the reports had been read, and the process had ended before it could say so.
  await app.db.deleteFrom('contact_report_walks').execute()
  await app.sync()
  expect(await kindsOf(app)).toEqual(before)
})
