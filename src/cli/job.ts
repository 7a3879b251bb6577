// `npm run job -- NAME`: runs a job from a terminal. A server that is running performs it; else this process does.
import { command } from './installation.js'
import { runJob } from './run-job.js'

await command(() => runJob(process.argv.length === 3 ? process.argv[2] : undefined))
