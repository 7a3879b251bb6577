// `npm run job -- NAME`: runs a job from a terminal; without a name, lists them. A server that is running performs it; else this process does.
import { command } from './installation.js'
import { runJob } from './run-job.js'

await command(() => runJob(process.argv.slice(2).join(' ') || undefined))
