import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Outcome, Spell } from './load.js'

const here = dirname(fileURLToPath(import.meta.url))

export interface Running {
  port: number
  pid: number
  /** The largest resident memory seen since the last call, in bytes. */
  memory(): number
  /** The longest wait for a turn of its event loop since the last call, in milliseconds, where {@link watched} is loaded. */
  longestWait(): number
  stop(): Promise<void>
}

/** Options for Node that make a server tell of its event loop. */
export const watched = ['--import', join(here, 'event-loop.js')]

/** Starts a program that logs `{"msg":"listening","port":…}` in a process of its own, and waits for that. */
export async function start(file: string, { env = {}, nodeOptions = [] as string[] } = {}): Promise<Running> {
  const child = spawn(process.execPath, [...nodeOptions, file], {
    env: { ...process.env, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const kill = () => child.kill()
  process.on('exit', kill)
  let waited = 0
  const port = await new Promise<number>((found, fail) => {
    closed.then(([code]) => fail(new Error(`${file} ended with ${code} before it listened.`)))
    createInterface(child.stdout!).on('line', (line) => {
      if (!line.startsWith('{')) return
      const entry = JSON.parse(line)
      if (entry.msg === 'listening') found(entry.port)
      else if (entry.msg === 'event loop') waited = Math.max(waited, entry.longest)
      else if (entry.level >= 50) console.error(line)
    })
  })
  let largest = 0
  const watch = setInterval(() => {
    largest = Math.max(largest, residentBytes(child.pid!))
  }, 100)
  return {
    port,
    pid: child.pid!,
    memory() {
      const seen = Math.max(largest, residentBytes(child.pid!))
      largest = 0
      return seen
    },
    longestWait() {
      const seen = waited
      waited = 0
      return seen
    },
    async stop() {
      clearInterval(watch)
      child.kill('SIGTERM')
      await closed
      process.off('exit', kill)
    },
  }
}

function residentBytes(pid: number) {
  try {
    const status = `/proc/${pid}/status`
    if (existsSync(status)) return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(status, 'utf8'))![1]) * 1024
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024
  } catch {
    return 0 // it has just ended
  }
}

/** The client, in a process of its own. */
export function client() {
  const child: ChildProcess = fork(join(here, 'load.ts'), { execArgv: ['--import', 'tsx'] })
  const ended = once(child, 'exit')
  return {
    async run(spell: Spell): Promise<Outcome> {
      child.send(spell)
      return Promise.race([
        once(child, 'message').then(([outcome]) => outcome as Outcome),
        ended.then(([code]) => {
          throw new Error(`The client ended with ${code}.`)
        }),
      ])
    },
    stop: () => child.disconnect(),
  }
}
export type Client = ReturnType<typeof client>
