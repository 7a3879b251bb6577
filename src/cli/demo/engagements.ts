import { UAParser } from 'ua-parser-js'
import type { EngagementKind } from '../../audience/engagement-kinds.js'
import type { Happening } from './history.js'
import { type Issue, issues, newsletter, sentAt } from './newsletter.js'
import type { Dice } from './readers.js'
import type { Story } from './stories.js'
import { chancesOf, isReachedAt, type Subscriber, uuid } from './subscribers.js'

/** What somebody did with an issue, or what was done to them, before anybody has judged it. */
export interface Deed {
  at: number
  /** Position in the subscribers and in the issues. */
  subscriber: number
  issue: number
  kind: EngagementKind
  /** What the provider calls it. */
  id: string
  url: string | null
  address: string | null
  os: string | null
  browser: string | null
  metadata: Record<string, unknown> | null
}
type Traces = Pick<Deed, 'address' | 'os' | 'browser'>

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** The provider kept no traces of events before; nobody can judge them. */
const tracelessDaysAgo = 196
const nothing: Traces = { address: null, os: null, browser: null }

interface Needs {
  subscribers: Subscriber[]
  /** What the tracker saw: a click that it saw on the newsletter's domain is one that the provider saw too. */
  happenings: Happening[]
  stories: Story[]
  dice: Dice
  now: number
}

/** All that became of all issues up to now, in order. */
export function tellEngagements({ subscribers, happenings, stories, dice, now }: Needs): Deed[] {
  const { random, below, pick, chance, delay } = dice
  const deeds: Deed[] = []
  const sends = issues.map((issue) => sentAt(issue, now))
  const tracked = trackedClicks()

  subscribers.forEach((subscriber, number) => {
    const own = traces(subscriber)
    for (const [index, issue] of issues.entries()) {
      const sent = sends[index]!
      const about = { subscriber: number, issue: index }
      const tell = (
        at: number,
        kind: EngagementKind,
        { url = null, metadata = null, ...found }: Partial<Deed> = {},
      ) => {
        if (at > now - 20 * second) return
        const seen = sent < now - tracelessDaysAgo * day ? nothing : { ...nothing, ...found }
        deeds.push({ ...about, ...seen, at: Math.floor(at), kind, url, metadata, id: uuid(dice) })
      }
      for (const change of subscriber.changes) {
        if (change.at < sent || change.at > (sends[index + 1] ?? now)) continue
        if (change.status === 'unsubscribed' || change.status === 'complained') tell(change.at, change.status)
        if (change.status === 'bounced')
          tell(change.at, 'bounced', { metadata: { code: '550 5.1.1 The mailbox does not exist.' } })
      }
      if (!isReachedAt(subscriber, sent)) continue
      if (subscriber.changes.some(({ at, status }) => status === 'bounced' && at > sent && at < sent + hour))
        continue
      if (chance(0.0012)) {
        tell(sent + 30 * second + below(60_000), pick(['bounced', 'rejected'] as const), {
          metadata: { code: '452 4.2.2 The mailbox is full.' },
        })
        continue
      }
      let delivered = sent + 4 * second + delay(40 * second, 0.9)
      if (chance(0.004)) {
        tell(delivered, 'deferred')
        delivered += 20 * minute + delay(90 * minute)
      }
      tell(delivered, 'delivered')
      byMachines(subscriber, issue, delivered, tell)
      byThePerson(subscriber, issue, { sent, delivered, own, tell })
    }
  })
  for (const [number, clicks] of tracked) {
    for (const { at, url, address } of clicks) {
      const index = sends.findLastIndex((sent) => sent < at - minute)
      const subscriber = subscribers[number]!
      if (index < 0 || !isReachedAt(subscriber, sends[index]!) || at > now - 20 * second) continue
      const seen = { ...traces(subscriber), address }
      const about = { subscriber: number, issue: index, ...seen, metadata: null }
      if (subscriber.mail !== 'apple')
        deeds.push({
          ...about,
          at: at - 15 * second - below(40_000),
          kind: 'opened',
          id: uuid(dice),
          url: null,
        })
      deeds.push({ ...about, at: at - 300, kind: 'clicked', id: uuid(dice), url })
    }
  }
  lately()
  return deeds.sort((one, other) => one.at - other.at)

  /** The last hours, whatever the time of day, so that nothing looks abandoned. */
  function lately() {
    const last = issues.length - 1
    const keen = [...subscribers.keys()].filter((number) => {
      const { manner, mail } = subscribers[number]!
      return (
        mail === 'own' &&
        (manner === 'champion' || manner === 'active') &&
        isReachedAt(subscribers[number]!, sends[last]!)
      )
    })
    for (let count = 0; count < 40; count++) {
      const number = pick(keen)
      const at = now - 30 * second - below(6_600) * second - below(1_000)
      const found = { ...traces(subscribers[number]!), subscriber: number, issue: last, metadata: null }
      deeds.push({ ...found, at, kind: 'opened', id: uuid(dice), url: null })
      if (chance(0.4)) {
        const url = pick(issues[last]!.links)
        deeds.push({
          ...found,
          at: Math.min(at + 40 * second, now - 5 * second),
          kind: 'clicked',
          id: uuid(dice),
          url,
        })
      }
    }
  }

  /** A provider redirects before the tracker does: what the one counts, the other has counted a moment before. */
  function trackedClicks() {
    const places = new Map(subscribers.map(({ reader }, index) => [reader, index]))
    const clicks = new Map<number, { at: number; url: string; address: string | null }[]>()
    for (const { kind, domain, reader, at, story, address, userAgent } of happenings) {
      const place = places.get(reader)
      if (kind !== 'email_click' || domain !== newsletter.domain || place === undefined) continue
      if (userAgent === null || !reader.userAgents.includes(userAgent)) continue // a scanner's
      const url = stories[story]!.offer
      clicks.set(place, [...(clicks.get(place) ?? []), { at, url, address }])
    }
    return clicks
  }

  type Tell = (at: number, kind: EngagementKind, found?: Partial<Deed>) => void

  /** Proxies that load pictures ahead, and gateways that follow every link. */
  function byMachines({ mail, reader, zeal }: Subscriber, issue: Issue, delivered: number, tell: Tell) {
    if (mail === 'apple' && chance(0.96))
      tell(delivered + delay(25 * minute, 1.4), 'opened', { address: appleAddress(), browser: 'Mozilla' })
    if (mail === 'gmail' && chance(0.12 * zeal))
      tell(delivered + 2 * second + below(40_000), 'opened', googleTraces())
    if (reader.scanned && chance(0.7)) {
      const scanner = { address: `40.94.${below(8)}.${1 + below(254)}`, os: 'Windows', browser: 'Chrome' }
      const start = delivered + 2 * second + below(20_000)
      tell(start, 'opened', scanner)
      const links = [...issue.links.slice(0, 2 + below(4)), newsletter.canary]
      links.forEach((url, turn) => {
        tell(start + (turn + 1) * (300 + below(900)), 'clicked', { ...scanner, url })
      })
    }
    if (chance(0.0015))
      tell(delivered + 4 * second + below(9_000), 'opened', {
        ...nothing,
        browser: 'HeadlessChrome',
        os: 'Linux',
      })
  }

  interface Occasion {
    sent: number
    delivered: number
    own: Traces
    tell: Tell
  }

  function byThePerson(subscriber: Subscriber, issue: Issue, { sent, delivered, own, tell }: Occasion) {
    const { mail, manner } = subscriber
    const chances = chancesOf(subscriber, sent)
    const reads = chance(chances.opens * (0.55 + 0.45 * issue.draw))
    const clicks = reads && chance(((chances.clicks / Math.max(0.01, chances.opens)) * (1 + issue.draw)) / 2)
    if (!reads) return
    const opened = readingTime(subscriber, sent, delivered)
    const traceless = chance(0.02)
    const seen = traceless ? nothing : own
    const open = (at: number) => {
      // Apple has loaded the pictures already, and they are not asked for again.
      if (mail === 'own') tell(at, 'opened', seen)
      if (mail === 'gmail' && at > delivered + 90 * second) tell(at, 'opened', googleTraces())
    }
    open(opened)
    if (chance(0.16)) open(opened + delay(9 * hour, 1.3))
    if (clicks) {
      const many = 1 + Number(chance(0.28)) + Number(chance(0.1))
      let at = opened
      for (let click = 0; click < many; click++) {
        at += 12 * second + delay(70 * second)
        const link = Math.min(below(issue.links.length), below(issue.links.length))
        tell(chance(0.004) ? delivered + 3 * second : at, 'clicked', { ...seen, url: issue.links[link]! })
      }
    }
    const keen = manner === 'champion' || manner === 'rising' || manner === 'active'
    if (chance(keen ? 0.007 : 0.0015))
      tell(opened + 3 * minute + delay(50 * minute), 'replied', {
        metadata: { subject: `Re: ${issue.name}` },
      })
  }

  /** In the morning or in the evening, as they are used to, mostly on the first day; nobody reads asleep. */
  function readingTime({ reader, hours }: Subscriber, sent: number, delivered: number) {
    const days = chance(0.56) ? 0 : chance(0.5) ? 1 : 2 + Math.floor(delay(1.3, 0.9))
    const midnight = Math.floor((sent + reader.ahead * hour) / day) * day - reader.ahead * hour
    const habit = hours[Number(chance(0.47))]!
    const at = midnight + days * day + habit * hour + (random() + random() - 1) * 70 * minute
    if (at > delivered + 40 * second) return at
    const soon = delivered + 30 * second + delay(100 * minute, 1.1)
    const local = new Date(soon + reader.ahead * hour).getUTCHours()
    return local < 6 ? soon + (6 - local + random() * 2) * hour : soon
  }

  /** Relays of Apple's that the shipped list of networks knows. */
  function appleAddress() {
    return chance(0.7) ? `104.28.${below(128)}.${1 + below(254)}` : `172.225.${below(128)}.${1 + below(254)}`
  }
  function googleTraces(): Traces {
    return {
      address: `66.249.${84 + below(8)}.${1 + below(254)}`,
      os: 'Windows',
      browser: 'Gmail image proxy',
    }
  }
}

/** What a provider tells of a reader's own program. */
export function traces({ reader }: Subscriber): Traces {
  let known = read.get(reader.userAgents[0]!)
  if (!known) {
    const { os, browser } = new UAParser(reader.userAgents[0]!).getResult()
    known = { os: os.name ?? null, browser: browser.name ?? null }
    read.set(reader.userAgents[0]!, known)
  }
  return { ...known, address: reader.address }
}
const read = new Map<string, Pick<Traces, 'os' | 'browser'>>()
