import type { Db } from '../../database/open.js'
import type { NewRow } from '../../database/schema.js'
import { provider } from '../../esp/buttondown/reading.js'
import type { DeliveryFact } from '../../esp/inbox.js'
import type { Calendar } from '../../web/calendar.js'
import type { Deed } from './engagements.js'
import { guest } from './guest.js'
import { issues, sentAt, tags } from './newsletter.js'
import type { Dice } from './readers.js'
import { lastSync, portions, type Recorded } from './record-newsletter.js'
import { type Subscriber, uuid } from './subscribers.js'

const second = 1000
const minute = 60 * second
const day = 86_400_000

/** Everything of this age came in by the webhook; what is older came with the syncs. */
const deliveredSince = 2 * day
/** When the newsletter was connected. */
const connectedDaysAgo = 118

interface Needs {
  db: Db
  subscribers: Subscriber[]
  deeds: Deed[]
  recorded: Recorded
  dice: Dice
  calendar: Calendar
  now: number
}

/** What a webhook sends. */
export interface Told {
  id: string
  event_type: string
  data: Record<string, string | null>
}

/** An engagement as the webhook tells it. */
export const toldAs = (
  deed: Pick<Deed, 'id' | 'kind' | 'at' | 'url' | 'address' | 'os' | 'browser'>,
  { subscriber, email }: { subscriber: string; email: string },
): Told => ({
  id: deed.id,
  event_type: `subscriber.${deed.kind}`,
  data: {
    subscriber,
    email,
    creation_date: new Date(deed.at).toISOString(),
    url: deed.url,
    ip_address: deed.address,
    os: deed.os,
    browser: deed.browser,
  },
})

/** A delivery as the webhook hands it on. */
export const deliveryOf = (told: Told, receivedAt: number): DeliveryFact => ({
  provider,
  key: told.id,
  eventType: told.event_type,
  body: Buffer.from(JSON.stringify(told)),
  receivedAt,
  kept: false,
})

/** Writes what the provider itself says of the issues, what its webhook delivered, and how the syncs went. */
export async function recordProvider(needs: Needs) {
  await recordReports(needs)
  await recordRuns(needs)
  await needs.db.transaction().execute((tx) => recordInbox(tx, needs))
}

/** The provider counts people too, but with most proxies among them, and its numbers are some hours old. */
async function recordReports(needs: Needs) {
  const { db, recorded, dice, now } = needs
  const synced = lastSync(needs)
  const { below, chance } = dice
  const counts = await db.selectFrom('mailing_counts').selectAll().orderBy('mailing_id').execute()
  const rows = issues.flatMap((issue, index): NewRow<'mailing_reports'>[] => {
    const ours = counts.find(({ mailing_id }) => mailing_id === recorded.mailings[index])
    if (!ours || sentAt(issue, now) > synced) return []
    const isFresh = issue.daysAgo < 5
    const delivered = ours.people_sent - ours.people_bounced
    const machinesLeft = Math.round((ours.all_people_clicked - ours.people_clicked) * 0.3)
    const hard = Math.max(0, ours.people_bounced - below(2))
    return [
      {
        mailing_id: ours.mailing_id,
        recipients: ours.people_sent,
        deliveries: chance(0.25) ? delivered + 1 + below(3) : delivered,
        unique_opens: ours.all_people_opened - below(isFresh ? 60 : 9) + (chance(0.15) ? 12 : 0),
        unique_clicks: isFresh
          ? Math.max(0, ours.people_clicked - 3 - below(8))
          : ours.people_clicked + machinesLeft,
        temporary_failures: chance(0.3) ? 1 : 0,
        permanent_failures: hard,
        unsubscriptions: ours.people_unsubscribed,
        complaints: issue.daysAgo > 150 ? null : ours.people_complained,
        replies: isFresh ? Math.max(0, ours.people_replied - 1) : ours.people_replied,
        checked_at: synced + 20 * second,
      },
    ]
  })
  await db.insertInto('mailing_reports').values(rows).execute()
}

async function recordRuns(needs: Needs) {
  const { db, subscribers, deeds, dice, now } = needs
  const synced = lastSync(needs)
  const { below, chance } = dice
  type NewRun = NewRow<'sync_runs'>
  const sends = issues.map((issue) => ({ at: sentAt(issue, now) }))
  const arrivals = subscribers.map(({ createdAt }) => ({ at: createdAt }))
  const until = (at: number) => ({
    subscribers: countBefore(arrivals, at),
    emails: countBefore(sends, at),
    events: countBefore(deeds, at),
  })
  const told = ({ subscribers, emails, events }: ReturnType<typeof until>) => ({
    stage: 'events',
    stages: {
      tags: { done: tags.theirs.length, of: tags.theirs.length },
      subscribers: { done: subscribers, of: subscribers },
      emails: { done: emails, of: emails },
      events: { done: events, of: events },
    },
    requests: 4 + Math.ceil(subscribers / 100) + Math.ceil(emails / 50) + Math.ceil(events / 500),
  })
  const runOf = (kind: string, started_at: number, took: number, rest: Partial<NewRun>): NewRun => ({
    provider,
    kind,
    state: 'done',
    asked_by: guest.username,
    started_at,
    seen_at: started_at + took,
    ended_at: started_at + took,
    changes: '{}',
    ...rest,
  })
  const begun = now - connectedDaysAgo * day
  const all = until(begun)
  const first = runOf('first', begun, 4 * minute + 12 * second, {
    progress: JSON.stringify(told(all)),
    changes: JSON.stringify({
      subscribers: all.subscribers,
      mailings: all.emails,
      events: all.events,
      nobody: 41,
    }),
  })
  const runs: NewRun[] = []
  for (let daysAgo = connectedDaysAgo - 1; daysAgo >= 0; daysAgo--) {
    const at = synced - daysAgo * day
    const here = until(at)
    // It looks at the events of three days again.
    const looked = { ...here, events: here.events - until(at - 3 * day).events }
    const progress = JSON.stringify(told(looked))
    const nightly = { asked_by: 'the nightly schedule', progress }
    if (daysAgo === 6) {
      const error = 'Buttondown has a fault at the moment (HTTP 503). Trying again later helps as a rule.'
      runs.push(runOf('nightly', at, 96 * second, { ...nightly, state: 'failed', error }))
      const changes = { subscribers: 2, events: 212, repaired: 212 }
      runs.push(
        runOf('manual', at + 6.4 * 60 * minute, 41 * second, { progress, changes: JSON.stringify(changes) }),
      )
      continue
    }
    const missed = chance(0.3) ? 1 + below(7) : 0
    const changes: Record<string, number> = {}
    if (chance(0.12)) changes.subscribers = 1 + below(2)
    if (missed > 0) Object.assign(changes, { events: missed, repaired: missed })
    if (chance(0.05)) changes.removed = 1
    runs.push(
      runOf('nightly', at, (22 + below(25)) * second, { ...nightly, changes: JSON.stringify(changes) }),
    )
  }
  const { id } = await db.insertInto('sync_runs').values(first).returning('id').executeTakeFirstOrThrow()
  for (const some of portions(runs, 100)) await db.insertInto('sync_runs').values(some).execute()
  const why = 'Buttondown has events of this subscriber and no longer knows who it was. They are left out.'
  const failures = [0, 1].map((turn) => ({
    run_id: id,
    provider,
    what: `Subscriber ${uuid(dice)}`,
    why,
    failed_at: begun + (3 + turn) * minute,
    settled_at: null,
  }))
  await db.insertInto('sync_failures').values(failures).execute()
}

/** @param sorted by their instants */
function countBefore(sorted: { at: number }[], at: number) {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]!.at < at) low = middle + 1
    else high = middle
  }
  return low
}

async function recordInbox(tx: Db, { subscribers, deeds, recorded, dice, now }: Needs) {
  const { below } = dice
  type Delivery = NewRow<'inbox'>
  const deliveries: Delivery[] = []
  function deliver(told: Told, at: number, rest: Partial<Delivery> = {}) {
    // Buttondown's queue takes a moment, and a few of them at busy times.
    const received_at = Math.min(now - second, Math.floor(at + 900 + below(2_600)))
    deliveries.push({
      provider,
      key: told.id,
      event_type: told.event_type,
      received_at,
      body: Buffer.from(JSON.stringify(told)),
      contact_id: null,
      state: 'done',
      tries: 1,
      try_at: null,
      reason: null,
      settled_at: received_at + 30 + below(90),
      ...rest,
    })
  }
  const kept = { state: 'kept', tries: 0, settled_at: null } as const
  const about = (index: number) => ({ contact_id: recorded.contacts[index]! })

  // One that the provider's event store does not know, and that was asked for in vain.
  const unknown = deeds.find(({ at, kind }) => kind === 'opened' && at > now - 18 * 60 * minute)
  for (const deed of deeds) {
    if (deed.at < now - deliveredSince || deed === unknown) continue
    const subscriber = subscribers[deed.subscriber]!.id
    deliver(
      toldAs(deed, { subscriber, email: recorded.issueIds[deed.issue]! }),
      deed.at,
      about(deed.subscriber),
    )
  }
  subscribers.forEach(({ id: subscriber, createdAt, changes }, index) => {
    if (createdAt > now - deliveredSince)
      deliver(
        { id: uuid(dice), event_type: 'subscriber.created', data: { subscriber } },
        createdAt,
        about(index),
      )
    for (const { at, status } of changes)
      if (status === 'subscribed' && at > createdAt && at > now - deliveredSince)
        deliver(
          { id: uuid(dice), event_type: 'subscriber.confirmed', data: { subscriber } },
          at,
          about(index),
        )
  })
  issues.forEach((issue, index) => {
    const at = sentAt(issue, now)
    const email = recorded.issueIds[index]!
    if (at > now - deliveredSince)
      deliver({ id: uuid(dice), event_type: 'email.sent', data: { email } }, at + 5 * second)
  })

  const somebody = () => below(subscribers.length)
  for (const [event_type, minutesAgo] of [
    ['subscriber.activation_delivered', 41],
    ['subscriber.activation_clicked', 180],
    ['subscriber.activation_opened', 610],
    ['survey.updated', 655],
    ['subscriber.activation_delivered', 1_420],
  ] as const)
    deliver(
      { id: uuid(dice), event_type, data: { subscriber: subscribers[somebody()]!.id } },
      now - minutesAgo * minute,
      kept,
    )

  const failed = (told: Told, at: number, reason: string, contact: object = {}) => {
    // Six tries: at once, and after 1, 5, 30, 120 and 360 minutes.
    deliver(told, at, { state: 'failed', tries: 6, reason, settled_at: at + 516 * minute, ...contact })
  }
  failed(
    { id: uuid(dice), event_type: 'subscriber.clicked', data: { subscriber: uuid(dice) } },
    now - 790 * minute,
    'Buttondown knows no such subscriber. Test deliveries have made-up ids.',
  )
  if (unknown) {
    const { id, kind, at, subscriber } = unknown
    failed(
      { id, event_type: `subscriber.${kind}`, data: { subscriber: subscribers[subscriber]!.id } },
      at,
      'Buttondown does not know this event. What the delivery told of it is kept.',
      about(subscriber),
    )
  }
  const other = somebody()
  failed(
    { id: uuid(dice), event_type: 'subscriber.updated', data: { subscriber: subscribers[other]!.id } },
    now - 2_300 * minute,
    'Buttondown has a fault at the moment (HTTP 503). Trying again later helps as a rule.',
    about(other),
  )
  // Its turn comes in some minutes.
  deliver(
    {
      id: uuid(dice),
      event_type: 'subscriber.tags.changed',
      data: { subscriber: subscribers[other]!.id },
    },
    now - 22 * minute,
    {
      state: 'waiting',
      ...about(other),
      tries: 3,
      try_at: now + 14 * minute,
      reason: 'Buttondown takes no more requests at the moment. It asks to wait 60 seconds.',
      settled_at: null,
    },
  )
  deliveries.sort((a, b) => a.received_at - b.received_at)
  for (const some of portions(deliveries)) await tx.insertInto('inbox').values(some).execute()
}
