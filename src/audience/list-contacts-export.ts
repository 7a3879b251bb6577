import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify/sync'
import type { Response } from 'express'
import type { Readers } from '../database/readers.js'
import { fieldWords, type ListConditions, type ListContactPage, listContactsOf } from './list-contacts.js'
import type { ListField } from './lists.js'

/** Rows that are looked at in one go: small enough that nobody else waits for them. */
const pageLength = 1_000
/** By this mark spreadsheets know that the file is UTF-8. */
const byteOrderMark = '\uFEFF'

const head = [
  'contact_id',
  'email',
  'name',
  'status',
  'source',
  'subscribed',
  'unsubscribed',
  'score',
  'last_activity',
  'tags',
]

const instant = (at: number | null) => (at === null ? null : new Date(at).toISOString())

/**
 * Sends all contacts of a list that a filter lets through as CSV (RFC 4180, UTF-8 with its mark), in the order of the page,
 * each field of the list in a column `field.<tag>`. Only one page of it is in memory; it waits for a slow reader and stops
 * for one who left. A cell that a spreadsheet would run as a formula gets a ' in front.
 */
export async function sendListContacts(
  res: Response,
  readers: Readers,
  conditions: ListConditions,
  { fields, on }: { fields: ListField[]; on: string },
) {
  res.set({
    'Content-Type': 'text/csv; charset=utf-8',
    'Content-Disposition': `attachment; filename="list-${conditions.list}-${on}.csv"`,
    'Cache-Control': 'no-store',
  })
  async function* csv() {
    yield byteOrderMark +
      stringify([[...head, ...fields.map(({ tag }) => `field.${tag}`)]], { escape_formulas: true })
    for (let after: ListContactPage['next'] | undefined; after !== null; ) {
      const page: ListContactPage = await listContactsOf(readers, conditions, {
        after: after ?? null,
        limit: pageLength,
      })
      if (page.rows.length > 0)
        yield stringify(
          page.rows.map((row) => [
            row.id,
            row.email,
            row.name,
            row.status,
            row.source,
            instant(row.subscribedAt),
            instant(row.unsubscribedAt),
            row.score,
            instant(row.lastActiveAt),
            row.tags.join(', '),
            ...fields.map(({ tag }) => fieldWords(row.fields[tag])),
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
