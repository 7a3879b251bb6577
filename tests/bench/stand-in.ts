// Buttondown's stand-in in a process of its own, without a limit of requests, as `processes.ts` starts it: what it
// holds is told in the environment.
import { startButtondown } from '../support/buttondown.js'
import { makeNewsletter } from './newsletter.js'

const world = makeNewsletter(JSON.parse(process.env.NEWSLETTER!), Date.now())
const standIn = await startButtondown({ world, key: process.env.KEY! })
console.log(JSON.stringify({ port: Number(new URL(standIn.url).port), msg: 'listening' }))
process.on('SIGTERM', () => process.exit(0))
