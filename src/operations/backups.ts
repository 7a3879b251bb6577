import { createHmac } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import type { SettingsSection } from '../accounts/settings.js'
import { type Config, version } from '../config.js'
import { packCopy } from '../database/backup.js'
import { firstMadeAt } from '../database/migrate.js'
import type { Db } from '../database/open.js'
import { removeGradually } from '../database/remove-gradually.js'
import { readSetting, writeSetting } from '../database/settings.js'
import { installationSecret } from '../secret.js'
import type { Calendar } from '../web/calendar.js'
import { bytes, plural } from '../web/formats.js'
import { formErrors } from '../web/forms.js'
import {
  type Backup,
  backupName,
  backupsBefore,
  countedFacts,
  instantOfName,
  type Keeping,
  listBackups,
  makePrivateFolder,
  manifestName,
  packedName,
  removeBackup,
  tooOld,
  usualKeeping,
  writeManifest,
} from './backup-files.js'
import { type RemoteStore, remoteStore } from './backup-store.js'
import type { Job, JobRun } from './jobs.js'
import { restorable } from './restorable.js'
import {
  arranged,
  inOrder,
  oldestOfUse,
  type PassphraseMark,
  removeSegments,
  segmentJob,
} from './segments.js'

interface Needs {
  db: Db
  config: Config
  calendar: Calendar
}

const keepingSetting = 'backup_keeping'
const markSetting = 'backup_passphrase_mark'
/** Files of the data folder that a database without them would miss; small ones. */
const companionNames = ['erasures', 'networks.json']

const words: Record<string, string> = {
  copy: 'Copying',
  check: 'Checking the copy',
  pack: 'Packing',
  verify: 'Reading it again',
}

/** What seals the write-ahead log, where that is done. */
export interface Sealing {
  /** Seals what is committed by now. @returns the chain and the number of its last segment */
  seal(): Promise<{ chain: string; number: number }>
}

/** The backups of this installation: made, kept, and brought to where the disk of this machine is not. */
export function openBackups({ db, config, calendar }: Needs) {
  const folder = config.BACKUP_DIR
  const remote = remoteStore(config)
  const points = restorable(folder)
  let sealing: Sealing | null = null
  /** The chain to which the archive adds now. */
  let chain: string | null = null

  async function keeping(): Promise<Keeping> {
    const kept = /^(\d+)\/(\d+)\/(\d+)$/.exec((await readSetting(db, keepingSetting)) ?? '')
    return kept ? { daily: +kept[1]!, weekly: +kept[2]!, monthly: +kept[3]! } : usualKeeping
  }

  /** Makes a backup now, and removes those that are too old. @returns the path of the packed database */
  async function make({ signal, progress, log }: JobRun): Promise<string> {
    makePrivateFolder(folder)
    await removeParts(folder)
    const path = join(config.DATA_DIR, 'throughline.db')
    const size = statSync(path).size
    const { bavail, bsize } = statfsSync(folder)
    // The bare copy stands beside the packed one for a while.
    if (bavail * bsize < size * 1.5)
      throw new Error(
        `There is no room for a backup: it needs ${bytes(size * 1.5)} and ${folder} has ${bytes(bavail * bsize)} left.`,
      )
    // A backup is made even where the log cannot be sealed; it then stands alone.
    const seal = () => sealing?.seal().catch(() => undefined)
    const before = await seal()
    let after: Promise<Awaited<ReturnType<Sealing['seal']>> | undefined> = Promise.resolve(undefined)
    const part = join(folder, 'under-way')
    const copy = await packCopy({
      path,
      raw: `${part}.db.part`,
      packed: `${part}.db.gz.part`,
      counted: countedFacts,
      signal,
      snapshot() {
        after = Promise.resolve(seal())
      },
      progress: (stage, done, of) => progress(done, of, words[stage]),
    })
    const through = await after
    chain = through?.chain ?? null
    let at = copy.made_at
    while (existsSync(join(folder, manifestName(backupName(at))))) at += 1000 // two within one second
    const name = backupName(at)
    renameSync(`${part}.db.gz.part`, join(folder, packedName(name)))
    const { made_at, ...described } = copy
    writeManifest(folder, name, {
      format: 1,
      version,
      ...described,
      made_at: new Date(made_at).toISOString(),
      companions: readCompanions(),
      segments:
        before && through && before.chain === through.chain
          ? { chain: before.chain, after: before.number, through: through.number }
          : null,
    })
    log(
      `${bytes(copy.database_bytes)} packed to ${bytes(copy.bytes)}, checked and read again: ${join(folder, packedName(name))}`,
    )
    await removeOld(log)
    return join(folder, packedName(name))
  }

  function readCompanions(): Record<string, string> {
    const names = config.BACKUP_INCLUDE_SECRETS ? [...companionNames, 'secret'] : companionNames
    return Object.fromEntries(
      names
        .map((name) => [name, join(config.DATA_DIR, name)] as const)
        .filter(([, path]) => existsSync(path))
        .map(([name, path]) => [name, readFileSync(path, 'utf8')]),
    )
  }

  const daysOfUse = async () => ({ daily: (await keeping()).daily, now: Date.now() })

  async function removeOld(log: JobRun['log']) {
    const all = listBackups(folder)
    const gone = tooOld(all, await keeping(), calendar.dayOf)
    for (const { name } of gone) {
      await removeBackup(folder, name)
      log(`Removed ${name}, which is too old by the rule.`)
    }
    // Any instant of the days of which every backup is kept can be restored; further back, the backups themselves.
    const kept = all.filter((backup) => !gone.includes(backup))
    removeSegments(folder, oldestOfUse(kept, await daysOfUse()), { current: chain })
  }

  /**
   * What another database brought there is all that its owner may have left of it: beside that nothing is put, since the
   * newest of two databases would be taken for the last state of one, and nothing is removed.
   */
  async function refuseOthers(remote: RemoteStore, there: Iterable<string>) {
    const here = new Set(listBackups(folder).map(({ name }) => name))
    const others = backupsBefore(there, await firstMadeAt(db)).filter((name) => !here.has(name))
    const newest = others.at(-1)
    if (newest !== undefined)
      throw new Error(
        `${remote.title} has ${plural(others.length, 'backup', 'backups')} of a database from before this one, the newest ${newest}. Nothing is brought there and nothing is removed. If its machine is lost, stop this server and say npm run restore -- --from bucket; if not, give this installation a BACKUP_S3_PREFIX of its own.`,
      )
  }

  // Copies that need two passphrases together can be restored with neither: what is here goes there again under the new one.
  // The mark is keyed with the installation's secret, so that nobody can try passphrases on it.
  const mark = config.BACKUP_PASSPHRASE
    ? createHmac('sha256', installationSecret(config.DATA_DIR))
        .update(config.BACKUP_PASSPHRASE)
        .digest('base64url')
    : ''
  let isRemembered = false
  const passphrase: PassphraseMark = {
    async isAnother() {
      const kept = mark && (await readSetting(db, markSetting))
      return Boolean(kept) && kept !== mark
    },
    async remember() {
      if (!isRemembered && mark) await writeSetting(db, markSetting, mark)
      isRemembered = true
    },
  }

  /** One after another: a backup of gigabytes is brought there once. */
  let bringing: Promise<void> = Promise.resolve()
  function upload(run: JobRun): Promise<void> {
    bringing = bringing.catch(() => {}).then(() => bring(run))
    return bringing
  }

  /** Brings whatever is not there yet to the remote store, and takes away there what is gone here by the rule. */
  async function bring({ signal, progress, log }: JobRun) {
    if (!remote) return
    const found = await remote.list('throughline-')
    await refuseOthers(remote, [...found.keys(), ...(await remote.locked('throughline-'))])
    const there = await arranged(remote, found)
    if (await passphrase.isAnother()) there.names.clear()
    const missing = listBackups(folder)
      .reverse()
      .filter(({ name }) => !there.names.has(manifestName(name)))
    for (const [index, { name, manifest }] of missing.entries()) {
      signal.throwIfAborted()
      progress(index, missing.length, `Bringing ${name} to ${remote.title}`)
      // What says that it is there comes last.
      for (const file of [packedName(name), manifestName(name)])
        await remote.put(file, join(folder, file), signal)
      for (const file of [packedName(name), manifestName(name)])
        if (there.open.has(file)) await remote.removeOpen(file)
      signal.throwIfAborted()
      log(`${bytes(manifest.bytes)} brought to ${remote.title}: ${name}`)
    }
    // Those that lie there open, from before there was a passphrase, and are not here go by the same rule.
    const all = await remote.list('throughline-')
    const held = new Set([...all.keys()].map((file) => file.replace(/\.(json|db\.gz)$/, '')))
    const whole = [...held].flatMap((name) => {
      const madeAt = instantOfName(name)
      return madeAt === null || !all.has(manifestName(name)) ? [] : [{ name, madeAt }]
    })
    const gone = tooOld(whole, await keeping(), calendar.dayOf).map(({ name }) => name)
    // What lacks its description was broken off, or is gone already but for this.
    const halves = [...held].filter(
      (name) => instantOfName(name) !== null && !whole.some((backup) => backup.name === name),
    )
    for (const name of new Set([...gone, ...halves])) {
      await remote.remove(manifestName(name))
      await remote.remove(packedName(name))
      log(`Removed ${name} from ${remote.title}.`)
    }
    const before = oldestOfUse(
      whole.filter(({ name }) => !gone.includes(name)),
      await daysOfUse(),
    )
    for (const { name, sealedAt } of inOrder((await remote.list('segments/')).keys()))
      if (sealedAt < before) await remote.remove(name)
  }

  const jobs: Job[] = [
    {
      name: 'back-up',
      title: 'Back up the database',
      what: 'Makes a packed and checked copy of the database, brings it to the remote store where one is set up, and removes copies that are too old.',
      schedule: '30 2 * * *',
      async run(run) {
        const path = await make(run)
        await upload(run)
        return `${bytes(statSync(path).size)}, checked: ${path}`
      },
    },
    ...(remote ? [segmentJob({ folder, remote, begin: upload, passphrase })] : []),
  ]

  return {
    folder,
    remote: remote as RemoteStore | null,
    jobs,
    keeping,
    list: () => listBackups(folder),
    /** What can be restored between and after these, newest first. */
    spans: points.spans,
    /** The newest backup in the local folder; null where there is none. */
    last: (): Backup | null => listBackups(folder)[0] ?? null,
    /** From now on what is written between backups is sealed too. */
    use(archive: Sealing) {
      sealing = archive
    },
  }
}
export type Backups = ReturnType<typeof openBackups>

/** What a backup or a removal that was broken off has left; the folder may hold files of somebody else's. */
async function removeParts(folder: string) {
  for (const name of readdirSync(folder))
    if (/^(under-way\.db(\.gz)?|throughline-\w+\.(json|db\.gz))\.part/.test(name))
      await removeGradually(join(folder, name))
}

const count = (least: number, sentence: string) =>
  z.coerce.number(sentence).int(sentence).min(least, sentence).max(1000, sentence)
const Form = z.object({
  backup_daily: count(1, 'The days are a number from 1 to 1000.'),
  backup_weekly: count(0, 'The weeks are a number from 0 to 1000.'),
  backup_monthly: count(0, 'The months are a number from 0 to 1000.'),
})

/** The page of the settings about how many backups are kept. */
export function backupSection({ db, backups }: { db: Db; backups: Backups }): SettingsSection {
  return {
    id: 'backups',
    title: 'Backups',
    fragment: 'operations/_backup-settings.njk',
    async load() {
      const { daily, weekly, monthly } = await backups.keeping()
      return { backup_daily: daily, backup_weekly: weekly, backup_monthly: monthly }
    },
    async save(body) {
      const form = Form.safeParse(body)
      if (!form.success) return { errors: formErrors(form.error) }
      const { backup_daily, backup_weekly, backup_monthly } = form.data
      await writeSetting(db, keepingSetting, `${backup_daily}/${backup_weekly}/${backup_monthly}`)
      return { told: 'The next backup removes what is too old by this.' }
    },
  }
}
