import { setTimeout as pause } from 'node:timers/promises'
import { Refusal } from '../accounts/terminal.js'
import { lockDataFolder } from '../database/lock.js'
import { endRun, findRun, linesOf } from '../operations/job-runs.js'
import { openWorkshop } from './workshop.js'

/** Milliseconds from one look at the run to the next. */
const lookEvery = 250
const askedBy = 'the command line'

/**
 * Runs a job from a terminal and tells what it says, to its end. A server that is running performs it; else this process
 * does, and no server can start until it is done.
 * @throws Refusal with what a failed run said; without a name, or with one that no job has, with the names there are
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
    const known = jobs.list()
    if (name === undefined || !known.some((job) => job.name === name)) {
      const lines = known.map((job) => `  ${job.name.padEnd(30)} ${job.title}`)
      throw new Refusal(`Usage:\n  npm run job -- NAME\n\n${lines.join('\n')}`)
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

function isFree(dataDir: string) {
  const unlock = lockDataFolder(dataDir)
  unlock?.()
  return unlock !== null
}
