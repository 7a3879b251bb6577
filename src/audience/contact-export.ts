import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify/sync'
import { type Response, Router } from 'express'
import { isAmong } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { chosenIds } from './chosen.js'
import { ContactFilter } from './contact-filter.js'
import { conditionsOf, contactIds } from './contact-list.js'

interface Needs {
  readers: Readers
  calendar: Calendar
  now: () => number
}
type Cell = string | number | null

/** Rows that are looked at in one go: small enough that nobody else waits for them. */
const pageLength = 1_000
/** By this mark spreadsheets know that the file is UTF-8. */
const byteOrderMark = '\uFEFF'

/** `/audience/export.csv`: all contacts of a filter, or (sent as a form) those that were chosen. */
export function contactExport({ readers, calendar, now }: Needs) {
  const routes = Router()

  routes.get('/audience/export.csv', async (req, res) => {
    const filter = { ...ContactFilter.parse(req.query), after: 0 }
    const conditions = await conditionsOf({ readers, now: now() }, filter)
    await send(res, contactIds(readers, conditions, { pageLength }))
  })
  routes.post('/audience/export.csv', async (req, res) => {
    await send(res, chosenIds({ readers, now }, req.body, { pageLength }))
  })

  /**
   * CSV (RFC 4180, UTF-8 with its mark), oldest contact first. However long it is, only one page of it is in memory; it
   * waits for a slow reader and stops for one who left. Who comes after it began is left out.
   *
   * A cell that a spreadsheet would run as a formula (it begins with = + - @, a tab or a carriage return) gets a ' in
   * front.
   */
  async function send(res: Response, pages: AsyncIterable<number[]>) {
    res.set({
      'Content-Type': 'text/csv; charset=utf-8',
      'Content-Disposition': `attachment; filename="contacts-${calendar.dayOf(now())}.csv"`,
      'Cache-Control': 'no-store',
    })
    try {
      await pipeline(Readable.from(csvOf(readers, pages)), res)
    } catch (error) {
      // Who leaves before the end has seen enough.
      if ((error as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
    }
  }
  return routes
}

const head = [
  'id',
  'email',
  'name',
  'status',
  'score',
  'score_30_days_before',
  'band',
  'mailings',
  'opens',
  'opens_by_mail_proxies',
  'opens_by_machines',
  'opens_not_judged',
  'clicks',
  'clicks_by_machines',
  'clicks_not_judged',
  'replies',
  'last_activity',
  'last_machine_activity',
  'subscribed',
  'first_known',
  'source',
  'lists',
  'tags',
  'notes',
]

async function* csvOf(readers: Readers, pages: AsyncIterable<number[]>) {
  yield byteOrderMark + stringify([head])
  for await (const ids of pages) {
    const rows = await readPage(readers, ids)
    if (rows.length > 0) yield stringify(rows, { escape_formulas: true })
  }
}

const instant = (at: number | null) => (at === null ? null : new Date(at).toISOString())
const points = (score: number | null) => (score === null ? null : Math.round(score * 100) / 100)

async function readPage(readers: Readers, ids: number[]): Promise<Cell[][]> {
  const [contacts, tags, lists] = await Promise.all([
    readers
      .selectFrom('contacts')
      .selectAll()
      .where(({ ref }) => isAmong(ref('id'), ids))
      .where('erased_at', 'is', null)
      .orderBy('id')
      .execute(),
    readers
      .selectFrom('contact_tags')
      .innerJoin('tags', 'tags.id', 'contact_tags.tag_id')
      .select(['contact_id', 'name'])
      .distinct()
      .where(({ ref }) => isAmong(ref('contact_id'), ids))
      .orderBy('name')
      .execute(),
    readers
      .selectFrom('subscriptions')
      .innerJoin('lists', 'lists.id', 'subscriptions.list_id')
      .select(['contact_id', 'name'])
      .where(({ ref }) => isAmong(ref('contact_id'), ids))
      .orderBy('name')
      .execute(),
  ])
  const tagsOf = namesByContact(tags)
  const listsOf = namesByContact(lists)
  return contacts.map((row): Cell[] => [
    row.id,
    row.email,
    row.name,
    row.status,
    points(row.score),
    points(row.score_before),
    row.band,
    row.mailings,
    row.opens,
    row.proxy_opens,
    row.machine_opens,
    row.unjudged_opens,
    row.clicks,
    row.machine_clicks,
    row.unjudged_clicks,
    row.replies,
    instant(row.last_active_at),
    instant(row.machine_last_active_at),
    instant(row.subscribed_at),
    instant(row.created_at),
    row.source,
    listsOf.get(row.id)?.join(', ') ?? '',
    tagsOf.get(row.id)?.join(', ') ?? '',
    row.notes,
  ])
}

function namesByContact(rows: { contact_id: number; name: string }[]) {
  const names = new Map<number, string[]>()
  for (const { contact_id, name } of rows) names.set(contact_id, [...(names.get(contact_id) ?? []), name])
  return names
}
