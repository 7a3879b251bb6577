import type { Networks } from '../../audience/networks.js'
import type { SubscriptionStatus } from '../../audience/subscriptions.js'
import type { Happening } from './history.js'
import { issues, newsletter, sentAt, type TagName } from './newsletter.js'
import type { Dice, Reader } from './readers.js'
import { publishers } from './stories.js'

export interface Subscriber {
  reader: Reader
  /** What the provider calls them. */
  id: string
  /** Empty for those who never told. */
  name: string
  source: string
  createdAt: number
  /** What became of the subscription, oldest first. */
  changes: { at: number; status: SubscriptionStatus }[]
  status: SubscriptionStatus
  providerStatus: string
  /** When mail began to go out to them; null where it never did. */
  since: number | null
  manner: Manner
  /** Who loads the pictures: their own program, or somebody in between. */
  mail: 'own' | 'apple' | 'gmail'
  /** Hours of their day at which they read. */
  hours: number[]
  /** Of all that can be opened and clicked they do more, or less, than others of their manner; around 1. */
  zeal: number
  /** The instant at which a manner that changes does so. */
  turnsAt: number
  tags: TagName[]
}

/**
 * Chances to open and to click a mailing, at first and (for those who change) afterwards. What is left of them after
 * each month is less by `tires`.
 */
const manners = {
  champion: { share: 0.07, first: [0.96, 0.82], later: null, tires: 0 },
  active: { share: 0.13, first: [0.86, 0.32], later: null, tires: 0.015 },
  passive: { share: 0.315, first: [0.76, 0.06], later: null, tires: 0.04 },
  fading: { share: 0.255, first: [0.4, 0.015], later: null, tires: 0.14 },
  dormant: { share: 0.135, first: [0.6, 0.08], later: [0, 0], tires: 0.02 },
  absent: { share: 0.065, first: [0, 0], later: null, tires: 0 },
  rising: { share: 0.006, first: [0.4, 0.02], later: [0.98, 0.97], tires: 0 },
  falling: { share: 0.024, first: [0.95, 0.85], later: [0.05, 0], tires: 0 },
} as const
export type Manner = keyof typeof manners
const mannerNames = Object.keys(manners) as Manner[]

/** How likely a subscriber is to open and to click something sent at that instant. */
export function chancesOf({ manner, turnsAt, zeal, createdAt }: Subscriber, at: number) {
  const { first, later, tires } = manners[manner]
  const [opens, clicks] = later && at >= turnsAt ? later : first
  const left = zeal * (1 - tires) ** Math.max(0, (at - createdAt) / (30 * day))
  return { opens: Math.min(0.99, opens * left), clicks: Math.min(0.97, clicks * left) }
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** How many there ever were, and how many of them click what the tracker counts. */
const many = { ever: 2_850, tracked: 950, scanned: 24, lately: 150 }
/** Mailboxes of these are kept by Google, whose proxy loads the pictures. */
const googleMail = /@(inbox|correio)\.example$/
const sources = ['embedded_form', 'embedded_form', 'embedded_form', 'organic', 'organic', 'api', 'form']

interface Needs {
  readers: Reader[]
  /** What the tracker saw of them. */
  happenings: Happening[]
  dice: Dice
  networks: Networks
  now: number
}

/** Everybody who ever subscribed to the newsletter: some click in the tracker's campaigns too, most do not. */
export function inviteSubscribers({ readers, happenings, dice, networks, now }: Needs): Subscriber[] {
  const { random, below, pick, chance } = dice
  const publisher = publishers.findIndex(({ domain }) => domain === newsletter.domain)
  const clicking = new Map<Reader, { first: number; last: number }>()
  const seen = new Set<Reader>()
  for (const { reader, domain, at } of happenings) {
    seen.add(reader)
    if (domain !== newsletter.domain) continue
    const span = clicking.get(reader)
    clicking.set(reader, { first: span?.first ?? at, last: at })
  }
  const isFit = ({ address }: Reader) => networks.classOf(address) !== 'scanner'
  const tracked = [...clicking.keys()].filter((reader) => reader.reads.includes(publisher) && isFit(reader))
  const others = readers.filter((reader) => !seen.has(reader) && isFit(reader))
  const watched = (some: Reader[]) => some.filter(({ scanned }) => scanned)
  const alone = (some: Reader[]) => some.filter(({ scanned }) => !scanned)
  // Who clicks for the first time now has a score that jumps: few are enough.
  const isOld = (reader: Reader) => clicking.get(reader)!.first < now - 40 * day
  const chosen = [
    ...sample(alone(tracked).filter(isOld), many.tracked - many.lately - many.scanned / 2),
    ...sample(
      alone(tracked).filter((reader) => !isOld(reader)),
      many.lately,
    ),
    ...sample(watched(tracked), many.scanned / 2),
    ...sample(watched(others), many.scanned / 2),
  ]
  chosen.push(...sample(alone(others), many.ever - chosen.length))

  function sample<Item>(from: Item[], count: number): Item[] {
    const left = [...from]
    for (let index = 0; index < Math.min(count, left.length); index++) {
      const other = index + below(left.length - index)
      ;[left[index], left[other]] = [left[other]!, left[index]!]
    }
    return left.slice(0, count)
  }

  const begin = now - issues[0]!.daysAgo * day - 5 * day
  /** The first week brings the readers of the old address, then it grows, faster after some letters than others. */
  const arrival = (before: number): { at: number; moved: boolean } => {
    if (chance(0.3)) return { at: begin + random() * 3 * day, moved: true }
    const latest = Math.min(before, now - 10 * minute)
    for (;;) {
      const at = begin + 4 * day + random() ** 0.85 * (now - begin - 4 * day)
      const letter = issues.findLast((issue) => sentAt(issue, now) < at)
      if (chance(0.25 + 0.55 * ((letter?.draw ?? 1) - 0.6))) {
        if (at < latest) return { at, moved: false }
        return { at: begin + 4 * day + random() * Math.max(hour, latest - begin - 5 * day), moved: false }
      }
    }
  }

  return chosen
    .map((reader): Subscriber => {
      const clicks = clicking.get(reader)
      const { at, moved } = arrival(clicks ? clicks.first - 2 * day : Number.POSITIVE_INFINITY)
      const manner = mannerOf(reader, clicks !== undefined)
      const createdAt = Math.floor(awake(at, reader))
      // Reading does not change on one day for everybody.
      const turnsAt =
        manner === 'dormant' ? now - (97 + below(90)) * day : now - (manner === 'rising' ? 33 : 36) * day
      const subscriber: Subscriber = {
        reader,
        id: uuid(dice),
        name: chance(0.82) ? nameOf(reader.email) : '',
        source: moved ? 'import' : chance(0.05) ? 'admin' : pick(sources),
        createdAt,
        changes: [],
        status: 'subscribed',
        providerStatus: 'regular',
        since: null,
        manner,
        mail: mailOf(reader),
        hours: [pick([6.6, 7.2, 7.8, 8.4, 9.2]), pick([12.4, 13, 17.6, 19.2, 20.4, 21.3])],
        zeal: 0.75 + 0.5 * random(),
        turnsAt,
        tags: [],
      }
      subscribe(subscriber, moved, clicks?.last ?? 0)
      subscriber.tags = tagsOf(subscriber, moved)
      return subscriber
    })
    .sort((one, other) => one.createdAt - other.createdAt)

  function awake(at: number, { ahead }: Reader) {
    const local = new Date(at + ahead * hour).getUTCHours()
    const later = local < 7 ? at + (7 - local + 2 * random()) * hour : at
    return later < now - 10 * minute ? later : at
  }

  function mannerOf({ keen }: Reader, clicks: boolean): Manner {
    let left = random() - (clicks ? 0.1 * (keen - 0.5) : -0.04)
    for (const name of mannerNames) {
      left -= manners[name].share
      if (left < 0) return clicks && name === 'absent' ? 'fading' : name
    }
    return 'passive'
  }

  /** Mail of most Apple devices is fetched by Apple; of the others' some is kept at Google. */
  function mailOf({ email, userAgents }: Reader): Subscriber['mail'] {
    if (/iPhone|iPad|Macintosh/.test(userAgents[0]!) && chance(0.72)) return 'apple'
    return googleMail.test(email) ? 'gmail' : 'own'
  }

  /** Confirms, pauses, leaves: the ways of a subscription. @param needed mail went out to them until then at least */
  function subscribe(subscriber: Subscriber, moved: boolean, needed: number) {
    const { createdAt, changes, manner } = subscriber
    const become = (at: number, status: SubscriptionStatus, providerStatus: string) => {
      changes.push({ at: Math.floor(at), status })
      subscriber.status = status
      subscriber.providerStatus = providerStatus
    }
    if (moved) become(createdAt, 'subscribed', 'regular')
    else {
      become(createdAt, 'unconfirmed', 'unactivated')
      const confirmedAt = createdAt + Math.max(20 * second, dice.delay(6 * minute, 1.2))
      const isFresh = createdAt > now - 20 * day
      if (needed === 0 && chance(isFresh ? 0.12 : 0.03)) return
      if (confirmedAt > now - minute) return
      become(confirmedAt, 'subscribed', 'regular')
    }
    subscriber.since = changes.at(-1)!.at
    const stays = Math.max(subscriber.since, needed) + day
    if (stays > now - day) return
    /** A letter is what makes people leave. */
    const some = (median = 5 * hour) => {
      const at = stays + random() * (now - day - stays)
      const letter = issues.findLast((issue) => sentAt(issue, now) < at)
      const moved = letter ? sentAt(letter, now) + minute + dice.delay(median) : at
      return moved > stays && moved < now - minute ? moved : at
    }
    const fate = random()
    const weary = manner === 'dormant' || manner === 'fading' || manner === 'absent'
    // The longer somebody is there the likelier they have left.
    const exposure = Math.min(1, (now - stays) / (150 * day))
    const leaves = (weary ? 0.24 : 0.1) * exposure
    if (fate < leaves) return become(some(), 'unsubscribed', 'unsubscribed')
    if (fate < leaves + 0.02) return become(some(20 * second), 'bounced', 'undeliverable')
    if (fate < leaves + 0.024) return become(some(), 'complained', 'complained')
    if (fate < leaves + 0.034) return become(some(), 'removed', pick(['removed', 'blocked', 'spammy']))
    if (fate < leaves + 0.043) {
      const at = some()
      become(at, 'paused', 'paused')
      // A holiday ends, mostly.
      if (chance(0.45) && at + 21 * day < now - day) become(at + 21 * day, 'subscribed', 'regular')
      return
    }
    if (fate < leaves + 0.052 && now - stays > 40 * day) {
      // Gone and back again.
      const at = stays + random() * (now - stays - 35 * day)
      become(at, 'unsubscribed', 'unsubscribed')
      become(at + (8 + below(20)) * day, 'subscribed', 'regular')
    }
  }

  function tagsOf({ manner, zeal, since }: Subscriber, moved: boolean): TagName[] {
    if (since === null) return []
    const given: TagName[] = []
    const loyal = manner === 'champion' ? 1 : manner === 'active' || manner === 'rising' ? 0.55 : 0.15
    const give = (name: TagName, likely: number) => {
      if (chance(likely * zeal)) given.push(name)
    }
    if (moved) given.push('founding-reader')
    give('coffee-club', 0.38 * loyal)
    give('brew-along', 0.3 * loyal)
    give('lisbon', 0.05)
    give('survey-2026', 0.45 * loyal)
    give('worth a call', 0.08 * loyal)
    give('wholesale', 0.012)
    give('testers', 0.12 * loyal)
    give('gift givers', 0.1 * loyal)
    return given
  }
}

/** Did mail go out to a subscriber at that instant? */
export function isReachedAt({ changes }: Subscriber, at: number) {
  const last = changes.findLast((change) => change.at <= at)
  return last !== undefined && last.status === 'subscribed'
}

/** `anna.becker7@…` is Anna Becker. */
function nameOf(email: string) {
  const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)
  return email.slice(0, email.indexOf('@')).replace(/\d+$/, '').split('.').map(capital).join(' ')
}

/** A UUID of version 4, of chance that can be had again. */
export function uuid({ below }: Dice) {
  const digits = (count: number) =>
    below(16 ** count)
      .toString(16)
      .padStart(count, '0')
  return `${digits(8)}-${digits(4)}-4${digits(3)}-${'89ab'[below(4)]}${digits(3)}-${digits(6)}${digits(6)}`
}
