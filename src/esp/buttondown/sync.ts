import type { Logger } from 'pino'
import type { Db } from '../../database/open.js'
import { pause, realClock } from '../clock.js'
import { isDatabaseBusy } from '../inbox.js'
import { ProviderError } from '../provider-error.js'
import { addFailure, endRun, findRun, keepRun, lastDoneRun, type Run } from '../runs.js'
import type { ButtondownEvent, Email, Newsletter, Subscriber } from './answers.js'
import type { ButtondownClient, Page } from './client.js'
import { toldByStore } from './mapping.js'
import { provider } from './reading.js'
import type { ButtondownFact, ButtondownReceipt } from './record.js'

/** `first` brings everything; `nightly` and `manual` bring what is new, and what the webhook missed. */
export type RunKind = 'first' | 'nightly' | 'manual'
/** In their order; what comes later hangs on what came before. */
export const stages = ['tags', 'subscribers', 'emails', 'events'] as const
type Stage = (typeof stages)[number]

type Checkpoint = {
  stage?: Stage
  /** The page of the stage that comes next. */
  page?: number
}

interface Needs {
  db: Db
  record: (fact: ButtondownFact) => Promise<ButtondownReceipt>
  api: () => Promise<ButtondownClient | null>
  listId: () => Promise<number>
  /** Remembers what the newsletter is called. */
  nameList: (newsletter: Newsletter) => Promise<void>
  /** Everything is in: scores are due. */
  ended: () => Promise<void>
  now: () => number
  log: Logger
}

/** Facts that wait for one commit: a door waits for no more than these. */
const chunkSize = 100
const eventPage = 1_000
/** Milliseconds before the last sync from which its events are looked at again: some are stored late. */
const overlap = 3 * 86_400_000
/** Subscribers who were not in the list any more are looked at one by one, so many in a run. */
const mostMissing = 500

type State = Omit<Run, 'checkpoint'> & { checkpoint: Checkpoint }

/** A run stops here because somebody asked for it. */
class Cancelled extends Error {}

/** Brings in what Buttondown knows, page by page, so that a crash costs one page and a second look doubles nothing. */
export function buttondownSync({ db, record, api, listId, nameList, ended, now, log }: Needs) {
  let stopping: AbortController | null = null
  /** Subscribers who cannot be had: they are asked for once in a run. */
  let gone = new Set<string>()

  /** @param run one that waits, perhaps with a checkpoint */
  async function perform(run: Run) {
    stopping = new AbortController()
    gone = new Set()
    const state: State = {
      ...run,
      checkpoint: run.checkpoint as Checkpoint,
      changes: { ...run.changes },
      progress: { ...run.progress, stages: { ...run.progress.stages } },
    }
    try {
      if (!(await keepRun(db, plain(state), now()))) return
      const client = await api()
      if (!client) throw new ProviderError('refused-key', 'There is no API key for Buttondown yet.')
      await walk(state, client, stopping.signal)
      await endRun(db, run.id, { state: 'done', error: null, now: now() })
      log.info({ run: run.id, kind: run.kind, ...state.changes }, 'synced with Buttondown')
      await ended()
    } catch (error) {
      if (error instanceof Cancelled) return
      // The process ends: the run goes on from its checkpoint at the next start.
      if (stopping.signal.aborted) return void (await keepRun(db, plain(state), now()))
      const reason =
        error instanceof ProviderError
          ? error.message
          : 'Something went wrong here; the log has the details. What came in until then is kept.'
      if (!(error instanceof ProviderError)) log.error({ err: error, run: run.id }, 'sync failed')
      await endRun(db, run.id, { state: 'failed', error: reason, now: now() })
    }
  }

  async function walk(state: State, client: ButtondownClient, signal: AbortSignal) {
    const list = await theList(state, client, signal)
    const first = state.checkpoint.stage ?? 'tags'
    for (const stage of stages.slice(stages.indexOf(first))) {
      const page = state.checkpoint.stage === stage ? (state.checkpoint.page ?? 1) : 1
      state.checkpoint = { stage, page }
      state.progress.stage = stage
      state.progress.since = { at: now(), done: state.progress.stages[stage]?.done ?? 0 }
      await keep(state)
      // One page back: rows that were deleted meanwhile have moved the others forward.
      const from = { startPage: Math.max(1, page - 1), signal }
      if (stage === 'tags') await tags(state, client, signal)
      if (stage === 'subscribers') await subscribers(state, client, list, from)
      if (stage === 'emails') await emails(state, client, list, from)
      if (stage === 'events')
        await (state.kind === 'first'
          ? everyEvent(state, client, list, from)
          : recentEvents(state, client, list, signal))
    }
  }

  async function theList(state: State, client: ButtondownClient, signal: AbortSignal) {
    try {
      const [newsletter] = await client.newsletters({ signal })
      state.progress.requests++
      if (newsletter) await nameList(newsletter)
    } catch (error) {
      // A key may be good for subscribers and not for newsletters: then the list keeps its plain name.
      if (!(error instanceof ProviderError && error.kind === 'missing-permission')) throw error
    }
    return listId()
  }

  async function tags(state: State, client: ButtondownClient, signal: AbortSignal) {
    const seenAt = now()
    const all = await client.tags({ signal }).catch(noneIfForbidden)
    state.progress.requests++
    await inChunks(
      state,
      all,
      ({ name }) => `Tag ${name}`,
      (tag) => record({ do: 'tag', tag, seenAt }),
    )
    // What is gone there is kept by nobody there: from now on it is ours to change.
    if (all.length > 0)
      await db
        .updateTable('tags')
        .set({ provider: null, provider_id: null })
        .where('provider', '=', provider)
        .where(
          'provider_id',
          'not in',
          all.map(({ id }) => id),
        )
        .execute()
    progress(state, 'tags', all.length, all.length)
  }

  async function subscribers(
    state: State,
    client: ButtondownClient,
    list: number,
    from: { startPage: number; signal: AbortSignal },
  ) {
    const startedAt = now()
    // An answer is as old as its question: what a webhook has told meanwhile is newer.
    let seenAt = startedAt
    let done = from.startPage === 1 ? 0 : (state.progress.stages.subscribers?.done ?? 0)
    for await (const page of steadily((startPage) => client.subscribers({ ...from, startPage }), from)) {
      const receipts = await inChunks(state, page.items, subscriberName, (subscriber: Subscriber) =>
        record({ do: 'subscriber', subscriber, listId: list, seenAt }),
      )
      add(state, 'subscribers', receipts.filter(({ repeated }) => !repeated).length)
      done += page.items.length
      await turn(state, 'subscribers', page, done)
      seenAt = now()
    }
    if (from.startPage === 1) await missing(state, client, list, startedAt, from.signal)
  }

  /** Who was in the list once and is not now was deleted there: the person stays here, and gets no more mail. */
  async function missing(
    state: State,
    client: ButtondownClient,
    list: number,
    before: number,
    signal: AbortSignal,
  ) {
    const unseen = await db
      .selectFrom('contact_identities')
      .innerJoin('subscriptions', (join) =>
        join
          .onRef('subscriptions.contact_id', '=', 'contact_identities.contact_id')
          .on('subscriptions.list_id', '=', list),
      )
      .select('provider_id')
      .where('provider', '=', provider)
      .where('contact_identities.seen_at', '<', before)
      .where('gone_at', 'is', null)
      .where('status', '<>', 'removed')
      .orderBy('contact_identities.seen_at')
      .limit(mostMissing)
      .execute()
    for (const { provider_id } of unseen) {
      const seenAt = now()
      const found = await client.subscriber(provider_id, { signal }).catch(whyNot)
      state.progress.requests++
      if (typeof found !== 'string') await one(state, found, { listId: list, seenAt })
      else if (found !== forgotten) await listFailure(state, provider_id, found)
      else {
        const change = { providerId: provider_id, listId: list, at: seenAt, exact: false, gone: true }
        const removed = await inChunks(
          state,
          [change],
          () => subscriberName({ id: provider_id }),
          () => record({ do: 'subscription', change: { ...change, status: 'removed' } }),
        )
        add(state, 'removed', removed.length)
      }
    }
  }

  async function emails(
    state: State,
    client: ButtondownClient,
    list: number,
    from: { startPage: number; signal: AbortSignal },
  ) {
    let done = from.startPage === 1 ? 0 : (state.progress.stages.emails?.done ?? 0)
    let seenAt = now()
    for await (const page of steadily((startPage) => client.emails({ ...from, startPage }), from)) {
      const withCounts: { email: Email; analytics: Email['analytics'] }[] = []
      for (const email of page.items) {
        let { analytics } = email
        if (analytics === null && email.status === 'sent') {
          analytics = await client.emailAnalytics(email.id, { signal: from.signal }).catch(nullIfNotFound)
          state.progress.requests++
        }
        withCounts.push({ email, analytics })
      }
      const receipts = await inChunks(
        state,
        withCounts,
        ({ email }) => `Email ${email.id}`,
        ({ email, analytics }) => record({ do: 'email', email, analytics, listId: list, seenAt }),
      )
      add(state, 'mailings', receipts.filter(({ repeated }) => !repeated).length)
      done += page.items.length
      await turn(state, 'emails', page, done)
      seenAt = now()
    }
  }

  /** The backfill: oldest first, so that rows which come in meanwhile stand at the end. */
  async function everyEvent(
    state: State,
    client: ButtondownClient,
    list: number,
    from: { startPage: number; signal: AbortSignal },
  ) {
    let done = from.startPage === 1 ? 0 : (state.progress.stages.events?.done ?? 0)
    const walk = (startPage: number) =>
      client.events({ ordering: 'creation_date', pageSize: eventPage, ahead: true, ...from, startPage })
    for await (const page of steadily(walk, from)) {
      await takeEvents(state, client, list, page.items, from.signal)
      done += page.items.length
      await turn(state, 'events', page, done)
    }
  }

  /** Newest first, until the time that an earlier sync has looked at with care. */
  async function recentEvents(state: State, client: ButtondownClient, list: number, signal: AbortSignal) {
    const last = await lastDoneRun(db, provider, ['first', 'nightly', 'manual'])
    const until = (last?.startedAt ?? 0) - overlap
    let done = 0
    for await (const page of client.events({ ordering: '-creation_date', pageSize: eventPage, signal })) {
      const fresh = page.items.filter(({ at }) => at >= until)
      const found = await takeEvents(state, client, list, fresh, signal)
      add(state, 'repaired', found)
      done += fresh.length
      state.checkpoint = { stage: 'events' }
      progress(state, 'events', done, null)
      state.progress.requests++
      await keep(state)
      if (fresh.length < page.items.length) break
    }
    progress(state, 'events', done, done)
  }

  /** @returns how many were new */
  async function takeEvents(
    state: State,
    client: ButtondownClient,
    list: number,
    items: ButtondownEvent[],
    signal: AbortSignal,
  ): Promise<number> {
    const told = items.flatMap((item) => toldByStore(item) ?? [])
    add(state, 'nobody', items.length - told.length)
    const strangers: typeof told = []
    let fresh = 0
    const take = async (events: typeof told, gather: typeof told | null) => {
      await inChunks(
        state,
        events,
        ({ eventId }) => `Event ${eventId}`,
        async (event) => {
          const receipt = await record({ do: 'event', event, listId: list })
          if (receipt.stranger) gather?.push(event)
          else if (!receipt.repeated) fresh++
        },
      )
    }
    await take(told, strangers)
    for (const id of new Set(strangers.map(({ subscriberId }) => subscriberId))) {
      const seenAt = now()
      const events = strangers.filter(({ subscriberId }) => subscriberId === id).length
      if (gone.has(id)) {
        add(state, 'nobody', events)
        continue
      }
      const found = await client.subscriber(id, { signal }).catch(whyNot)
      state.progress.requests++
      if (typeof found === 'string') await listFailure(state, id, found)
      else if (await one(state, found, { listId: list, seenAt })) continue
      gone.add(id)
      add(state, 'nobody', events)
    }
    await take(strangers, null)
    add(state, 'events', fresh)
    return fresh
  }

  /** Takes in one subscriber who was asked for alone. @returns whether the database took them */
  async function one(state: State, subscriber: Subscriber, seen: { listId: number; seenAt: number }) {
    const taken = await inChunks(state, [subscriber], subscriberName, () =>
      record({ do: 'subscriber', subscriber, ...seen }),
    )
    return taken.length === 1
  }

  /** What is told of this subscriber has nobody to hang on. */
  const listFailure = (state: State, id: string, why: string) => listOnce(state, subscriberName({ id }), why)

  /** What could not be brought in, though the run went on; it is listed once. */
  async function listOnce(state: State, what: string, why: string) {
    const known = await db
      .selectFrom('sync_failures')
      .select('id')
      .where('provider', '=', provider)
      .where('what', '=', what)
      .executeTakeFirst()
    if (known) return
    await addFailure(db, { run_id: state.id, provider, what, why, failed_at: now() })
  }

  async function turn(state: State, stage: Stage, page: Page<unknown>, done: number) {
    if (page.unreadable > 0) {
      add(state, 'unreadable', page.unreadable)
      log.warn({ stage, page: page.page, rows: page.unreadable }, 'rows of Buttondown that cannot be read')
    }
    state.checkpoint = { stage, page: page.next ?? page.page + 1 }
    state.progress.requests++
    progress(state, stage, Math.min(done, Math.max(page.count, done)), Math.max(page.count, done))
    await keep(state)
  }

  /**
   * Records several at a time: those that wait together are committed together, and the doors in between. A row that
   * the database refuses is listed, and the others go on.
   * @param name what a failure of this item is listed as
   */
  async function inChunks<Item, Result>(
    state: State,
    items: Item[],
    name: (item: Item) => string,
    take: (item: Item) => Promise<Result>,
  ): Promise<Result[]> {
    const results: Result[] = []
    for (let from = 0; from < items.length; from += chunkSize) {
      const chunk = await Promise.all(
        items.slice(from, from + chunkSize).map(async (item) => {
          try {
            return [await steadfastly(() => take(item))]
          } catch (error) {
            if (stopping?.signal.aborted || isDatabaseBusy(error)) throw error
            log.error({ err: error, what: name(item) }, 'not brought in')
            await listOnce(state, name(item), 'It cannot be recorded as it is; the log has the details.')
            return []
          }
        }),
      )
      results.push(...chunk.flat())
    }
    return results
  }

  /** While the database is busy with something else a run waits, for a minute at the most. */
  async function steadfastly<Result>(take: () => Promise<Result>): Promise<Result> {
    for (let tries = 1; ; tries++) {
      try {
        return await take()
      } catch (error) {
        if (!isDatabaseBusy(error) || tries >= 30) throw error
        await pause(realClock, 2_000, stopping?.signal)
      }
    }
  }

  const add = (state: State, name: string, count: number) => {
    if (count !== 0) state.changes[name] = (state.changes[name] ?? 0) + count
  }
  const progress = (state: State, stage: Stage, done: number, of: number | null) => {
    state.progress.stages[stage] = { done, of }
  }
  const plain = (state: State) => ({ ...state, checkpoint: { ...state.checkpoint } })

  async function keep(state: State) {
    stopping?.signal.throwIfAborted()
    if (await steadfastly(() => keepRun(db, plain(state), now()))) return
    stopping?.abort()
    throw new Cancelled()
  }

  return {
    perform,
    /** Breaks off the request under way when the run has been cancelled from elsewhere. */
    async breakOffIfCancelled(id: number) {
      const run = await findRun(db, id)
      if (run?.state === 'cancelled') stopping?.abort()
    },
    /** The process ends. */
    stop: () => stopping?.abort(),
  }
}

/**
 * Walks through the pages of a list. Rows that are deleted meanwhile move those behind them forward, across the edge of
 * a page that was read already: then the walk goes back over as many pages.
 */
async function* steadily<Item>(
  walk: (startPage: number) => AsyncIterable<Page<Item>>,
  { startPage }: { startPage: number },
) {
  let before: Page<Item> | null = null
  for (let from: number | null = startPage; from !== null; ) {
    const start: number = from
    from = null
    for await (const page of walk(start)) {
      const gone: number = before === null ? 0 : before.count - page.count
      if (gone > 0) from = Math.max(1, page.page - Math.ceil(gone / Math.max(1, before!.items.length)))
      before = page
      yield page
      if (from !== null) break
    }
  }
}

const forgotten =
  'Buttondown has events of this subscriber and no longer knows who it was. They are left out.'

/** @returns why a subscriber cannot be had, where that is no reason for the run to end */
function whyNot(error: unknown): string {
  if (error instanceof ProviderError && error.kind === 'not-found') return forgotten
  if (error instanceof ProviderError && error.kind === 'invalid') return error.message
  throw error
}

const subscriberName = ({ id }: { id: string }) => `Subscriber ${id}`

/** A key may be good for subscribers and not for this: then the run does without. */
function noneIfForbidden(error: unknown): never[] {
  if (error instanceof ProviderError && error.kind === 'missing-permission') return []
  throw error
}

function nullIfNotFound(error: unknown) {
  if (error instanceof ProviderError && error.kind === 'not-found') return null
  throw error
}
