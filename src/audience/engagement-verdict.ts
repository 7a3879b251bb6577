import { isMachine } from './devices.js'
import { type EngagementKind, engagementNumber } from './engagement-kinds.js'
import type { Networks } from './networks.js'

/**
 * Who an engagement came from, as the database keeps it. Persons and suspected ones count; machines and proxies stand
 * beside.
 */
export const engagementVerdict = { person: 0, suspected: 1, machine: 2, proxy: 3 } as const
export type EngagementVerdict = (typeof engagementVerdict)[keyof typeof engagementVerdict]
/** Their names; the database keeps the place in this list. */
export const verdicts = ['person', 'suspected', 'machine', 'proxy'] as const
export const verdictOf = (number: number) => verdicts[number]!
/** Is it in the numbers that leave machines and mail proxies out? */
export const counts = (verdict: number) => verdict < engagementVerdict.machine

/** Why. Each is a bit, so that an engagement keeps all its reasons in one number. */
export const engagementReason = {
  /** The caller calls itself a bot or an HTTP library. */
  agent: 1,
  /** Security scanners follow links from their operators' own networks before the message reaches the inbox. */
  scanner: 2,
  /** A program says that it loads ahead of the person. */
  prefetch: 4,
  /** No reader sees the canary: who follows it follows everything, and what came with it came from the same hand. */
  canary: 8,
  /** A scanner follows all links of a message at once, from whatever network. */
  burst: 16,
  /** People sit behind VPNs and office networks that end in data centres, so this alone only makes suspicious. */
  dataCentre: 32,
  /** Nobody reads and clicks in five seconds, but clocks differ and some do: alone it only makes suspicious. */
  haste: 64,
  /** Mail Privacy Protection loads all pictures on arrival, whether or not the message is ever looked at. */
  apple: 128,
  /** Gmail loads pictures through its proxy when the message is opened: this alone speaks against nobody. */
  gmail: 256,
  /** Within a minute of the delivery Gmail's proxy comes by itself, to look for malware and to warm its cache. */
  early: 512,
  /** Neither user agent, network, operating system nor browser is known: counted as a person, and said so. */
  unjudged: 1024,
} as const

/** The reasons as people read them. */
export const reasonWords: Record<number, string> = {
  [engagementReason.agent]: 'the user agent is a bot or an HTTP library',
  [engagementReason.scanner]: 'it came from the network of a security scanner',
  [engagementReason.prefetch]: 'a program loaded it ahead of the person',
  [engagementReason.canary]: 'the hidden canary link was followed within a minute of it',
  [engagementReason.burst]: 'three or more different links of the mailing within 10 seconds',
  [engagementReason.dataCentre]: 'it came from a data centre',
  [engagementReason.haste]: 'the click came within 5 seconds of the delivery',
  [engagementReason.apple]: 'it came through the mail privacy proxy of Apple',
  [engagementReason.gmail]: 'it came through the image proxy of Gmail',
  [engagementReason.early]: 'the proxy loaded it within 60 seconds of the delivery',
  [engagementReason.unjudged]: 'nothing is known by which it could be judged',
}
export const reasonsInWords = (bits: number) =>
  Object.entries(reasonWords)
    .filter(([bit]) => bits & Number(bit))
    .map(([, words]) => words)

/** Is nothing known by which this could be judged? It may count all the same. */
export const isUnjudged = (reasons: number) => (reasons & engagementReason.unjudged) !== 0

/** Bits that hang on the other engagements of the same reception: each new one may change them. */
const timing =
  engagementReason.burst | engagementReason.canary | engagementReason.haste | engagementReason.early

const machineAlone =
  engagementReason.agent |
  engagementReason.scanner |
  engagementReason.prefetch |
  engagementReason.canary |
  engagementReason.burst

const opened = engagementNumber('opened')
const clicked = engagementNumber('clicked')
const delivered = engagementNumber('delivered')
const sent = engagementNumber('sent')

/**
 * The verdict that follows from the reasons. A proxy that names itself is one whatever else speaks against the open;
 * one strong reason, or two suspicions, make a machine.
 */
export function judge(kind: number, reasons: number): EngagementVerdict {
  if (kind !== opened && kind !== clicked) return engagementVerdict.person
  if (kind === opened && (reasons & engagementReason.apple || reasons & engagementReason.early))
    return engagementVerdict.proxy
  if (reasons & machineAlone) return engagementVerdict.machine
  const suspicions =
    Number(Boolean(reasons & engagementReason.dataCentre)) + Number(Boolean(reasons & engagementReason.haste))
  if (suspicions === 0) return engagementVerdict.person
  return suspicions === 1 ? engagementVerdict.suspected : engagementVerdict.machine
}

/** What a provider told about one engagement. Empty text counts as not told. */
export interface EngagementTraces {
  kind: EngagementKind
  userAgent: string | null
  /** The internet address itself, before the privacy setting hashes it or lets it go. */
  address: string | null
  os: string | null
  browser: string | null
  /** What else the provider told: headers such as `purpose` stand here. */
  metadata: Record<string, unknown> | null
  networks: Networks
}

const googleProxy = /GoogleImageProxy|gmail ?image ?proxy/i
const appleProxy = /mail privacy protection|apple (mail )?privacy/i
/** Yahoo's proxy loads a picture when the person opens the message, never ahead: its name is no mark of a machine. */
const quietProxy = /YahooMailProxy/i
/** Only names of programs: a browser without its version is all that many providers tell. */
const machineBrowser =
  /bot\b|crawl|spider|headless|curl|wget|python|scanner|http ?client|okhttp|java\b|go-http|phantom|preview/i
const ahead = /prefetch|prerender|preview/i

/**
 * The reasons that hang on the fact alone, told when it is recorded: what speaks for them may not be kept.
 * @returns bits of {@link engagementReason}; 0 for everything but opens and clicks
 */
export function staticReasons({
  kind,
  userAgent,
  address,
  os,
  browser,
  metadata,
  networks,
}: EngagementTraces) {
  if (kind !== 'opened' && kind !== 'clicked') return 0
  const isOpen = kind === 'opened'
  const agent = userAgent?.trim() ?? ''
  const told = `${browser ?? ''} ${os ?? ''}`.trim()
  const network = address === null ? null : networks.classOf(address)
  let reasons = 0

  // Apple's proxy sends these eleven characters and no more; a browser always says more.
  if (isOpen && (agent === 'Mozilla/5.0' || network === 'apple' || appleProxy.test(told)))
    reasons |= engagementReason.apple
  if (isOpen && (googleProxy.test(agent) || googleProxy.test(told) || network === 'gmail'))
    reasons |= engagementReason.gmail
  const byProxy = reasons !== 0 || (isOpen && quietProxy.test(agent))
  if (!byProxy && ((agent !== '' && isMachine(agent)) || machineBrowser.test(told)))
    reasons |= engagementReason.agent
  if (network === 'scanner') reasons |= engagementReason.scanner
  // An image proxy follows no links: a click from there is some other program of Google's.
  if (!byProxy && (network === 'data-centre' || network === 'gmail')) reasons |= engagementReason.dataCentre
  if (isAhead(metadata)) reasons |= engagementReason.prefetch
  if (agent === '' && address === null && told === '') reasons |= engagementReason.unjudged
  return reasons
}

/** Browsers and proxies say in a header that they load what nobody has asked for yet; providers pass some of them on. */
function isAhead(metadata: Record<string, unknown> | null): boolean {
  if (metadata === null) return false
  return Object.entries(metadata).some(
    ([name, value]) =>
      /^(sec-|x-)?(purpose|moz)$/i.test(name.replaceAll('_', '-')) && ahead.test(String(value)),
  )
}

/** Milliseconds: a scanner follows the links of a message faster than a person. */
export const burstWindow = 10_000
export const burstLinks = 3
/** Milliseconds around a click on the canary in which everything came from the same hand. */
export const canaryWindow = 60_000
/** Milliseconds after the delivery in which no reader clicks. */
export const hasteWindow = 5_000
/** Milliseconds after the delivery in which Gmail's proxy comes by itself. */
export const earlyWindow = 60_000
/**
 * Milliseconds by which an engagement may seem to precede the delivery: one machine tells of the delivery and another
 * of the fetch, and either may round to seconds.
 */
const clockSkew = 2_000

/** One engagement of a reception, as far as its verdict needs it. */
export interface JudgedEngagement {
  id: number
  /** See engagement-kinds.ts. */
  kind: number
  happened_at: number
  /** The url, or the id of the link; null as long as nobody knows which. */
  link: string | number | null
  reasons: number
  verdict: number
}

/**
 * Judges all engagements of one contact with one mailing anew. Timing is told from the whole set, so the outcome does
 * not depend on the order in which facts arrived, and judging twice changes nothing.
 * @param canaryUrl the address of the hidden link, or its id where `link` holds ids; null when there is none
 * @returns for each row, in the order given, what its reasons and verdict should be
 */
export function judgeReception(
  rows: readonly JudgedEngagement[],
  { canaryUrl }: { canaryUrl: string | number | null },
): { id: number; reasons: number; verdict: EngagementVerdict }[] {
  const clicks = rows
    .filter(({ kind }) => kind === clicked)
    .sort((one, other) => one.happened_at - other.happened_at)
  const bursts = burstsOf(clicks)
  const canaries = clicks
    .filter(({ link }) => isCanary(link, canaryUrl))
    .map(({ happened_at }) => happened_at)
  const deliveries = instantsOf(rows, delivered) ?? instantsOf(rows, sent) ?? []
  const isAfterDelivery = (at: number, window: number) =>
    deliveries.some((delivery) => at >= delivery - clockSkew && at <= delivery + window)

  return rows.map(({ id, kind, happened_at: at, reasons: before }) => {
    if (kind !== opened && kind !== clicked) return { id, reasons: 0, verdict: engagementVerdict.person }
    let reasons = before & ~timing
    if (bursts.has(id)) reasons |= engagementReason.burst
    if (canaries.some((canary) => Math.abs(canary - at) <= canaryWindow)) reasons |= engagementReason.canary
    if (kind === clicked && isAfterDelivery(at, hasteWindow)) reasons |= engagementReason.haste
    if (reasons & engagementReason.gmail && isAfterDelivery(at, earlyWindow))
      reasons |= engagementReason.early
    return { id, reasons, verdict: judge(kind, reasons) }
  })
}

const instantsOf = (rows: readonly JudgedEngagement[], wanted: number): number[] | null => {
  const instants = rows.filter(({ kind }) => kind === wanted).map(({ happened_at }) => happened_at)
  return instants.length > 0 ? instants : null
}

/** @param clicks in order of `happened_at`; a link that nobody knows is none of the three, but shares their fate */
function burstsOf(clicks: JudgedEngagement[]): Set<number> {
  const machine = new Set<number>()
  const links = new Map<string | number, number>()
  let first = 0
  let marked = 0
  clicks.forEach(({ link, happened_at }, last) => {
    if (link !== null) links.set(link, (links.get(link) ?? 0) + 1)
    for (; happened_at - clicks[first]!.happened_at > burstWindow; first++) {
      const gone = clicks[first]!.link
      if (gone === null) continue
      const left = links.get(gone)! - 1
      if (left === 0) links.delete(gone)
      else links.set(gone, left)
    }
    if (links.size < burstLinks) return
    for (marked = Math.max(marked, first); marked <= last; marked++) machine.add(clicks[marked]!.id)
  })
  return machine
}

/** Providers add parameters of their own to a link: the canary is told by host and path, and by those it has itself. */
function isCanary(link: string | number | null, canary: string | number | null): boolean {
  if (link === null || canary === null) return false
  if (link === canary) return true
  if (typeof link === 'number' || typeof canary === 'number') return false
  if (!URL.canParse(link) || !URL.canParse(canary)) return false
  const [one, other] = [new URL(link), new URL(canary)]
  return (
    one.host === other.host &&
    one.pathname === other.pathname &&
    [...other.searchParams].every(([name, value]) => one.searchParams.getAll(name).includes(value))
  )
}
