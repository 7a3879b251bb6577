import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'

describe('/healthz', () => {
  it('says whether the database can be written, and looks again after a second of trouble', async () => {
    const { http, path, clock } = await testApp()
    const lock = new Sqlite(path)
    lock.exec('begin immediate')
    await http.get('/healthz').expect(503, { status: 'unavailable', database: 'SQLITE_BUSY' })
    lock.close()
    // Whoever asks again at once gets the same answer: each try may wait for the lock, and nothing else runs then.
    await http.get('/healthz').expect(503)
    clock.pass(1_000)
    await http.get('/healthz').expect(200, { status: 'ok', database: 'ok' })
  })

  it('writes at most every ten seconds, however many ask', async () => {
    const { http, db, clock } = await testApp()
    const written = async () =>
      (await db.selectFrom('settings').select('value').where('name', '=', 'health_checked_at').execute())[0]
    await Promise.all(Array.from({ length: 5 }, () => http.get('/healthz').expect(200)))
    const first = await written()
    expect(first).toEqual({ value: String(clock.at) })
    clock.pass(9_999)
    await http.get('/healthz').expect(200)
    expect(await written()).toEqual(first)
    clock.pass(1)
    await http.get('/healthz').expect(200)
    expect(await written()).toEqual({ value: String(clock.at) })
  })
})
