// EmailOctopus' stand-in in a process of its own, as `processes.ts` starts it: what it holds, and whether it has the
// vendor's limit, is told in the environment.
import { startEmailOctopus } from '../support/emailoctopus.js'
import { makeAccount } from './octopus-account.js'

const world = makeAccount(JSON.parse(process.env.ACCOUNT!), Date.now())
const limit = process.env.LIMIT === '1' ? { capacity: 100, perSecond: 10 } : null
const standIn = await startEmailOctopus({ world, key: process.env.KEY!, weather: { limit } })
console.log(JSON.stringify({ port: Number(new URL(standIn.url).port), msg: 'listening' }))
process.on('SIGTERM', () => process.exit(0))
