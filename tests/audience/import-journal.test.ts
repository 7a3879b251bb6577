import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ImportRow } from '../../src/audience/people.js'
import { aFolder, testApp, testStart } from '../support/app.js'
import { expectCountsToHold } from '../support/recount.js'

const rows = Array.from(
  { length: 250 },
  (_, index): ImportRow => ({
    email: `reader${index}@fernmail.example`,
    name: `Reader ${index}`,
    tags: ['imported'],
    subscribedAt: testStart - 1000,
    list: 'Old readers',
  }),
)
const under = (dataDir: string) => join(dataDir, 'imports-under-way')

describe('an import that is interrupted midway', () => {
  it('is finished at the next start', async () => {
    const dataDir = aFolder()
    const app = await testApp({ dataDir, patience: 20 })
    // The disk is full after the first hundred rows, and the process ends before there is room again.
    let parts = 0
    const { findOrAdd } = app.audience.contacts
    app.audience.contacts.findOrAdd = async (...given) => {
      if (++parts === 101) throw Object.assign(new Error('disk full'), { code: 'SQLITE_FULL' })
      return findOrAdd(...given)
    }
    await expect(app.audience.importContacts(rows)).rejects.toThrow('cannot be written')
    expect((await app.db.selectFrom('contacts').select('id').execute()).length).toBe(100)
    expect(readdirSync(under(dataDir)).length).toBe(1)
    await app.stop()

    const after = await testApp({ dataDir })
    expect(await after.audience.finishImports()).toBe(250)
    expect(readdirSync(under(dataDir))).toEqual([])
    const people = await after.db
      .selectFrom('contacts')
      .select(['email', 'name', 'status'])
      .orderBy('id')
      .execute()
    expect(people.length).toBe(250)
    expect(people[249]).toEqual({
      email: 'reader249@fernmail.example',
      name: 'Reader 249',
      status: 'subscribed',
    })
    expect(await after.db.selectFrom('tag_counts').select('contacts').execute()).toEqual([{ contacts: 250 }])
    expect((await after.db.selectFrom('subscription_changes').select('id').execute()).length).toBe(250)
    await expectCountsToHold(after.db)
    expect(await after.audience.finishImports()).toBe(0)
  })

  it('was confirmed to nobody when its list is not whole yet', async () => {
    const app = await testApp()
    expect(await app.audience.finishImports()).toBe(0)
    mkdirSync(under(app.dataDir))
    writeFileSync(join(under(app.dataDir), 'half.json.new'), '[{"email":"ada@')
    expect(await app.audience.finishImports()).toBe(0)
    expect(readdirSync(under(app.dataDir))).toEqual([])
  })
})

it('an import that came to its end leaves nothing to finish, and adds to what is there', async () => {
  const app = await testApp()
  expect(await app.audience.importContacts(rows.slice(0, 120))).toEqual({ added: 120, updated: 0, left: 0 })
  expect(await app.audience.importContacts(rows.slice(100))).toEqual({ added: 130, updated: 20, left: 0 })
  expect(readdirSync(under(app.dataDir))).toEqual([])
  expect((await app.db.selectFrom('subscriptions').select('id').execute()).length).toBe(250)
  await expectCountsToHold(app.db)
})
