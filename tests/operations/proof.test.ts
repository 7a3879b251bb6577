import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { prove } from '../../src/operations/proof.js'
import { testApp } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aCampaign, anEvent } from '../support/builders.js'

/** Two people who opened, clicked and bought, with every count of them. */
async function anInstallation() {
  const app = await testApp()
  const { id: cid } = await aCampaign(app)
  const people = ['ada@fernmail.example', 'bo@fernmail.example']
  const list = await aList(app)
  const mailing = await aMailing(app, { list_id: list.id })
  const ids: number[] = []
  for (const email of people) {
    const { id } = await aContact(app, { email })
    ids.push(id)
    await anEvent(app, { cid, email })
    for (const kind of ['opened', 'clicked'] as const)
      await anEngagement(app, { kind, contactId: id, mailingId: mailing.id })
  }
  await app.audience.retag({ contacts: ids, add: ['reader'], remove: [] })
  await app.scoring.runAll()
  const said: string[] = []
  const { db } = app
  const run = async (statement: string) => void (await sql.raw(statement).execute(db))
  const proving = async (timeZone = 'UTC') => {
    said.length = 0
    return prove(db, { timeZone, say: (line) => void said.push(line) })
  }
  return { app, db, run, proving, said, ada: ids[0]!, bo: ids[1]!, mailing: mailing.id }
}

describe('a proof', () => {
  it('finds counts equal to their facts, and leaves nothing behind', async () => {
    const { app, db, proving, said } = await anInstallation()
    for (const table of ['contact_days', 'receptions', 'journeys', 'tag_counts', 'campaign_counts'] as const)
      expect(await db.selectFrom(table).selectAll().execute()).not.toEqual([])
    expect(await proving()).toEqual([])
    expect(said).toEqual(['Every page and every reference is right.', 'Every count equals its facts.'])
    expect(existsSync(join(app.dataDir, 'throughline.db-kept'))).toBe(false)
    expect(await proving()).toEqual([])
  })

  it.each([
    ['contact_days', 'opens', 'contact_id'],
    ['receptions', 'clicks', 'contact_id'],
    ['contacts', 'opens', 'id'],
    ['journeys', 'email_clicks', 'contact_id'],
  ])('finds one too many and one too few in %s', async (table, count, key) => {
    const { run, proving, said, ada, bo } = await anInstallation()
    await run(`update ${table} set ${count} = ${count} + 1 where ${key} = ${ada}`)
    await run(`update ${table} set ${count} = ${count} - 1 where ${key} = ${bo}`)
    expect(await proving()).toEqual([table])
    const others = said.slice(2)
    expect(said[1]).toBe(`Counted anew, since the counts did not equal the facts: ${table}.`)
    expect(others).toHaveLength(2)
    expect(others[0]).toMatch(new RegExp(`^${table} \\(.*${key} ${ada}.*\\): ${count} 2 instead of 1\\.$`))
    expect(others[1]).toMatch(new RegExp(`^${table} \\(.*${key} ${bo}.*\\): ${count} 0 instead of 1\\.$`))
    // They are put right.
    expect(await proving()).toEqual([])
  })

  it('finds counts at what is somebody or something else, of instants, and of nobody', async () => {
    const { run, proving, said, ada, bo, mailing } = await anInstallation()
    await run(`update journeys set contact_id = contact_id + 100 where contact_id = ${bo}`)
    await run(`update receptions set sent_at = 7 where contact_id = ${ada}`)
    await run(`delete from contact_days where contact_id = ${bo}`)
    await run(
      `insert into receptions (contact_id, mailing_id, delivered_at) values (${bo}, ${mailing + 1}, 5)`,
    )
    expect((await proving()).sort()).toEqual(['contact_days', 'journeys', 'receptions'])
    const told = said.slice(2)
    expect(told.find((line) => line.includes(`mailing_id ${mailing + 1}`))).toBe(
      `receptions (contact_id ${bo}, mailing_id ${mailing + 1}): delivered_at 5 instead of 0.`,
    )
    expect(told.find((line) => line.includes('sent_at'))).toContain('sent_at 7 instead of 0')
    expect(told.find((line) => line.startsWith('contact_days'))).toMatch(
      /opens 0 instead of 1, clicks 0 inst/,
    )
    expect(told.filter((line) => line.startsWith('journeys')).join()).toContain(`contact_id ${bo + 100}`)
    expect(told).toHaveLength(5)
  })

  it('names a handful, and the number of all others', async () => {
    const { run, proving, said } = await anInstallation()
    for (const table of ['active_days', 'contact_days', 'engagement_days', 'mailing_counts', 'campaign_days'])
      await run(`delete from ${table}`)
    for (let day = 1; day < 10; day++)
      await run(`insert into contact_days (contact_id, day_on, opens) values (1, '2020-01-0${day}', 1)`)
    expect(await proving()).toHaveLength(5)
    expect(said).toHaveLength(8)
    expect(said[7]).toMatch(/^10 more rows were wrong\.$/)
  })

  it('minds neither rows that count nothing, nor numbers of rows, nor the last digit of a fraction', async () => {
    const { db, run, proving, ada } = await anInstallation()
    await run(`insert into contact_days (contact_id, day_on) values (${ada}, '2020-01-01')`)
    await run(`insert into receptions (contact_id, mailing_id) values (${ada}, 4711)`)
    await run(`insert into campaign_counts (campaign_id, last_at) values (4711, 5)`)
    await run('update journeys set id = id + 1000')
    await run('update tag_counts set score_sum = score_sum + 0.0000001')
    expect(await proving()).toEqual([])
    const numbered = await db.selectFrom('journeys').select('id').execute()
    expect(numbered.every(({ id }) => id < 1000)).toBe(true)
    await run('update tag_counts set score_sum = score_sum + 0.5')
    expect(await proving()).toEqual(['tag_counts'])
  })

  it('compares days in the time zone in which they were counted', async () => {
    const { db, run, proving } = await anInstallation()
    const days = () => db.selectFrom('contact_days').select('day_on').execute()
    await run(`insert into settings (name, value) values ('counts_time_zone', 'UTC') on conflict do nothing`)
    const before = await days()
    expect(await proving('Pacific/Kiritimati')).toEqual([])
    expect(await days()).toEqual(before)
  })

  it('is not held up by what an interrupted one left', async () => {
    const { app, proving } = await anInstallation()
    writeFileSync(join(app.dataDir, 'throughline.db-kept'), 'half of a file')
    expect(await proving()).toEqual([])
  })
})
