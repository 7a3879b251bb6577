import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** As the threads that scan and pack: about a tenth of the processor where somebody else wants it too. */
const nice = 10

/**
 * Lets a program and everything that it starts from now on step back where another needs the processor. On Linux each
 * thread has a priority of its own and hands it to the threads and processes that it starts, so all of them are told.
 * Where the kernel shares the processor out between sessions first (autogroup, sched(7)), and the program leads one of
 * its own, its session is told too. Elsewhere only the program itself is told. What the system refuses stays as it is.
 */
export function stepBack(pid: number) {
  if (process.platform !== 'linux') return attempt(() => setPriority(pid, nice))
  for (const each of family(pid)) for (const thread of threads(each)) attempt(() => setPriority(thread, nice))
  if (leadsSession(pid)) attempt(() => writeFileSync(`/proc/${pid}/autogroup`, String(nice)))
}

/** Its session is then its own, and not that of the server. */
function leadsSession(pid: number): boolean {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? ''
  // State, parent, group and session follow the name, which stands in parentheses: proc_pid_stat(5).
  return Number(/^\d+ \(.*\) \S \d+ \d+ (\d+)/s.exec(stat)?.[1]) === pid
}

/** The program and all that it has started, as far as the system tells. */
function family(pid: number): number[] {
  const children = threads(pid).flatMap(
    (thread) => attempt(() => numbers(readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8'))) ?? [],
  )
  return [pid, ...children.flatMap(family)]
}

const threads = (pid: number): number[] => attempt(() => readdirSync(`/proc/${pid}/task`).map(Number)) ?? []

const numbers = (text: string) => text.split(' ').filter(Boolean).map(Number)

/** A process may end while it is looked at. */
function attempt<T>(what: () => T): T | undefined {
  try {
    return what()
  } catch {
    return undefined
  }
}
