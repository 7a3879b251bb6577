import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify/sync'
import type { Response } from 'express'
import type { Counting } from '../audience/counting.js'
import type { Readers } from '../database/readers.js'
import { type Group, listPeople } from './mailing-people.js'

/** Rows that are looked at in one go: small enough that nobody else waits for them. */
const pageLength = 1_000
/** By this mark spreadsheets know that the file is UTF-8. */
const byteOrderMark = '\uFEFF'

const head = [
  'contact_id',
  'email',
  'name',
  'came_as_far_as',
  'opens',
  'clicks',
  'replies',
  'first_opened',
  'first_clicked',
  'last_activity',
]

const instant = (at: number | null) => (at === null ? null : new Date(at).toISOString())

/**
 * Sends the people of a group as CSV (RFC 4180, UTF-8 with its mark), the newest contact first, as the page shows them.
 * Only one page of it is in memory; it waits for a slow reader and stops for one who left. Who was erased has no address
 * in it, and a cell that a spreadsheet would run as a formula gets a ' in front.
 */
export async function sendPeople(
  res: Response,
  readers: Readers,
  { mailing, group, machines }: Counting & { mailing: number; group: Group },
) {
  res.set({
    'Content-Type': 'text/csv; charset=utf-8',
    'Content-Disposition': `attachment; filename="mailing-${mailing}-${group}.csv"`,
    'Cache-Control': 'no-store',
  })
  async function* csv() {
    yield byteOrderMark + stringify([head])
    for (let after: number | null = 0; after !== null; ) {
      const page: Awaited<ReturnType<typeof listPeople>> = await listPeople(readers, mailing, group, {
        machines,
        after,
        limit: pageLength,
      })
      if (page.rows.length > 0)
        yield stringify(
          page.rows.map((person) => [
            person.id,
            person.isErased ? '' : person.email,
            person.isErased ? '' : person.name,
            person.came,
            person.opens,
            person.clicks,
            person.replies,
            instant(person.first_opened_at),
            instant(person.first_clicked_at),
            instant(person.last_active_at),
          ]),
          { escape_formulas: true },
        )
      after = page.next
    }
  }
  try {
    await pipeline(Readable.from(csv()), res)
  } catch (error) {
    // Who leaves before the end has seen enough.
    if ((error as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
}
