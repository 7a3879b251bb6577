// `npm run backup`: makes a backup now and prints its path. A server that is running performs it; else this process does.
import { command } from './installation.js'
import { runJob } from './run-job.js'

await command(() => runJob('back-up'))
