import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startArchive } from '../../src/database/archive.js'
import { type Backup, backupName } from '../../src/operations/backup-files.js'
import { restorable } from '../../src/operations/restorable.js'
import { segmentFolder } from '../../src/operations/segments.js'
import { aFolder, testApp, testStart } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'

const minute = 60_000

/** Segments of a chain, one a minute and ten bytes long, by their numbers. */
function segmentsIn(folder: string, chain: string, numbers: number[]) {
  for (const number of numbers) {
    const stamp = new Date(testStart + number * minute).toISOString().replace(/[-:.]/g, '')
    const file = join(segmentFolder(folder), chain, `${String(number).padStart(8, '0')}-${stamp}.wal.gz`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, 'ten bytes.')
  }
}
const backup = (madeAt: number, segments: Backup['manifest']['segments']): Backup => ({
  name: backupName(madeAt),
  madeAt,
  manifest: {
    format: 1,
    version: '0',
    migration: '',
    made_at: new Date(madeAt).toISOString(),
    bytes: 1,
    sha256: '',
    database_bytes: 1,
    database_sha256: '',
    facts: {},
    companions: {},
    segments,
  },
})
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('what can be restored', () => {
  it('goes on from each backup to the next one, and to the last seal', async () => {
    const folder = aFolder()
    segmentsIn(folder, 'a', upTo(1, 30))
    const older = backup(testStart + 5.5 * minute, { chain: 'a', after: 5, through: 6 })
    const newer = backup(testStart + 20.5 * minute, { chain: 'a', after: 20, through: 21 })
    const { spans, stretch } = await restorable(folder).spans([newer, older])
    expect(spans.get(older.name)).toEqual({
      from: testStart + 6 * minute,
      to: testStart + 20 * minute,
      segments: 15,
      bytes: 150,
      isWhole: true,
    })
    expect(spans.get(newer.name)).toMatchObject({ to: testStart + 30 * minute, segments: 10 })
    expect(stretch).toEqual({ from: older.madeAt, to: testStart + 30 * minute, segments: 25, bytes: 250 })
  })

  it('ends where a segment is missing, and tells what is whole since', async () => {
    const folder = aFolder()
    segmentsIn(folder, 'a', [...upTo(1, 12), ...upTo(14, 30)])
    const older = backup(testStart + 5.5 * minute, { chain: 'a', after: 5, through: 6 })
    const newer = backup(testStart + 20.5 * minute, { chain: 'a', after: 20, through: 20 })
    const { spans, stretch } = await restorable(folder).spans([newer, older])
    expect(spans.get(older.name)).toMatchObject({ to: testStart + 12 * minute, isWhole: false })
    expect(stretch).toMatchObject({ from: newer.madeAt, segments: 10 })
  })

  it('is the backup alone where no segment goes on from it, or not all of those written meanwhile are there', async () => {
    const folder = aFolder()
    segmentsIn(folder, 'a', upTo(1, 6))
    const points = restorable(folder)
    for (const segments of [
      null,
      { chain: 'b', after: 1, through: 2 },
      { chain: 'a', after: 6, through: 6 },
      { chain: 'a', after: 5, through: 7 },
    ])
      expect(await points.spans([backup(testStart, segments)])).toEqual({ spans: new Map(), stretch: null })
    segmentsIn(folder, 'a', [7])
    const { stretch } = await points.spans([backup(testStart, { chain: 'a', after: 5, through: 7 })])
    expect(stretch).toMatchObject({ to: testStart + 7 * minute, segments: 2 })
  })

  it('stands on the page, beside each backup and for all of them', async () => {
    const app = await testApp()
    const person = await aPerson(app)
    const { id } = await aCampaign(app)
    const archive = startArchive({
      path: app.path,
      folder: segmentFolder(app.backups.folder),
      segmentEvery: 60 * minute,
      chainBegan() {},
      trouble: (message) => {
        throw new Error(message)
      },
    })
    onTestFinished(() => archive.stop())
    // A backup that does not know of the new chain clears its folder away, as it is empty: the archive goes on all the same.
    await app.jobs.perform('back-up')
    const alone = await person.http.get('/operations/backups').expect(200)
    expect(alone.text).toContain('Not yet: only the copies themselves')
    app.backups.use(archive)
    app.clock.pass(minute)
    await app.jobs.perform('back-up')
    await anEvent(app, { cid: id })
    await archive.seal()
    const page = await person.http.get('/operations/backups').expect(200)
    expect(page.text).toContain('Any instant can be restored')
    expect(page.text).not.toContain('Not yet')
    expect(page.text.match(/\d+ segments?, [\d.]+\s(bytes|kB)/g)).toHaveLength(2)
  })
})
