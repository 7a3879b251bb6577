import { expect, it } from 'vitest'
import { createAccount } from '../../src/accounts/commands.js'
import { openCountries } from '../../src/audience/countries.js'
import { rebuildCounts } from '../../src/campaigns/rebuild.js'
import { judge } from '../../src/campaigns/verdict.js'
import { tellHistory } from '../../src/cli/demo/history.js'
import { dice, inviteReaders } from '../../src/cli/demo/readers.js'
import { recordCampaigns, recordHistory } from '../../src/cli/demo/record.js'
import { stories } from '../../src/cli/demo/stories.js'
import { calendar } from '../../src/web/calendar.js'
import { testApp } from '../support/app.js'
import { owner } from '../support/site.js'

const days = calendar('Europe/Berlin')

it('makes data that the door itself could have made, and the same twice', async () => {
  const app = await testApp()
  const { db, clock } = app
  const countryOf = openCountries()
  const now = clock.now()
  const history = () => {
    const luck = dice(7)
    return tellHistory(stories, inviteReaders(luck, countryOf), luck, now)
  }
  const happenings = history()
  expect(history()).toEqual(happenings)
  const account = await createAccount(db, owner, { by: null, at: now })
  const needs = { db, countryOf, calendar: days, account: account.id, now }
  await recordHistory(happenings, await recordCampaigns(stories, needs), needs)

  const events = await db.selectFrom('events').select(['verdict', 'reasons']).execute()
  expect(events).toHaveLength(happenings.length)
  expect(events.filter(({ verdict, reasons }) => verdict !== judge(reasons))).toEqual([])
  for (const verdict of [0, 1, 2]) expect(events.some((event) => event.verdict === verdict)).toBe(true)

  const counts = () => db.selectFrom('campaign_counts').selectAll().orderBy('campaign_id').execute()
  const kept = await counts()
  await rebuildCounts(db, days)
  expect(await counts()).toEqual(kept)

  // Judged again from the facts alone, nothing is found to be otherwise.
  await db.updateTable('settings').set({ value: '0' }).where('name', '=', 'settled_event_id').execute()
  await app.settling.run()
  const again = await db.selectFrom('events').select(['verdict', 'reasons']).execute()
  expect(again).toEqual(events)
})
