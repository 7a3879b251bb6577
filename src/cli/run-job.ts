import { setTimeout as pause } from 'node:timers/promises'
import { Refusal } from '../accounts/terminal.js'
import { lockDataFolder } from '../database/lock.js'
import { endRun, findRun, lastRuns, linesOf } from '../operations/job-runs.js'
import { scheduleInWords } from '../operations/schedule.js'
import { dateFormats } from '../web/formats.js'
import { openWorkshop, type Workshop } from './workshop.js'

/** Milliseconds from one look at the run to the next. */
const lookEvery = 250
const askedBy = 'the command line'

/**
 * Runs a job from a terminal and tells what it says, to its end. A server that is running performs it; else this process
 * does, and no server can start until it is done. Without a name it lists the jobs.
 * @throws Refusal with what a failed run said; with a name that no job has, with the list
 */
export async function runJob(name: string | undefined) {
  const workshop = await openWorkshop()
  const { config, db, jobs, isServed } = workshop
  let interrupted = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      interrupted = true
    })
  try {
    if (name === undefined || !jobs.list().some((job) => job.name === name)) {
      const list = await listInWords(workshop)
      if (name === undefined) return console.log(list)
      throw new Refusal(`There is no job called ${name}.\n\n${list}`)
    }
    const { run, isNew } = isServed ? await jobs.ask(name, askedBy) : await jobs.begin(name, askedBy)
    if (isServed)
      console.log(
        isNew
          ? 'The server that is running performs it.'
          : 'It is under way in the server already. This is what it says.',
      )
    for (let said = 0; ; ) {
      const now = await findRun(db, run.id)
      const lines = (await linesOf(db, [run.id])).get(run.id) ?? []
      for (const { line } of lines.slice(said)) console.log(line)
      said = lines.length
      if (!now) throw new Refusal('The run is gone: the database was put back meanwhile.')
      if (now.state === 'done') return console.log(now.result || 'Done.')
      if (now.state === 'failed') throw new Refusal(now.error ?? 'It failed.')
      if (now.endedAt !== null) {
        console.log('It was stopped.')
        process.exitCode = 130
        return
      }
      if (interrupted && isServed) {
        console.log(`The server goes on. To cancel it: ${config.BASE_URL}/operations/jobs/${name}`)
        process.exitCode = 130
        return
      }
      if (interrupted) await jobs.cancel(name)
      if (isServed && isFree(config.DATA_DIR)) {
        if (now.state === 'waiting')
          await endRun(db, run.id, { state: 'cancelled', result: '', error: null }, Date.now())
        throw new Refusal('The server has stopped. Start it, or run the command again.')
      }
      await pause(lookEvery)
    }
  } finally {
    await workshop.close()
  }
}

/** Each job with its schedule, what it does, and how its last run went. */
async function listInWords({ config, db, jobs }: Workshop) {
  const all = jobs.list()
  const last = await lastRuns(
    db,
    all.map(({ name }) => name),
  )
  const { exact } = dateFormats({ timeZone: config.TIME_ZONE })
  const lines = all.map(({ name, schedule, what }) => {
    const run = last.get(name)
    const outcome = run ? `${run.state}, ${exact(run.endedAt ?? run.startedAt)}` : 'none'
    const error = run?.error ? `: ${run.error}` : ''
    return `  ${name}\n    ${what}\n    Runs ${scheduleInWords(schedule)}. Last run: ${outcome}${error}`
  })
  return `npm run job -- NAME runs one of these now:\n\n${lines.join('\n\n')}`
}

function isFree(dataDir: string) {
  const unlock = lockDataFolder(dataDir)
  unlock?.()
  return unlock !== null
}
