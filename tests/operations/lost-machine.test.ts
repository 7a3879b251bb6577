import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startArchive } from '../../src/database/archive.js'
import { backupsBefore } from '../../src/operations/backup-files.js'
import type { restore } from '../../src/operations/restore.js'
import { listSegments, oldestOfUse } from '../../src/operations/segments.js'
import { aFolder, type TestApp, testApp } from '../support/app.js'
import { aBucket } from '../support/bucket.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { restoring as restored } from '../support/restoring.js'

const hour = 3_600_000

/** An installation whose log is sealed: a backup, and five segments of an event each that go on from it. */
async function sealed({
  env = {},
  dataDir = aFolder(),
}: {
  env?: Record<string, string>
  dataDir?: string
} = {}) {
  const app = await testApp({ env, dataDir })
  const archive = startArchive({
    path: join(dataDir, 'throughline.db'),
    folder: join(app.backups.folder, 'segments'),
    segmentEvery: hour,
  })
  onTestFinished(() => archive.stop())
  app.backups.use(archive)
  const { id: cid } = await aCampaign(app)
  await app.jobs.perform('back-up')
  const { after } = app.backups.last()!.manifest.segments!
  for (let number = 0; number < 5; number++) {
    await anEvent(app, { cid, email: `reader${number}@fernmail.example` })
    await archive.seal()
  }
  const segments = listSegments(app.backups.folder).filter((segment) => segment.number > after)
  expect(segments.length).toBeGreaterThanOrEqual(5)
  return { app, dataDir, segments: segments.slice(-5) }
}

/** Restores onto an empty machine, unless the wish says otherwise. */
const restoring = ({ config }: Pick<TestApp, 'config'>, wish: Partial<Parameters<typeof restore>[0]> = {}) =>
  restored({ config: { ...config, DATA_DIR: aFolder() }, ...wish })
/** Another machine: the bucket is all there is. */
const elsewhere = ({ config }: Pick<TestApp, 'config'>, more: object = {}) => {
  const folder = aFolder()
  return { config: { ...config, DATA_DIR: folder, BACKUP_DIR: join(folder, 'backups'), ...more } }
}

const spoil = (path: string) => {
  const bytes = readFileSync(path)
  bytes[bytes.length >> 1]! ^= 0xff
  writeFileSync(path, bytes)
}
const instant = (at: number) => new Date(at).toISOString()

describe('a restore by segments', () => {
  it('refuses a gap, however it is asked for, and names the instant up to which nothing is missing', async () => {
    const { app, segments } = await sealed()
    await app.stop()
    const [first, second, , , last] = segments
    rmSync(join(app.backups.folder, second!.name))
    for (const at of [null, last!.sealedAt])
      await expect(restoring(app, { at })).rejects.toThrow(
        `Segment ${second!.number} of the log is missing, and 3 segments after it are there. What was written after ${instant(first!.sealedAt)} is therefore out of reach: say --at ${instant(first!.sealedAt)}`,
      )
    const restored = await restoring(app, { at: first!.sealedAt })
    expect([restored.asOf, restored.facts.events]).toEqual([first!.sealedAt, 1])
  })

  it('refuses a damaged one that lies nowhere else, and says so where there is none at all', async () => {
    const { app, segments } = await sealed()
    await app.stop()
    spoil(join(app.backups.folder, segments[2]!.name))
    await expect(restoring(app)).rejects.toThrow(
      `${segments[2]!.name} is damaged. What was written after ${instant(segments[1]!.sealedAt)} is therefore out of reach`,
    )
    expect((await restoring(app, { at: segments[1]!.sealedAt })).facts.events).toBe(2)
    rmSync(join(app.backups.folder, 'segments'), { recursive: true })
    const bare = await restoring(app)
    expect(bare.facts.events).toBe(0)
    expect(bare.said.join(' ')).toContain('No segment of the log goes on from this backup')
  })

  it('takes from the bucket what is damaged or gone here', async () => {
    const bucket = await aBucket()
    const { app, segments } = await sealed({ env: bucket.env })
    await app.jobs.perform('upload-segments')
    await app.stop()
    spoil(join(app.backups.folder, segments[1]!.name))
    rmSync(join(app.backups.folder, segments[3]!.name))
    expect((await restoring(app)).facts.events).toBe(5)
  })

  it('takes no backup of the bucket that was made after the wanted instant, be it in the same second', async () => {
    const bucket = await aBucket()
    const { app } = await sealed({ env: bucket.env })
    await app.stop()
    const madeAt = app.backups.last()!.madeAt
    await expect(restoring(app, { ...elsewhere(app), at: madeAt - 1 })).rejects.toThrow(
      /There is no backup from before/,
    )
    expect((await restoring(app, { ...elsewhere(app), at: madeAt })).facts.events).toBe(0)
  })

  it('from a damaged bucket says what is damaged, and where there is no passphrase that one is needed', async () => {
    const bucket = await aBucket()
    const env = { ...bucket.env, BACKUP_PASSPHRASE: 'a quiet harbour at dawn' }
    const { app, segments } = await sealed({ env })
    await app.jobs.perform('upload-segments')
    await app.stop()
    await expect(restoring(app, elsewhere(app, { BACKUP_PASSPHRASE: undefined }))).rejects.toThrow(
      /has sealed copies, the newest of .* UTC: set BACKUP_PASSPHRASE/,
    )
    const key = `throughline/${segments[2]!.name}.sealed`
    bucket.objects.set(key, bucket.objects.get(key)!.subarray(0, -20))
    await expect(restoring(app, elsewhere(app))).rejects.toThrow(
      `${segments[2]!.name} is damaged. What was written after ${instant(segments[1]!.sealedAt)}`,
    )
    bucket.objects.delete(`throughline/${app.backups.last()!.name}.db.gz.sealed`)
    await expect(restoring(app, elsewhere(app))).rejects.toThrow(
      /has no throughline-\w+\.db\.gz\. There is none before it/,
    )
  })
})

describe('the bucket of a lost machine', () => {
  it('is left alone by a server that starts on an empty disk, which says what to do', async () => {
    const bucket = await aBucket()
    const lost = await sealed({ env: bucket.env })
    await lost.app.jobs.perform('upload-segments')
    await lost.app.stop()
    const left = [...bucket.objects.keys()].sort()
    expect(left.length).toBeGreaterThanOrEqual(7)
    await new Promise((resolve) => setTimeout(resolve, 1_100)) // the names of backups tell seconds apart

    const app = await testApp({ env: bucket.env })
    // The tables of a test may be copies of some that were made before.
    await sql`update kysely_migration set timestamp = ${new Date().toISOString()}`.execute(app.db)
    await expect(app.jobs.perform('back-up')).rejects.toThrow(
      /has 1 backup of a database from before this one.*npm run restore -- --from bucket/,
    )
    await expect(app.jobs.perform('upload-segments')).rejects.toThrow(/from before this one/)

    // Its own backup stays here.
    expect(app.backups.list()).toHaveLength(1)
    expect([...bucket.objects.keys()].sort()).toEqual(left)
    await app.stop()
    await expect(restoring(app)).rejects.toThrow(/begun at .* Say --from bucket to take that, or --from \//)
    expect((await restoring(app, { from: 'bucket' })).facts.events).toBe(5)
    expect((await restoring(app, { from: app.backups.folder })).facts.events).toBe(0)
  })

  it('keeps its segments when the machine is restored from it', async () => {
    const bucket = await aBucket()
    const lost = await sealed({ env: bucket.env })
    await lost.app.jobs.perform('upload-segments')
    await lost.app.stop()
    const wish = elsewhere(lost.app)
    await restoring(lost.app, wish)
    const left = [...bucket.objects.keys()]

    const app = await testApp({ env: bucket.env, dataDir: wish.config.DATA_DIR })
    await app.jobs.perform('back-up')
    await app.jobs.perform('upload-segments')

    expect([...bucket.objects.keys()]).toEqual(expect.arrayContaining(left))
    await app.stop()
    const at = lost.segments[2]!.sealedAt
    expect((await restoring(app, { ...elsewhere(app), at })).facts.events).toBe(3)
  })
})

it('with a passphrase, what lay open in the bucket is sealed at once', async () => {
  const bucket = await aBucket()
  const first = await sealed({ env: bucket.env })
  await first.app.jobs.perform('upload-segments')
  await first.app.stop()
  const env = { ...bucket.env, BACKUP_PASSPHRASE: 'a quiet harbour at dawn' }
  const app = await testApp({ env, dataDir: first.dataDir })
  // Before anything is brought there again, what lies open can still be restored.
  expect((await restoring(app, elsewhere(app))).facts.events).toBe(5)

  await app.jobs.perform('upload-segments')

  expect([...bucket.objects.keys()].filter((key) => !key.endsWith('.sealed'))).toEqual([])
  await app.stop()
  expect((await restoring(app, elsewhere(app))).facts.events).toBe(5)
})

it('a first backup, made within a second of the tables, is of the same database', () => {
  const born = Date.UTC(2026, 10, 21, 10, 0, 5, 700)
  const names = ['20261121T100004Z', '20261121T100005Z', '20261121T100006Z'].map((at) => `throughline-${at}`)
  const files = names.flatMap((name) => [`${name}.db.gz`, `${name}.json`])
  expect(backupsBefore(files, born)).toEqual([names[0]])
})

it('without a passphrase any more, what is here goes there open and stays', async () => {
  const bucket = await aBucket()
  const env = { ...bucket.env, BACKUP_PASSPHRASE: 'a quiet harbour at dawn' }
  const first = await sealed({ env })
  await first.app.jobs.perform('upload-segments')
  await first.app.stop()
  // The second start finds both copies of each.
  for (let start = 0; start < 2; start++) {
    const app = await testApp({ env: bucket.env, dataDir: first.dataDir })
    await app.jobs.perform('upload-segments')
    await app.stop()
    expect((await restoring(app, elsewhere(app))).facts.events).toBe(5)
  }
})

it('with another passphrase, what is here goes to the bucket again under that', async () => {
  const bucket = await aBucket()
  const env = { ...bucket.env, BACKUP_PASSPHRASE: 'a quiet harbour at dawn' }
  const first = await sealed({ env })
  await first.app.jobs.perform('upload-segments')
  await first.app.stop()
  const app = await testApp({
    env: { ...env, BACKUP_PASSPHRASE: 'a loud harbour at noon' },
    dataDir: first.dataDir,
  })

  await app.jobs.perform('upload-segments')

  await app.stop()
  expect((await restoring(app, elsewhere(app))).facts.events).toBe(5)
  await expect(restoring(first.app, elsewhere(first.app))).rejects.toThrow(/BACKUP_PASSPHRASE is not the one/)
})

it('segments leave the bucket with the days of which any instant can be restored', async () => {
  const bucket = await aBucket()
  const { app, segments } = await sealed({ env: bucket.env })
  const old = segments[0]!.name.replace(/-\d{8}T/, '-20240101T')
  bucket.objects.set(`throughline/${old}`, Buffer.from('long ago'))
  await app.jobs.perform('upload-segments')
  expect([...bucket.objects.keys()]).not.toContain(`throughline/${old}`)
  for (const { name } of segments) expect([...bucket.objects.keys()]).toContain(`throughline/${name}`)
  // Of a database that is older than its backups, such as one that was restored, nothing is refused.
  await sql`update kysely_migration set timestamp = '2020-01-01T00:00:00.000Z'`.execute(app.db)
  await app.jobs.perform('back-up')
})

it('a backup that was made while the clock was far ahead takes no segments with it', () => {
  const now = Date.UTC(2026, 10, 29)
  const day = 24 * hour
  const made = [-3, -2, -1, 20].map((days) => ({ madeAt: now + days * day }))
  expect(oldestOfUse(made, { daily: 7, now })).toBe(now - 3 * day - hour)
  expect(oldestOfUse(made, { daily: 2, now })).toBe(now - 2 * day - hour)
  expect(oldestOfUse([{ madeAt: now + 20 * day }], { daily: 7, now })).toBe(0)
})
