import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '../../src/database/open.js'
import { createReport } from '../../src/reports/commands.js'
import { emptyDefinition } from '../../src/reports/definition.js'
import { type Filling, makeDatabase } from './database.js'
import { busyDay, together } from './ingestion.js'
import type { Outcome, Spell } from './load.js'
import type { Visitor } from './pages.js'
import type { Client, Running } from './processes.js'
import { check } from './report.js'

/** What a report is about; how many are printed one after the other, and how many at once. */
export interface Reported extends Filling {
  mailings: number
  /** How often the provider said something new of each mailing. */
  snapshots: number
  after: number
  atOnce: number
}

const hour = 3_600_000

/** An installation with one report, a campaign summary, over mailings of a provider and a filled tracker campaign. */
export async function reportDatabase(dataDir: string, { mailings, snapshots, ...filling }: Reported) {
  await makeDatabase(dataDir, filling)
  const db = openDatabase(join(dataDir, 'throughline.db'))
  const now = Date.now()
  await db.transaction().execute(async (tx) => {
    const list = await tx
      .insertInto('lists')
      .values({ provider: 'emailoctopus', provider_id: 'a', name: 'Paperboat', created_at: now })
      .returning('id')
      .executeTakeFirstOrThrow()
    for (let place = 0; place < mailings; place++) {
      const sent_at = now - (mailings - place) * 5 * 24 * hour
      const { id } = await tx
        .insertInto('mailings')
        .values({
          provider: 'emailoctopus',
          provider_id: `mailing-${place}`,
          list_id: list.id,
          name: `Issue ${place + 1}`,
          subject: `What is new, number ${place + 1}`,
          status: 'sent',
          sent_at,
          created_at: sent_at,
        })
        .returning('id')
        .executeTakeFirstOrThrow()
      await tx.insertInto('mailing_lists').values({ mailing_id: id, list_id: list.id }).execute()
      const numbers = (share: number) => ({
        recipients: 12_600 + place,
        deliveries: 12_480 + place,
        opens: Math.round((7_000 + 31 * place) * share),
        unique_opens: Math.round((5_200 + 17 * place) * share),
        clicks: Math.round((700 + 11 * place) * share),
        unique_clicks: Math.round((520 + 7 * place) * share),
        temporary_failures: 20,
        permanent_failures: 100,
        unsubscriptions: place % 9,
        complaints: place % 2,
        replies: null,
      })
      for (let step = 1; step <= snapshots; step++)
        await tx
          .insertInto('mailing_snapshots')
          .values({ mailing_id: id, taken_at: sent_at + step * hour, ...numbers(step / snapshots) })
          .execute()
      await tx
        .insertInto('mailing_reports')
        .values({ mailing_id: id, checked_at: now, ...numbers(1) })
        .execute()
      for (let link = 0; link < 12; link++)
        await tx
          .insertInto('mailing_link_reports')
          .values({
            mailing_id: id,
            url: `https://paperboat.example/books/${link}`,
            clicks: 200 - 9 * link,
            unique_clicks: 150 - 7 * link,
            checked_at: now,
          })
          .execute()
    }
  })
  const ids = await db.selectFrom('mailings').select('id').orderBy('id').execute()
  const definition = emptyDefinition('campaign')
  await createReport(
    db,
    {
      ...definition,
      title: 'Autumn Reading List',
      subjects: { ...definition.subjects, mailings: ids.map(({ id }) => id), campaigns: [1] },
    },
    { by: 1, now },
  )
  await db.destroy()
}

/** Renders the report and waits for its PDF. @returns milliseconds, and how many bytes it has */
export async function print(person: Visitor): Promise<{ took: number; bytes: number }> {
  const from = performance.now()
  const here = await person.form('/reports/1/renderings')
  for (;;) {
    const { status, body } = await person.page(`${here}/report.pdf`)
    if (status === 200) {
      check(body.startsWith('%PDF-'), 'What came is no PDF.')
      return { took: performance.now() - from, bytes: body.length }
    }
    // It is still being printed, and the door waits for it a while each time.
    check(status === 303, `${here}/report.pdf answered ${status}.`)
  }
}

/** @returns all times in milliseconds, memory in bytes */
export async function printReports({
  server,
  person,
  client,
  mix,
  milliseconds,
  after,
  atOnce,
}: Pick<Reported, 'after' | 'atOnce'> & {
  server: Running
  person: Visitor
  client: Client
  mix: Spell['mix']
  milliseconds: number
}) {
  let memory = 0
  const watch = setInterval(() => {
    memory = Math.max(memory, memoryOfTree(server.pid))
  }, 250)
  const first = (await print(person)).took
  const times: number[] = []
  for (let turn = 0; turn < after; turn++) times.push((await print(person)).took)
  times.sort((one, other) => one - other)

  const all = async () => {
    const from = performance.now()
    await Promise.all(Array.from({ length: atOnce }, () => print(person)))
    return performance.now() - from
  }
  const alone = await all()

  const spell = { port: server.port, connections: 32, mix, milliseconds }
  const beside = async (pace?: number) => {
    const quiet = await client.run({ ...spell, pace })
    let done = false
    const printing = all().finally(() => {
      done = true
    })
    const spells: Outcome[] = []
    while (!done || spells.length === 0) spells.push(await client.run({ ...spell, pace }))
    for (const { refused } of [quiet, ...spells]) check(refused === 0, `${refused} requests were refused.`)
    return { took: await printing, alone: quiet, doors: together(spells) }
  }
  const most = await beside()
  const half = await beside(most.alone.perSecond / 2)
  const busy = await beside(busyDay)
  clearInterval(watch)
  return {
    first,
    next: times[Math.min(times.length - 1, Math.floor(times.length * 0.95))]!,
    together: alone,
    most,
    half,
    busy,
    memory,
  }
}

/**
 * The memory of a process and all that it started, in bytes: pages that they share are counted once between them
 * (proportional set size, proc(5)). 0 where the system does not tell.
 */
function memoryOfTree(root: number): number {
  if (!existsSync('/proc')) return 0
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const stat = readIfThere(`/proc/${name}/stat`)
    const parent = /^\d+ \(.*\) \S (\d+)/s.exec(stat)?.[1]
    if (parent) parents.set(Number(name), Number(parent))
  }
  const isOurs = (pid: number): boolean => {
    if (pid === root) return true
    const parent = parents.get(pid)
    return parent !== undefined && parent > 1 && isOurs(parent)
  }
  return [...parents.keys()].filter(isOurs).reduce((sum, pid) => {
    const kilobytes = /^Pss:\s+(\d+)/m.exec(readIfThere(`/proc/${pid}/smaps_rollup`))?.[1]
    return sum + Number(kilobytes ?? 0) * 1024
  }, 0)
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
