import { fork } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import type { Config } from '../config.js'
import type { Db } from '../database/open.js'
import { removeGradually } from '../database/remove-gradually.js'
import { readSetting, writeSetting } from '../database/settings.js'
import type { Job, JobRun } from './jobs.js'
import { factsInWords } from './restore.js'

interface Needs {
  db: Db
  config: Config
  now: () => number
}

const provenSetting = 'restore_proven'
const Proven = z.object({ at: z.number(), asOf: z.number(), facts: z.record(z.string(), z.number()) })
type Result = { asOf: number; facts: Record<string, number>; corrected: string[] }

/** When a backup was last restored and proven, and of which instant it was; null when none ever was. */
export async function lastProvenRestore(db: Db): Promise<z.infer<typeof Proven> | null> {
  const kept = await readSetting(db, provenSetting)
  return kept ? Proven.parse(JSON.parse(kept)) : null
}

/** Every week, whether the last backup can be restored is found out by restoring it. */
export function restoreCheckJob({ db, config, now }: Needs): Job {
  return {
    name: 'try-restore',
    title: 'Try a restore',
    what: 'Restores the last backup into a folder of its own, checks every page and counts all facts anew, then removes it.',
    schedule: '40 3 * * 0',
    async run(run) {
      const scratch = join(config.DATA_DIR, scratchName)
      await removeScratch(config.DATA_DIR)
      mkdirSync(scratch, { mode: 0o700 })
      try {
        const { asOf, facts, corrected } = await inProcess(config, scratch, run)
        if (corrected.length > 0)
          throw new Error(
            `The last backup can be restored, but its counts did not equal its facts: ${corrected.join(', ')}. npm run rebuild-counts puts them right.`,
          )
        await writeSetting(db, provenSetting, JSON.stringify({ at: now(), asOf, facts }))
        return `The backup of ${new Date(asOf).toISOString()} can be restored: ${factsInWords(facts)}.`
      } finally {
        // Whoever gave it up may be about to end the process: the next try removes what is left.
        const removed = removeScratch(config.DATA_DIR)
        if (run.signal.aborted) removed.catch(() => undefined)
        else await removed
      }
    },
  }
}

const scratchName = 'restore-check'

/** The folder of this try, and what one that was broken off has left. */
async function removeScratch(dataDir: string) {
  for (const name of readdirSync(dataDir))
    if (name === scratchName || name.startsWith(`${scratchName}.part-`))
      await removeGradually(join(dataDir, name))
}

function inProcess(config: Config, scratch: string, { signal, log }: JobRun) {
  const here = import.meta.url
  const isSource = here.endsWith('.ts')
  const file = fileURLToPath(new URL(`./restore-process.${isSource ? 'ts' : 'js'}`, here))
  // From sources, during development and tests, TypeScript has to be understood.
  const child = fork(file, { execArgv: isSource ? ['--import', 'tsx'] : [], stdio: 'ignore', signal })
  if (child.pid !== undefined) setPriority(child.pid, 10) // the doors come first
  return new Promise<Result>((resolve, reject) => {
    child.on('message', ({ line, result, error }: { line?: string; result?: Result; error?: string }) => {
      if (line) log(line)
      if (result) resolve(result)
      if (error) reject(new Error(error))
    })
    child.on('error', (error) => reject(signal.aborted ? signal.reason : error))
    child.on('exit', () => reject(new Error('The process that tried the restore ended.')))
    child.send({ config, scratch })
  })
}
