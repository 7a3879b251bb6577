import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { searchIndex } from '../../src/audience/search.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

describe('the index of addresses', () => {
  it('gives way to another process that writes, and takes in later what came meanwhile', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    const index = searchIndex(app)
    const lock = new Sqlite(app.path)
    lock.exec('begin immediate')
    expect(await index.run()).toBe(0)
    lock.close()
    expect(await index.run()).toBe(1)
  })
})
