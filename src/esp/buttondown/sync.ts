import type { Db } from '../../database/open.js'
import { dayLength } from '../../web/calendar.js'
import { ProviderError } from '../provider-error.js'
import type { RunUnderWay } from '../run-under-way.js'
import { lastDoneRun } from '../runs.js'
import type { ButtondownEvent, Email, Newsletter, Subscriber } from './answers.js'
import type { ButtondownClient, Page } from './client.js'
import { toldByStore } from './mapping.js'
import { provider } from './reading.js'
import type { ButtondownFact, ButtondownReceipt } from './record.js'

/** In their order; what comes later hangs on what came before. */
export const stages = ['tags', 'subscribers', 'emails', 'events'] as const
type Stage = (typeof stages)[number]

export type Checkpoint = {
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
  now: () => number
}

const eventPage = 1_000
/** Milliseconds before the last sync from which its events are looked at again: some are stored late. */
const overlap = 3 * dayLength
/** Subscribers who were not in the list any more are looked at one by one, so many in a run. */
const mostMissing = 500

type Under = RunUnderWay<Checkpoint>

/** Brings in what Buttondown knows, page by page, so that a crash costs one page and a second look doubles nothing. */
export function buttondownWalk({ db, record, api, listId, nameList, now }: Needs) {
  /** Subscribers who cannot be had: they are asked for once in a run. */
  let gone = new Set<string>()

  async function everything(run: Under) {
    gone = new Set()
    const client = await api()
    if (!client) throw new ProviderError('refused-key', 'There is no API key for Buttondown yet.')
    await walk(run, client, run.signal)
  }

  async function walk(run: Under, client: ButtondownClient, signal: AbortSignal) {
    const list = await theList(run, client, signal)
    const first = run.checkpoint.stage ?? 'tags'
    for (const stage of stages.slice(stages.indexOf(first))) {
      const page = run.checkpoint.stage === stage ? (run.checkpoint.page ?? 1) : 1
      await run.begin(stage, { stage, page })
      // One page back: rows that were deleted meanwhile have moved the others forward.
      const from = { startPage: Math.max(1, page - 1), signal }
      if (stage === 'tags') await tags(run, client, signal)
      if (stage === 'subscribers') await subscribers(run, client, list, from)
      if (stage === 'emails') await emails(run, client, list, from)
      if (stage === 'events')
        await (run.kind === 'first'
          ? everyEvent(run, client, list, from)
          : recentEvents(run, client, list, signal))
    }
  }

  async function theList(run: Under, client: ButtondownClient, signal: AbortSignal) {
    try {
      const [newsletter] = await client.newsletters({ signal })
      run.requested()
      if (newsletter) await nameList(newsletter)
    } catch (error) {
      // A key may be good for subscribers and not for newsletters: then the list keeps its plain name.
      if (!(error instanceof ProviderError && error.kind === 'missing-permission')) throw error
    }
    return listId()
  }

  async function tags(run: Under, client: ButtondownClient, signal: AbortSignal) {
    const seenAt = now()
    const all = await client.tags({ signal }).catch(noneIfForbidden)
    run.requested()
    await run.inChunks(
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
    run.progress('tags', all.length, all.length)
  }

  async function subscribers(
    run: Under,
    client: ButtondownClient,
    list: number,
    from: { startPage: number; signal: AbortSignal },
  ) {
    const startedAt = now()
    // An answer is as old as its question: what a webhook has told meanwhile is newer.
    let seenAt = startedAt
    let done = from.startPage === 1 ? 0 : run.doneOf('subscribers')
    for await (const page of steadily((startPage) => client.subscribers({ ...from, startPage }), from)) {
      const receipts = await run.inChunks(page.items, subscriberName, (subscriber: Subscriber) =>
        record({ do: 'subscriber', subscriber, listId: list, seenAt }),
      )
      run.add('subscribers', receipts.filter(({ repeated }) => !repeated).length)
      done += page.items.length
      await turn(run, 'subscribers', page, done)
      seenAt = now()
    }
    if (from.startPage === 1) await missing(run, client, list, startedAt, from.signal)
  }

  /** Who was in the list once and is not now was deleted there: the person stays here, and gets no more mail. */
  async function missing(
    run: Under,
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
      run.requested()
      if (typeof found !== 'string') await one(run, found, { listId: list, seenAt })
      else if (found !== forgotten) await listFailure(run, provider_id, found)
      else {
        const change = { providerId: provider_id, listId: list, at: seenAt, exact: false, gone: true }
        const removed = await run.inChunks(
          [change],
          () => subscriberName({ id: provider_id }),
          () => record({ do: 'subscription', change: { ...change, status: 'removed' } }),
        )
        run.add('removed', removed.length)
      }
    }
  }

  async function emails(
    run: Under,
    client: ButtondownClient,
    list: number,
    from: { startPage: number; signal: AbortSignal },
  ) {
    let done = from.startPage === 1 ? 0 : run.doneOf('emails')
    let seenAt = now()
    for await (const page of steadily((startPage) => client.emails({ ...from, startPage }), from)) {
      const withCounts: { email: Email; analytics: Email['analytics'] }[] = []
      for (const email of page.items) {
        let { analytics } = email
        if (analytics === null && email.status === 'sent') {
          analytics = await client.emailAnalytics(email.id, { signal: from.signal }).catch(nullIfNotFound)
          run.requested()
        }
        withCounts.push({ email, analytics })
      }
      const receipts = await run.inChunks(
        withCounts,
        ({ email }) => `Email ${email.id}`,
        ({ email, analytics }) => record({ do: 'email', email, analytics, listId: list, seenAt }),
      )
      run.add('mailings', receipts.filter(({ repeated }) => !repeated).length)
      done += page.items.length
      await turn(run, 'emails', page, done)
      seenAt = now()
    }
  }

  /** The backfill: oldest first, so that rows which come in meanwhile stand at the end. */
  async function everyEvent(
    run: Under,
    client: ButtondownClient,
    list: number,
    from: { startPage: number; signal: AbortSignal },
  ) {
    let done = from.startPage === 1 ? 0 : run.doneOf('events')
    const walk = (startPage: number) =>
      client.events({ ordering: 'creation_date', pageSize: eventPage, ahead: true, ...from, startPage })
    for await (const page of steadily(walk, from)) {
      await takeEvents(run, client, list, page.items, from.signal)
      done += page.items.length
      await turn(run, 'events', page, done)
    }
  }

  /** Newest first, until the time that an earlier sync has looked at with care. */
  async function recentEvents(run: Under, client: ButtondownClient, list: number, signal: AbortSignal) {
    const last = await lastDoneRun(db, provider, ['first', 'nightly', 'manual'])
    const until = (last?.startedAt ?? 0) - overlap
    let done = 0
    for await (const page of client.events({ ordering: '-creation_date', pageSize: eventPage, signal })) {
      const fresh = page.items.filter(({ at }) => at >= until)
      const found = await takeEvents(run, client, list, fresh, signal)
      run.add('repaired', found)
      done += fresh.length
      run.checkpoint = { stage: 'events' }
      run.progress('events', done, null)
      run.requested()
      await run.keep()
      if (fresh.length < page.items.length) break
    }
    run.progress('events', done, done)
  }

  /** @returns how many were new */
  async function takeEvents(
    run: Under,
    client: ButtondownClient,
    list: number,
    items: ButtondownEvent[],
    signal: AbortSignal,
  ): Promise<number> {
    const told = items.flatMap((item) => toldByStore(item) ?? [])
    run.add('nobody', items.length - told.length)
    const strangers: typeof told = []
    let fresh = 0
    const take = async (events: typeof told, gather: typeof told | null) => {
      await run.inChunks(
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
        run.add('nobody', events)
        continue
      }
      const found = await client.subscriber(id, { signal }).catch(whyNot)
      run.requested()
      if (typeof found === 'string') await listFailure(run, id, found)
      else if (await one(run, found, { listId: list, seenAt })) continue
      gone.add(id)
      run.add('nobody', events)
    }
    await take(strangers, null)
    run.add('events', fresh)
    return fresh
  }

  /** Takes in one subscriber who was asked for alone. @returns whether the database took them */
  async function one(run: Under, subscriber: Subscriber, seen: { listId: number; seenAt: number }) {
    const taken = await run.inChunks([subscriber], subscriberName, () =>
      record({ do: 'subscriber', subscriber, ...seen }),
    )
    return taken.length === 1
  }

  /** What is told of this subscriber has nobody to hang on. */
  const listFailure = (run: Under, id: string, why: string) => run.listOnce(subscriberName({ id }), why)

  async function turn(run: Under, stage: Stage, page: Page<unknown>, done: number) {
    run.unreadable(page.unreadable, { stage, page: page.page })
    run.checkpoint = { stage, page: page.next ?? page.page + 1 }
    run.requested()
    run.progress(stage, Math.min(done, Math.max(page.count, done)), Math.max(page.count, done))
    await run.keep()
  }

  return everything
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
