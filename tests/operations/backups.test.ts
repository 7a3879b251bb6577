import { createHash, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/database/open.js'
import { type Keeping, listBackups, tooOld } from '../../src/operations/backup-files.js'
import { listRuns } from '../../src/operations/job-runs.js'
import type { restore } from '../../src/operations/restore.js'
import { lastProvenRestore } from '../../src/operations/restore-check.js'
import { FileSeal } from '../../src/operations/sealed-files.js'
import { aFolder, type TestApp, testApp } from '../support/app.js'
import { aBucket } from '../support/bucket.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'
import { restoring as restored } from '../support/restoring.js'

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const day = 86_400_000
const hashOf = (rows: { body: Uint8Array | null }[]) => {
  const hash = createHash('sha256')
  for (const { body } of rows) hash.update(body!)
  return hash.digest('hex')
}

/** An installation with events, of which there is a backup. */
async function backedUp({ events = 3, env = {} }: { events?: number; env?: Record<string, string> } = {}) {
  const app = await testApp({ env })
  const { id } = await aCampaign(app)
  for (let number = 0; number < events; number++)
    await anEvent(app, { cid: id, email: `reader${number}@fernmail.example` })
  await app.jobs.perform('back-up')
  return { app, cid: id }
}

/** An installation with 18 MB that cannot be packed. */
async function aLargeDatabase() {
  const app = await testApp()
  for (let key = 0; key < 6; key++)
    await app.db
      .insertInto('inbox')
      .values({
        provider: 'buttondown',
        key: `delivery ${key}`,
        event_type: 'x.y',
        received_at: key,
        body: randomBytes(3_000_000),
        state: 'kept',
      })
      .execute()
  return app
}

/** The same with a second backup, of one event more. */
async function backedUpTwice() {
  const { app, cid } = await backedUp()
  const first = app.backups.last()!
  await anEvent(app, { cid, email: 'later@fernmail.example' })
  await app.jobs.perform('back-up')
  return { app, first, second: app.backups.last()! }
}

/** Restores into the installation itself, unless the wish says otherwise. */
const restoring = ({ config }: Pick<TestApp, 'config'>, wish: Partial<Parameters<typeof restore>[0]> = {}) =>
  restored({ config, ...wish })

async function eventsIn(dataDir: string) {
  const db = openDatabase(join(dataDir, 'throughline.db'))
  const rows = await db.selectFrom('events').select('id').execute()
  await db.destroy()
  return rows.length
}

describe('a backup', () => {
  it('is packed, described, for its owner alone, and leaves nothing half done', async () => {
    const { app } = await backedUp()
    const folder = join(app.dataDir, 'backups')
    const [backup, ...others] = listBackups(folder)
    expect(others).toEqual([])
    expect(backup!.manifest).toMatchObject({ facts: { events: 3, contacts: 3 }, segments: null })
    expect(readdirSync(folder).sort()).toEqual([`${backup!.name}.db.gz`, `${backup!.name}.json`])
    expect(modeOf(folder)).toBe('700')
    for (const file of readdirSync(folder)) expect(modeOf(join(folder, file))).toBe('600')
    const [run] = await listRuns(app.db, 'back-up', { limit: 1 })
    expect(run!.result).toContain(join(folder, `${backup!.name}.db.gz`))
    expect(run!.progress.words).toBe('Reading it again')
  })

  it('of more than is packed and brought to the disk at a time is whole', async () => {
    const app = await aLargeDatabase()
    await app.jobs.perform('back-up')
    const bodies = (db: typeof app.db) =>
      db.selectFrom('inbox').select(['key', 'body']).orderBy('id').execute()
    const folder = aFolder()
    await restoring({ config: { ...app.config, DATA_DIR: folder } })
    const restored = openDatabase(join(folder, 'throughline.db'))
    expect(hashOf(await bodies(restored))).toBe(hashOf(await bodies(app.db)))
    await restored.destroy()
    // Others unpack it as they do any such file.
    const path = join(app.dataDir, 'backups', `${app.backups.last()!.name}.db.gz`)
    expect(gunzipSync(readFileSync(path)).length).toBe(app.backups.last()!.manifest.database_bytes)
  })

  it('that is cancelled leaves nothing half done', async () => {
    const app = await aLargeDatabase()
    const folder = join(app.dataDir, 'backups')
    const making = app.jobs.perform('back-up')
    const isPacking = () => existsSync(join(folder, 'under-way.db.gz.part'))
    await expect.poll(isPacking, { interval: 5, timeout: 20_000 }).toBe(true)
    expect(await app.jobs.cancel('back-up')).toBe(true)
    await making
    expect(app.backups.last()).toBeNull()
    await expect
      .poll(() => readdirSync(folder).filter((name) => name.includes('.part')), { timeout: 20_000 })
      .toEqual([])
  })

  it('takes away what an earlier one left half done, and no file of anybody else', async () => {
    const { app } = await backedUp()
    const folder = join(app.dataDir, 'backups')
    const halves = ['under-way.db.part', 'under-way.db.part-wal', 'under-way.db.gz.part']
    for (const name of [...halves, 'throughline-20261120T023000Z.json.part', 'holiday.part1.rar'])
      writeFileSync(join(folder, name), 'half')
    await app.jobs.perform('back-up')
    expect(readdirSync(folder).filter((name) => name.includes('.part'))).toEqual(['holiday.part1.rar'])
  })

  it('holds the secret only where that is asked for', async () => {
    const { app } = await backedUp()
    expect(app.backups.last()!.manifest.companions).not.toHaveProperty('secret')
    const open = await backedUp({ env: { BACKUP_INCLUDE_SECRETS: '1' } })
    expect(open.app.backups.last()!.manifest.companions.secret).toMatch(/^\w{64}\s*$/)
  })

  it('is one state although events come in meanwhile', async () => {
    const { app, cid } = await backedUp()
    let done = false
    const making = app.jobs.perform('back-up').finally(() => {
      done = true
    })
    let sent = 3
    while (!done) await anEvent(app, { cid, email: `more${sent++}@fernmail.example` })
    await making
    const { manifest } = app.backups.last()!
    expect(manifest.facts.events).toBe(manifest.facts.contacts)
    expect(manifest.facts.events).toBeLessThanOrEqual(sent)
    rmSync(join(app.dataDir, 'erasures'), { force: true })
    const folder = aFolder()
    const elsewhere = { config: { ...app.config, DATA_DIR: folder } }
    const restored = await restoring(elsewhere)
    expect(restored).toMatchObject({ corrected: [], facts: manifest.facts })
  })
})

describe('the grandfather rule', () => {
  const start = Date.UTC(2026, 0, 1, 2, 30)
  const dayOf = (instant: number) => new Date(instant).toISOString().slice(0, 10)
  const daily = (days: number) =>
    Array.from({ length: days }, (_, index) => ({ madeAt: start + index * day }))
  const kept = (days: number, keeping: Keeping) => {
    const backups = daily(days)
    const gone = new Set(tooOld(backups, keeping, dayOf))
    return backups.filter((backup) => !gone.has(backup)).map(({ madeAt }) => dayOf(madeAt))
  }

  it('keeps the newest of each of the last days, weeks and months', () => {
    expect(kept(120, { daily: 3, weekly: 2, monthly: 3 })).toEqual([
      '2026-02-28',
      '2026-03-31',
      '2026-04-26', // a Sunday, the last of its week
      '2026-04-28',
      '2026-04-29',
      '2026-04-30',
    ])
  })
  it('keeps the newest of all, whatever the rule', () => {
    expect(kept(5, { daily: 1, weekly: 0, monthly: 0 })).toEqual(['2026-01-05'])
    expect(tooOld([{ madeAt: start }], { daily: 0, weekly: 0, monthly: 0 }, dayOf)).toEqual([])
  })
  it('counts days that have a backup, so that a rest of a month takes none away', () => {
    const backups = [{ madeAt: start }, { madeAt: start + 60 * day }]
    expect(tooOld(backups, { daily: 2, weekly: 0, monthly: 0 }, dayOf)).toEqual([])
  })
})

describe('a restore', () => {
  it('brings everything back on an empty machine, proves it, and says so', async () => {
    const { app } = await backedUp({ events: 5 })
    await app.stop()
    const folder = aFolder()
    const restored = await restoring({ config: { ...app.config, DATA_DIR: folder } })
    expect(restored).toMatchObject({ aside: null, corrected: [], facts: { events: 5, contacts: 5 } })
    expect(restored.said).toContain('What was packed is what was unpacked (SHA-256).')
    expect(restored.said).toContain('Every page and every reference is right.')
    expect(restored.said).toContain('Every count equals its facts.')
    expect(modeOf(join(folder, 'throughline.db'))).toBe('600')
    const again = await testApp({ dataDir: folder })
    await again.http.get('/healthz').expect(200)
    expect(readdirSync(folder).filter((name) => name.startsWith('restoring'))).toEqual([])
  })

  it('counts anew what does not equal its facts, and says which counts those were', async () => {
    const app = await testApp()
    const wrong = { impressions: 0, clicks: 7, repeated_clicks: 0, machine_clicks: 0 }
    await app.db
      .insertInto('promo_quarters')
      .values({ offer_id: 1, quarter_at: 0, ...wrong })
      .execute()
    await app.db
      .insertInto('promo_offer_counts')
      .values({ offer_id: 1, ...wrong })
      .execute()
    await app.jobs.perform('back-up')
    await app.stop()
    const restored = await restoring({ config: { ...app.config, DATA_DIR: aFolder() } })
    expect([...restored.corrected].sort()).toEqual(['promo_offer_counts', 'promo_quarters'])
  })

  it('leaves a newer database alone, unless it is forced, and keeps it aside then', async () => {
    const { app, cid } = await backedUp()
    app.clock.at = Date.now() + day
    await anEvent(app, { cid, email: 'newer@fernmail.example' })
    await app.stop()
    await expect(restoring(app)).rejects.toThrow(/is newer: .* Say --force/)
    expect(await eventsIn(app.dataDir)).toBe(4)
    const { aside } = await restoring(app, { force: true })
    expect(await eventsIn(app.dataDir)).toBe(3)
    expect(await eventsIn(aside!)).toBe(4)
  })

  it('leaves alone a database in which nothing but a campaign is newer', async () => {
    const { app } = await backedUp()
    app.clock.at = Date.now() + day
    await aCampaign(app)
    await app.stop()
    await expect(restoring(app)).rejects.toThrow(/is newer: .* Say --force/)
  })

  it('takes the place of a database that cannot be read', async () => {
    const { app } = await backedUp()
    await app.stop()
    writeFileSync(app.path, randomBytes(100_000))
    const { aside } = await restoring(app)
    expect(statSync(join(aside!, 'throughline.db')).size).toBe(100_000)
    expect(await eventsIn(app.dataDir)).toBe(3)
  })

  it('refuses what is damaged, and changes nothing then', async () => {
    const { app } = await backedUp()
    await app.stop()
    const packed = join(app.backups.folder, `${app.backups.last()!.name}.db.gz`)
    const before = readFileSync(app.path)
    const bytes = readFileSync(packed)
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(packed, bytes)
    await expect(restoring(app, { force: true })).rejects.toThrow(
      /cannot be unpacked|is not what was written/,
    )
    expect(readFileSync(app.path).equals(before)).toBe(true)
    await expect(restoring(app, { from: join(app.dataDir, 'nothing') })).rejects.toThrow(
      /neither a file nor a folder/,
    )
  })

  it('takes a single file by its path, or by the name that the list has', async () => {
    const { app } = await backedUp()
    await app.stop()
    const { name } = app.backups.last()!
    for (const from of [join(app.backups.folder, `${name}.db.gz`), `${name}.db.gz`, name]) {
      const restored = await restoring(app, { from, force: true })
      expect(restored.facts.events).toBe(3)
      expect(restored.said.join(' ')).toContain('restored as it was made')
    }
  })

  it('names the backup before a damaged one, and takes it where it is told to leave that out', async () => {
    const { app, first, second } = await backedUpTwice()
    await app.stop()
    appendFileSync(join(app.backups.folder, `${second.name}.db.gz`), 'x')
    const firstAt = new Date(first.madeAt).toISOString().slice(0, 19).replace('T', ' ')
    await expect(restoring(app, { force: true })).rejects.toThrow(
      `The one before it is of ${firstAt} UTC: say --without ${second.name}`,
    )
    const restored = await restoring(app, { force: true, without: [second.name] })
    expect(restored.facts.events).toBe(3)
    appendFileSync(join(app.backups.folder, `${first.name}.db.gz`), 'x')
    await expect(restoring(app, { force: true, without: [second.name] })).rejects.toThrow(
      'There is none before it.',
    )
  })

  it('of a damaged description finds the backup before it', async () => {
    const { app, first, second } = await backedUpTwice()
    expect(second.name).not.toBe(first.name)
    appendFileSync(join(app.backups.folder, `${second.name}.json`), 'x')
    await app.stop()
    expect((await restoring(app, { force: true })).facts.events).toBe(3)
  })

  it('at an instant takes the newest backup from before', async () => {
    const { app, cid } = await backedUp()
    const { madeAt } = app.backups.last()!
    await anEvent(app, { cid, email: 'later@fernmail.example' })
    await new Promise((resolve) => setTimeout(resolve, 1100)) // names tell seconds apart
    await app.jobs.perform('back-up')
    await app.stop()
    expect((await restoring(app, { at: madeAt + 500, force: true })).facts.events).toBe(3)
    await expect(restoring(app, { at: madeAt - day, force: true })).rejects.toThrow(/no backup from before/)
    expect((await restoring(app, { force: true })).facts.events).toBe(4)
  })

  it('leaves who was erased since the backup erased', async () => {
    const { app } = await backedUp()
    writeFileSync(join(app.dataDir, 'erasures'), '+ newer 1\n')
    await app.jobs.perform('back-up')
    writeFileSync(join(app.dataDir, 'erasures'), '+ newer 1\n+ newest 2\n')
    await app.stop()
    await restoring(app, { force: true })
    expect(readFileSync(join(app.dataDir, 'erasures'), 'utf8')).toBe('+ newer 1\n+ newest 2\n')
    const folder = aFolder()
    await restoring({ config: { ...app.config, DATA_DIR: folder } })
    expect(readFileSync(join(folder, 'erasures'), 'utf8')).toBe('+ newer 1\n')
  })

  it('is tried by a job, in a process of its own, and what it proved is kept', async () => {
    const { app } = await backedUp()
    await app.jobs.perform('try-restore')
    const [run] = await listRuns(app.db, 'try-restore', { limit: 1 })
    expect(run!.result).toMatch(/can be restored: 3 events, 0 engagements/)
    expect(await lastProvenRestore(app.db)).toMatchObject({
      at: app.clock.at,
      asOf: app.backups.last()!.madeAt,
    })
    expect(existsSync(join(app.dataDir, 'restore-check'))).toBe(false)
    rmSync(app.backups.folder, { recursive: true })
    await expect(app.jobs.perform('try-restore')).rejects.toThrow(/There is no backup in/)
  }, 300_000) // two processes that have to be started from their sources
})

describe('a remote store', () => {
  it('gets what it lacks, sealed, and is restored from when the machine is gone', async () => {
    const bucket = await aBucket()
    const env = { ...bucket.env, BACKUP_PASSPHRASE: 'a quiet harbour at dawn' }
    bucket.refuse(2) // the client repeats
    const { app } = await backedUp({ env })
    const { name } = app.backups.last()!
    expect([...bucket.objects.keys()].sort()).toEqual([
      `throughline/${name}.db.gz.sealed`,
      `throughline/${name}.json.sealed`,
    ])
    for (const bytes of bucket.objects.values()) {
      expect(bytes.subarray(0, 7).toString()).toBe('TLSEAL1')
      expect(bytes.includes('fernmail')).toBe(false)
      expect(bytes.includes('sha256')).toBe(false)
    }
    await app.stop()
    rmSync(app.dataDir, { recursive: true })
    const folder = aFolder()
    const fresh = { config: { ...app.config, DATA_DIR: folder, BACKUP_DIR: join(folder, 'backups') } }
    const wrong = { config: { ...fresh.config, BACKUP_PASSPHRASE: 'another passphrase' } }
    await expect(restoring(wrong)).rejects.toThrow(/BACKUP_PASSPHRASE is not the one/)
    expect((await restoring(fresh)).facts.events).toBe(3)
  })

  it('that does not answer is named, and can be done without', async () => {
    const { app } = await backedUp()
    await app.stop()
    const config = { ...app.config, BACKUP_S3_BUCKET: 'copies', BACKUP_S3_ENDPOINT: 'http://127.0.0.1:9' }
    await expect(restoring({ config }, { force: true })).rejects.toThrow(
      /^copies at 127\.0\.0\.1:9 cannot be asked what it has: .* name the folder of backups with --from\.$/,
    )
    const { facts } = await restoring({ config }, { from: app.backups.folder, force: true })
    expect(facts.events).toBe(3)
  })

  it('stands in for a backup that is damaged here', async () => {
    const bucket = await aBucket()
    const { app } = await backedUp({ env: bucket.env })
    await app.stop()
    appendFileSync(join(app.backups.folder, `${app.backups.last()!.name}.db.gz`), 'x')
    const restored = await restoring(app, { force: true })
    expect(restored.facts.events).toBe(3)
    expect(restored.said.join(' ')).toMatch(/cannot be unpacked.* Fetching throughline-/)
  })

  it('keeps by the same rule, and gets later what it could not take', async () => {
    const bucket = await aBucket()
    const { app } = await backedUp({ env: bucket.env })
    const first = app.backups.last()!
    const old = 'throughline-20240101T023000Z'
    await sql`update kysely_migration set timestamp = '2020-01-01T00:00:00.000Z'`.execute(app.db)
    for (const suffix of ['.db.gz', '.json'])
      bucket.objects.set(`throughline/${old}${suffix}`, Buffer.from('{}'))
    const person = await aPerson(app)
    await person
      .send('/settings/backups', { backup_daily: '1', backup_weekly: '0', backup_monthly: '0' })
      .expect(303)
    bucket.objects.delete(`throughline/${first.name}.json`)
    await app.jobs.perform('back-up')
    const { name } = app.backups.last()!
    const both = [first.name, name].flatMap((kept) => [
      `throughline/${kept}.db.gz`,
      `throughline/${kept}.json`,
    ])
    expect([...bucket.objects.keys()].sort()).toEqual(both)
    expect(app.backups.list().map((backup) => backup.name)).toEqual([name, first.name])
    await person
      .send('/settings/backups', { backup_daily: '0', backup_weekly: 'x', backup_monthly: '0' })
      .expect(422)
  })
})

describe('a sealed file', () => {
  const seal = new FileSeal('a quiet harbour at dawn')
  const sealed = async (bytes: Buffer) => buffer(Readable.from([bytes]).compose(await seal.sealing()))
  const opened = (bytes: Buffer, by = seal, piece = 100_000) => {
    const pieces = Array.from({ length: Math.ceil(bytes.length / piece) }, (_, index) =>
      bytes.subarray(index * piece, (index + 1) * piece),
    )
    return buffer(Readable.from(pieces).compose(by.opening()))
  }

  it('opens to what it was, whatever its length', async () => {
    for (const length of [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]) {
      const bytes = randomBytes(length)
      expect((await opened(await sealed(bytes))).equals(bytes)).toBe(true)
    }
    const another = new FileSeal('a quiet harbour at dawn')
    expect((await opened(await sealed(Buffer.from('word')), another, 5)).toString()).toBe('word')
  })

  it('does not open when a byte has changed, a chunk is missing, or the passphrase is another', async () => {
    const whole = await sealed(randomBytes(2_500_000))
    const chunk = (1 << 20) + 16
    for (const at of [3, 7, 12, 26, 40, 31 + chunk + 5, whole.length - 1]) {
      const changed = Buffer.from(whole)
      changed[at]! ^= 1
      await expect(opened(changed)).rejects.toThrow(/cannot be opened/)
    }
    await expect(opened(whole.subarray(0, 31 + 2 * chunk))).rejects.toThrow(/cannot be opened/)
    await expect(opened(whole.subarray(0, 20))).rejects.toThrow(/cannot be opened/)
    await expect(opened(Buffer.concat([whole.subarray(0, 31), whole.subarray(31 + chunk)]))).rejects.toThrow(
      /cannot be opened/,
    )
    await expect(opened(whole, new FileSeal('another passphrase'))).rejects.toThrow(/cannot be opened/)
  })
})

describe('/operations/backups', () => {
  it('says that there is none, makes one, and lists it', async () => {
    const app = await testApp()
    const person = await aPerson(app)
    const empty = await person.http.get('/operations/backups').expect(200)
    expect(empty.text).toContain('There is no backup yet')
    expect(empty.text).toContain('npm run restore -- --from latest')
    expect(empty.text).toContain('The installation’s secret is not in the backups')
    const answer = await person.send('/operations/jobs/back-up', { from: 'backups' }).expect(303)
    expect(answer.get('Location')).toBe('/operations/backups')
    await app.jobs.perform('back-up') // after the one that is under way
    const page = await person.http.get('/operations/backups').expect(200)
    const part = await person.part('/operations/backups').expect(200)
    for (const { name } of app.backups.list()) expect(page.text).toContain(name)
    expect(part.text).toContain('Backed up')
  })
})
