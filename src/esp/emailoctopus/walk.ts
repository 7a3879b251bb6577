import type { Db } from '../../database/open.js'
import { dayLength } from '../../web/calendar.js'
import { ProviderError } from '../provider-error.js'
import type { RunUnderWay } from '../run-under-way.js'
import { forgetFailuresOf, listFailures } from '../runs.js'
import {
  type ContactStatus,
  contactStatuses,
  type EmailOctopusClient,
  type OctopusContact,
  type ReportStatus,
} from './client.js'
import { type DueReport, dueContactReports, dueLinks, dueNegativeReports, dueSummaries } from './due.js'
import { provider, statusOf } from './mapping.js'
import type { OctopusFact, OctopusReceipt } from './record.js'

/** In their order: first what every page shows, then what takes long. */
export const stages = ['lists', 'campaigns', 'summaries', 'links', 'contacts', 'reports'] as const
type Stage = (typeof stages)[number]

/** Where to go on. The stages that it does not tell of know by what is in the database what is left to do. */
export type Checkpoint = {
  stage?: Stage
  /** The page to go on with: of the campaigns, of a list's contacts, or of a report. */
  cursor?: string | null
  /** The list that is being walked, since when, and all of it or only what has changed. */
  list?: number
  status?: string
  since?: number
  all?: boolean
  /** The mailing whose report is being read. */
  mailing?: number
}

interface Needs {
  db: Db
  record: (fact: OctopusFact) => Promise<OctopusReceipt>
  api: () => Promise<EmailOctopusClient | null>
  now: () => number
}

type Under = RunUnderWay<Checkpoint>

/** Milliseconds by which the changes of a list are asked for from before the last look: clocks differ, and some come late. */
const overlap = 10 * 60_000
/** Milliseconds after which all contacts of a list whose numbers do not agree with ours are read once more. */
const fullWalkEvery = dayLength
/**
 * Milliseconds after which each list is asked who has changed, whatever its own numbers and instant tell: a new address
 * or tag need move neither. A little less than a day, as schedules run early or late.
 */
const changesEvery = 23.5 * 3_600_000
/** After so many units in a row that cannot be had, what always works is asked for: if that fails too, nothing can be had. */
const mostInARow = 3

/** Brings in what EmailOctopus knows, so that a crash costs a moment and a second look doubles nothing. */
export function emailOctopusWalk({ db, record, api, now }: Needs) {
  return async function walk(run: Under) {
    const found = await api()
    if (!found) throw new ProviderError('refused-key', 'There is no API key for EmailOctopus yet.')
    const client = found.cached()
    const { signal } = run
    const failures = await openFailures()
    let inARow = 0

    /**
     * One list or campaign: what goes wrong with it is listed, and does not stop the others.
     * @returns whether it went well
     */
    async function attempt(what: string, work: () => Promise<void>): Promise<boolean> {
      try {
        await work()
      } catch (error) {
        if (!(error instanceof ProviderError) || error.kind === 'refused-key') throw error
        if (error.passes && ++inARow % mostInARow === 0 && !(await doesAnswer())) throw error
        if (!failures.has(what)) await run.list(what, error.message)
        failures.add(what)
        return false
      }
      inARow = 0
      if (failures.delete(what)) await forgetFailuresOf(db, provider, { what, now: now() })
      return true
    }

    /** Does EmailOctopus answer what it answers whoever has a key? */
    async function doesAnswer() {
      try {
        await client.checkKey({ signal })
        return true
      } catch (error) {
        if (error instanceof ProviderError && error.passes) return false
        throw error
      } finally {
        answered(null, {})
      }
    }

    /** Those that failed last come last, so that they keep up none of the others. */
    const failedLast = <Unit>(due: Unit[], name: (unit: Unit) => string) => [
      ...due.filter((unit) => !failures.has(name(unit))),
      ...due.filter((unit) => failures.has(name(unit))),
    ]

    /** A request has been answered. */
    function answered(page: { unreadable: number } | null, where: object) {
      run.requested()
      run.remaining(client.remaining)
      if (page) run.unreadable(page.unreadable, where)
    }

    async function lists() {
      const seen: number[] = []
      let unreadable = 0
      for await (const page of client.lists({ signal })) {
        const seenAt = now()
        answered(page, { stage: 'lists' })
        unreadable += page.unreadable
        const receipts = await run.inChunks(
          page.items,
          ({ name }) => `List ${name}`,
          (list) => record({ do: 'list', list, seenAt }),
        )
        seen.push(...receipts.flatMap(({ id }) => id ?? []))
        run.add('lists', receipts.filter(({ isNew }) => isNew).length)
        run.progress('lists', seen.length, null)
      }
      const known = await db
        .selectFrom('lists')
        .select('id')
        .where('provider', '=', provider)
        .where('gone_at', 'is', null)
        .execute()
      // What could not be read may be any of them.
      for (const { id } of unreadable > 0 ? [] : known)
        if (!seen.includes(id)) await record({ do: 'list gone', listId: id, at: now() })
      run.progress('lists', seen.length, seen.length)
    }

    async function campaigns(from: string | null) {
      let done = from === null ? 0 : run.doneOf('campaigns')
      let seenAt = now()
      for await (const page of client.campaigns({ signal, startAfter: from })) {
        answered(page, { stage: 'campaigns' })
        const receipts = await run.inChunks(
          page.items,
          ({ id, name }) => campaignName({ name: name || id }),
          (campaign) => record({ do: 'campaign', campaign, seenAt, syncedBy: run.askedBy }),
        )
        run.add('mailings', receipts.filter(({ isNew }) => isNew).length)
        run.add('changed', receipts.filter(({ isNew, changed }) => changed && !isNew).length)
        done += page.items.length
        run.progress('campaigns', done, page.cursor === null ? done : null)
        run.checkpoint = { stage: 'campaigns', cursor: page.cursor }
        await run.keep()
        seenAt = now()
      }
    }

    async function summaries() {
      const since = run.kind === 'nightly' ? null : run.startedAt
      const due = failedLast(await dueSummaries(db, { now: now(), since }), campaignName)
      for (const [index, mailing] of due.entries()) {
        run.progress('summaries', index, due.length)
        await attempt(campaignName(mailing), async () => {
          const checkedAt = now()
          const summary = await client.summary(mailing.providerId, { signal })
          answered(null, {})
          // Deleted there, or not counted: it is asked for again when that is due.
          if (!summary) return void (await record({ do: 'no summary', mailingId: mailing.id, checkedAt }))
          const [receipt] = await run.inChunks(
            [summary],
            () => campaignName(mailing),
            (told) => record({ do: 'summary', mailingId: mailing.id, summary: told, checkedAt }),
          )
          if (receipt?.changed) run.add('numbers')
        })
        await run.keep()
      }
      run.progress('summaries', due.length, due.length)
    }

    async function links() {
      const due = failedLast(await dueLinks(db), linksName)
      for (const [index, mailing] of due.entries()) {
        run.progress('links', index, due.length)
        await attempt(linksName(mailing), async () => {
          const checkedAt = now()
          const all = []
          for await (const page of client.links(mailing.providerId, { signal })) {
            answered(page, { stage: 'links', mailing: mailing.id })
            all.push(...page.items)
          }
          await run.inChunks(
            [all],
            () => linksName(mailing),
            (links) =>
              record({ do: 'links', mailingId: mailing.id, links, counted: mailing.counted, checkedAt }),
          )
        })
        await run.keep()
      }
      run.progress('links', due.length, due.length)
    }

    async function contacts(from: Checkpoint) {
      const all = await listsToWalk(from)
      let done = from.list === undefined ? 0 : run.doneOf('contacts')
      const of = all.every(({ updatedSince }) => updatedSince === undefined)
        ? all.reduce((sum, { size }) => sum + size, 0)
        : null
      for (const list of all) {
        const isResumed = from.list === list.id
        const startedAt = isResumed ? from.since! : now()
        const went = await attempt(`List ${list.name}`, async () => {
          const left = isResumed
            ? contactStatuses.slice(contactStatuses.indexOf(from.status as ContactStatus))
            : contactStatuses
          for (const status of left) {
            const cursor = isResumed && status === from.status ? (from.cursor ?? null) : null
            for await (const page of contactPages(list, status, cursor)) {
              done += await takeContacts(list.id, page.items, page.seenAt)
              run.progress('contacts', done, of === null ? null : Math.max(of, done))
              run.checkpoint = {
                stage: 'contacts',
                list: list.id,
                status,
                cursor: page.cursor,
                since: startedAt,
                all: list.updatedSince === undefined,
              }
              // After the last page of a status the next one begins.
              if (page.cursor === null) {
                const next = contactStatuses[contactStatuses.indexOf(status) + 1]
                if (next) run.checkpoint.status = next
              }
              await run.keep()
            }
          }
          if (list.updatedSince === undefined) await whoIsGone(list, startedAt)
          await db
            .updateTable('lists')
            .set({
              walked_at: startedAt,
              ...(list.updatedSince === undefined ? { fully_walked_at: startedAt } : {}),
            })
            .where('id', '=', list.id)
            .execute()
        })
        if (!went) await whetherItIsGone(list)
        run.checkpoint = { stage: 'contacts' }
      }
      run.progress('contacts', done, done)
    }

    interface Walked {
      id: number
      providerId: string
      name: string
      /** What changed before then is known; undefined for all. */
      updatedSince: number | undefined
      size: number
    }

    /**
     * Lists that have changed, as far as EmailOctopus tells, those whose numbers do not agree with ours, and those that
     * have not been asked for a day; all when somebody asks by hand.
     */
    async function listsToWalk(from: Checkpoint): Promise<Walked[]> {
      const rows = await db
        .selectFrom('lists')
        .selectAll()
        .where('provider', '=', provider)
        .where('gone_at', 'is', null)
        .orderBy('id')
        .execute()
      const walked: Walked[] = []
      for (const row of rows) {
        if (from.list !== undefined && row.id < from.list) continue
        const size = (row.pending ?? 0) + (row.subscribed ?? 0) + (row.unsubscribed ?? 0)
        const one = { id: row.id, providerId: row.provider_id, name: row.name, size }
        const isResumed = row.id === from.list
        if (row.walked_at === null || run.kind === 'first' || (isResumed && from.all)) {
          walked.push({ ...one, updatedSince: undefined })
          continue
        }
        const disagrees = (await agreement(row)) === false
        if (disagrees && (row.fully_walked_at ?? 0) + fullWalkEvery <= now())
          walked.push({ ...one, updatedSince: undefined })
        // Where it does not tell when it changed last, its numbers have to do.
        else if (
          isResumed ||
          disagrees ||
          run.kind === 'manual' ||
          row.walked_at + changesEvery <= now() ||
          row.updated_at === null ||
          row.updated_at >= row.walked_at - overlap
        )
          walked.push({ ...one, updatedSince: row.walked_at - overlap })
      }
      return walked
    }

    /** Do the list's own counts agree with our rows of it? null where it has none. */
    async function agreement(list: {
      id: number
      pending: number | null
      subscribed: number | null
      unsubscribed: number | null
    }) {
      if (list.pending === null || list.subscribed === null || list.unsubscribed === null) return null
      const known = await db
        .selectFrom('subscriptions')
        .select(({ fn }) => ['status', fn.countAll<number>().as('count')])
        .where('list_id', '=', list.id)
        .groupBy('status')
        .execute()
      // Whom we know no more EmailOctopus may go on counting.
      const erased = await db
        .selectFrom('subscriptions')
        .innerJoin('contacts', 'contacts.id', 'contact_id')
        .select(({ fn }) => ['provider_status', fn.countAll<number>().as('count')])
        .where('list_id', '=', list.id)
        .where('subscriptions.status', '=', 'removed')
        .where('provider_status', '<>', '')
        .where('erased_at', 'is not', null)
        .groupBy('provider_status')
        .execute()
      const rows = [
        ...known,
        ...erased.map(({ provider_status, count }) => ({
          status: statusOf(provider_status.toLowerCase()),
          count,
        })),
      ]
      const count = (...statuses: string[]) =>
        rows.reduce((sum, row) => sum + (statuses.includes(row.status) ? row.count : 0), 0)
      return (
        count('unconfirmed') === list.pending &&
        count('subscribed') === list.subscribed &&
        count('unsubscribed', 'bounced', 'complained') === list.unsubscribed
      )
    }

    async function* contactPages(list: Walked, status: ContactStatus, cursor: string | null) {
      let seenAt = now()
      const { updatedSince } = list
      const options = { status, signal, startAfter: cursor, ahead: true }
      const pages = client.contacts(
        list.providerId,
        updatedSince === undefined ? options : { ...options, updatedSince },
      )
      for await (const page of pages) {
        answered(page, { stage: 'contacts', list: list.id })
        yield { ...page, seenAt }
        // The next one was asked for when this one came.
        seenAt = now()
      }
    }

    async function takeContacts(listId: number, items: OctopusContact[], seenAt: number) {
      const receipts = await run.inChunks(items, contactName, (contact) =>
        record({ do: 'contact', contact, listId, seenAt }),
      )
      run.add('subscribers', receipts.filter(({ isNew }) => isNew).length)
      return items.length
    }

    /** On the list once, by what EmailOctopus calls them, and in none of its three statuses since this instant. */
    const unseenSince = (listId: number, before: number) =>
      db
        .selectFrom('contact_identities')
        .innerJoin('subscriptions', (join) =>
          join
            .onRef('subscriptions.contact_id', '=', 'contact_identities.contact_id')
            .on('subscriptions.list_id', '=', listId),
        )
        .select('provider_id')
        .where('provider', '=', provider)
        .where('contact_identities.list_id', '=', listId)
        .where('contact_identities.seen_at', '<', before)
        .where('gone_at', 'is', null)
        .where('status', '<>', 'removed')
        .execute()

    /**
     * Who was on the list and is in none of its three statuses now was deleted there; or went from one that was not
     * read yet to one that had been, which the changes since the walk began tell.
     */
    async function whoIsGone(list: Walked, before: number) {
      const { id: listId } = list
      await erasedWhoAreGone(listId, before)
      if ((await unseenSince(listId, before)).length === 0) return
      for (const status of contactStatuses)
        for await (const page of contactPages({ ...list, updatedSince: before - overlap }, status, null))
          await takeContacts(listId, page.items, page.seenAt)
      const unseen = await unseenSince(listId, before)
      const at = now()
      const receipts = await run.inChunks(
        unseen,
        ({ provider_id }) => contactName({ id: provider_id }),
        ({ provider_id: contactId }) => record({ do: 'contact gone', contactId, listId, at, exact: false }),
      )
      run.add('removed', receipts.length)
    }

    /** Who was erased here and was told of no more since this instant is not counted there either. */
    const erasedWhoAreGone = (listId: number, before: number) =>
      db
        .updateTable('subscriptions')
        .set({ provider_status: '' })
        .where('list_id', '=', listId)
        .where('status', '=', 'removed')
        .where('provider_status', '<>', '')
        .where('seen_at', '<', before)
        .where('contact_id', 'in', (query) =>
          query.selectFrom('contacts').select('id').where('erased_at', 'is not', null),
        )
        .execute()

    /** A list that cannot be walked may have been deleted meanwhile, and that is no failure. */
    async function whetherItIsGone(list: Walked) {
      try {
        await found!.list(list.providerId, { signal })
      } catch (error) {
        if (!(error instanceof ProviderError && error.kind === 'not-found')) return
        await record({ do: 'list gone', listId: list.id, at: now() })
        const what = `List ${list.name}`
        if (failures.delete(what)) await forgetFailuresOf(db, provider, { what, now: now() })
      }
    }

    async function reports(from: Checkpoint) {
      await readReports(await dueContactReports(db), from)
      await readReports(await dueNegativeReports(db), from)
    }

    async function readReports(all: DueReport<ReportStatus>[], from: Checkpoint) {
      const due = failedLast(all, reportName)
      for (const [index, report] of due.entries()) {
        run.progress('reports', index, due.length)
        const { id: mailingId, status, counted } = report
        await attempt(reportName(report), async () => {
          const isResumed = from.mailing === mailingId && from.status === status
          const cursor = isResumed ? (from.cursor ?? null) : null
          const at = now()
          for await (const page of client.contactReport(report.providerId, status, {
            signal,
            startAfter: cursor,
            ahead: true,
          })) {
            answered(page, { stage: 'reports', mailing: mailingId, status })
            const seenAt = now()
            const receipts = await run.inChunks(
              page.items,
              ({ contactId }) => contactName({ id: contactId }),
              (row) => record({ do: 'report row', mailingId, status, row, seenAt }),
            )
            run.add('events', receipts.filter(({ isNew }) => isNew).length)
            run.add('nobody', receipts.filter(({ nobody }) => nobody).length)
            run.checkpoint = { stage: 'reports', mailing: mailingId, status, cursor: page.cursor }
            await run.keep()
          }
          await record({ do: 'report walked', mailingId, status, counted, at })
        })
        run.checkpoint = { stage: 'reports' }
      }
      run.progress('reports', due.length, due.length)
    }

    const first = run.checkpoint.stage ?? 'lists'
    for (const stage of stages.slice(stages.indexOf(first))) {
      const from: Checkpoint = run.checkpoint.stage === stage ? run.checkpoint : { stage }
      await run.begin(stage, from)
      if (stage === 'lists') await lists()
      if (stage === 'campaigns') await campaigns(from.cursor ?? null)
      if (stage === 'summaries') await summaries()
      if (stage === 'links') await links()
      if (stage === 'contacts') await contacts(from)
      if (stage === 'reports') await reports(from)
    }
  }

  /** What was listed as a failure and has not been settled since. */
  async function openFailures(): Promise<Set<string>> {
    return new Set((await listFailures(db, provider, 10_000)).map(({ what }) => what))
  }
}

const campaignName = ({ name }: { name: string }) => `Campaign ${name}`
const linksName = ({ name }: { name: string }) => `Links of ${name}`
const reportName = ({ status, name }: { status: string; name: string }) => `Report “${status}” of ${name}`
const contactName = ({ id }: { id: string }) => `Contact ${id}`
