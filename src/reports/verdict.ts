import { conversionRate, landingRate } from '../campaigns/metrics.js'
import { campaignStats } from '../campaigns/statistics.js'
import type { Db } from '../database/open.js'
import type { Benchmarks } from '../mailings/benchmarks.js'
import { numberOf } from '../mailings/mailing-numbers.js'
import { betterRate, type RateName } from '../mailings/statistics.js'
import { type CampaignNumbers, type DomainNumbers, sumOfCampaigns } from './campaign-numbers.js'
import { domainHeading } from './campaign-sections.js'
import type { Tile, Verdict } from './data.js'
import type { ListNumbers } from './list-sections.js'
import type { ReportFormats } from './locales.js'
import { averagesOf, sumsOf } from './mailing-sums.js'
import type { OfferResult } from './offer-sections.js'
import type { Found, Named } from './subjects.js'
import type { TemplateName } from './templates.js'
import { capital, counted, quoted } from './words.js'

/** All numbers that a verdict is drafted from. */
export interface Numbers {
  found: Found
  campaigns: readonly CampaignNumbers[]
  domains: readonly DomainNumbers[]
  lists: readonly ListNumbers[]
  offers: readonly OfferResult[]
  /** The partner's earlier campaigns: averages over them; null where there are none. */
  before: CampaignAverages | null
  benchmarks: Benchmarks
}

/** What the partner's earlier campaigns brought on average, each weighing the same. */
export interface CampaignAverages {
  campaigns: number
  emailClicks: number
  conversions: number
  peopleConverted: number
  /** Of those that have one: shares of one. */
  conversionRate: number | null
  landingRate: number | null
}

/** Averages over campaigns, machines left out; null where there is none. */
export async function readCampaignsBefore(
  db: Db,
  campaigns: readonly Named[],
): Promise<CampaignAverages | null> {
  if (campaigns.length === 0) return null
  const all = await Promise.all(campaigns.map(({ id }) => campaignStats(db, id, { machines: false })))
  const mean = (values: (number | null)[]) => {
    const known = values.filter((value) => value !== null)
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length
  }
  return {
    campaigns: all.length,
    emailClicks: mean(all.map(({ events }) => events.email_clicks))!,
    conversions: mean(all.map(({ events }) => events.conversions))!,
    peopleConverted: mean(all.map(({ people }) => people.conversions))!,
    conversionRate: mean(all.map(({ events }) => conversionRate(events))),
    landingRate: mean(all.map(({ events }) => landingRate(events))),
  }
}

const rateTile: Record<RateName, { id: string; label: string; decimals: 1 | 2 }> = {
  open: { id: 'open-rate', label: 'Open rate', decimals: 1 },
  click: { id: 'click-rate', label: 'Click rate', decimals: 1 },
  clickToOpen: { id: 'click-to-open', label: 'Click-to-open', decimals: 1 },
  bounce: { id: 'bounce-rate', label: 'Bounced', decimals: 2 },
  unsubscribe: { id: 'unsubscribe-rate', label: 'Unsubscribed', decimals: 2 },
  complaint: { id: 'complaint-rate', label: 'Complained', decimals: 2 },
}

function rateTiles({ found, benchmarks }: Numbers, names: readonly RateName[]): Tile[] {
  if (found.mailings.length === 0) return []
  const { rates } = sumsOf(found.mailings)
  const usual = averagesOf(found.earlier)
  return names.map((rate) => ({
    ...rateTile[rate],
    value: rates[rate],
    as: 'share',
    good: betterRate[rate] === 'higher' ? 'up' : 'down',
    own: usual[rate],
    field: benchmarks[rate],
    note: '',
  }))
}

const count = (id: string, label: string, value: number | null, parts: Partial<Tile> = {}): Tile => ({
  id,
  label,
  value,
  as: 'number',
  decimals: 0,
  good: 'up',
  own: null,
  field: null,
  note: '',
  ...parts,
})
const rate = (id: string, label: string, value: number | null, parts: Partial<Tile> = {}): Tile =>
  count(id, label, value, { as: 'share', decimals: 2, ...parts })

/** Counts of several campaigns are not held against the average of one. */
function campaignTiles({ campaigns, before, found }: Numbers, f: ReportFormats): Tile[] {
  if (campaigns.length === 0) return []
  const { events, people } = sumOfCampaigns(campaigns)
  const own = campaigns.length === 1 && found.isWhole && found.contacts === null ? before : null
  const all = [
    count('conversions', 'Conversions', events.conversions, {
      own: own?.conversions ?? null,
      note: `from ${f.plural(events.email_clicks, 'email click', 'email clicks')}`,
    }),
    count('people-converted', 'People converted', people.conversions, {
      own: own?.peopleConverted ?? null,
      note: `of ${f.number(people.email_clicks)} who clicked`,
    }),
    rate('conversion-rate', 'Conv. rate', conversionRate(events), {
      own: before?.conversionRate ?? null,
      note: 'conversions ÷ email clicks',
    }),
  ]
  if (found.mailings.length > 0) return all
  return [
    count('email-clicks', 'Email clicks', events.email_clicks, {
      own: own?.emailClicks ?? null,
      note: f.plural(people.email_clicks, 'person', 'people'),
    }),
    count('landing-clicks', 'Landing clicks', events.landing_clicks, {
      note: f.plural(people.landing_clicks, 'person', 'people'),
    }),
    rate('landing-rate', 'Landing rate', landingRate(events), {
      own: before?.landingRate ?? null,
      note: 'landing clicks ÷ email clicks',
    }),
    ...all,
  ]
}

function mailingTiles(numbers: Numbers, f: ReportFormats): Tile[] {
  const { mailings } = numbers.found
  if (mailings.length === 0) return []
  const sums = sumsOf(mailings)
  return [
    count('delivered', 'Delivered', sums.delivered, { note: `of ${f.number(sums.sent)} sent` }),
    ...rateTiles(numbers, ['open', 'click', 'clickToOpen', 'unsubscribe', 'bounce']),
  ]
}

function listTiles(numbers: Numbers, f: ReportFormats): Tile[] {
  const { lists } = numbers
  if (lists.length === 0) return []
  const sum = (what: 'subscribed' | 'joined' | 'left') => lists.reduce((total, list) => total + list[what], 0)
  const before = (what: 'joined' | 'left') =>
    lists.every((list) => list.before !== null)
      ? lists.reduce((total, list) => total + list.before![what], 0)
      : null
  const engaged = lists.reduce((total, list) => total + (list.engagement ?? 0) * list.subscribed, 0)
  const subscribed = sum('subscribed')
  return [
    count('subscribers', 'Subscribers', subscribed, { note: 'now' }),
    count('joined', 'Joined', sum('joined'), { own: before('joined'), note: 'in this period' }),
    count('left', 'Left', sum('left'), {
      good: 'down',
      own: before('left'),
      note:
        lists.length === 1 && lists[0]!.churn !== null
          ? `churn ${f.percent(lists[0]!.churn, 2)}`
          : 'in this period',
    }),
    rate(
      'engagement',
      'Engaged',
      lists.length === 1 ? lists[0]!.engagement : subscribed === 0 ? null : engaged / subscribed,
      { decimals: 1, note: 'in the last 90 days' },
    ),
    ...rateTiles(numbers, ['open', 'click']),
  ]
}

function offerTiles({ offers }: Numbers, f: ReportFormats): Tile[] {
  if (offers.length === 0) return []
  const sum = (read: (offer: OfferResult) => number) =>
    offers.reduce((total, offer) => total + read(offer), 0)
  const basis = {
    impressions: sum(({ shown }) => shown.basis.impressions),
    clicks: sum(({ shown }) => shown.basis.clicks),
  }
  const texts = sum((offer) => offer.texts.length)
  const leader = offers.length === 1 ? offers[0]!.texts.find(({ isLeader }) => isLeader) : undefined
  const left = sum(({ shown }) => shown.machines)
  return [
    count(
      'impressions',
      'Impressions',
      sum(({ shown }) => shown.impressions),
    ),
    count(
      'offer-clicks',
      'Clicks',
      sum(({ shown }) => shown.clicks),
      {
        note: left > 0 ? `${f.plural(left, 'machine click', 'machine clicks')} left out` : '',
      },
    ),
    rate('ctr', 'CTR', basis.impressions === 0 ? null : basis.clicks / basis.impressions, {
      note: 'clicks ÷ impressions',
    }),
    leader?.best != null
      ? rate('best', 'Best text', leader.best, { decimals: 0, note: 'probability of being the best' })
      : count('texts', 'Texts', texts, { note: 'that were shown' }),
  ]
}

/** The tiles of a template: its own numbers first, and others of what is there; six at the most. */
export function tilesOf(template: TemplateName, numbers: Numbers, f: ReportFormats): Tile[] {
  const groups = {
    campaign: () => {
      const own = campaignTiles(numbers, f)
      return own.length > 0
        ? [...own, ...rateTiles(numbers, ['open', 'click', 'unsubscribe'])]
        : mailingTiles(numbers, f)
    },
    list: () => listTiles(numbers, f),
    engagement: () => mailingTiles(numbers, f),
    promo: () => offerTiles(numbers, f),
  }
  const order = orderOf(template)
  for (const group of order) {
    const tiles = groups[group]()
    if (tiles.length > 0) return tiles.slice(0, 6)
  }
  return []
}

/** Of what a template speaks first, and of what where that is not there. */
const orderOf = (template: TemplateName) =>
  template === 'custom'
    ? (['campaign', 'list', 'promo'] as const)
    : ([template, ...(['campaign', 'list', 'promo'] as const).filter((name) => name !== template)] as const)

export interface Draft {
  lead: string
  rest: string
}

/** The verdict as the numbers have it, in plain sentences. */
export function draftVerdict(template: TemplateName, numbers: Numbers, f: ReportFormats): Draft {
  for (const group of orderOf(template)) {
    const draft =
      group === 'campaign' || group === 'engagement'
        ? ((group === 'campaign' ? campaignDraft(numbers, f) : null) ?? mailingDraft(numbers, f))
        : group === 'list'
          ? listDraft(numbers, f)
          : offerDraft(numbers)
    if (draft) return draft
  }
  return { lead: 'There is nothing to tell yet.', rest: 'Choose mailings, campaigns, lists or offers.' }
}

function campaignDraft({ campaigns, domains, before }: Numbers, f: ReportFormats): Draft | null {
  if (campaigns.length === 0) return null
  const { events } = sumOfCampaigns(campaigns)
  if (events.email_clicks + events.landing_clicks + events.conversions === 0)
    return {
      lead: 'Nothing has come in yet.',
      rest: 'No click and no conversion was reported in this period.',
    }
  if (events.conversions === 0)
    return {
      lead: 'No conversion yet.',
      rest: `${f.plural(events.email_clicks, 'email click', 'email clicks')} led to ${f.plural(events.landing_clicks, 'landing click', 'landing clicks')} so far.`,
    }
  const lead = `${f.plural(events.conversions, 'conversion', 'conversions')} from ${f.plural(events.email_clicks, 'email click', 'email clicks')}.`
  const own = conversionRate(events)
  const sentences: string[] = []
  if (own !== null && own <= 1) {
    const each = Math.round(1 / own)
    const compared = comparedWords(own, before?.conversionRate ?? null, f)
    sentences.push(
      `${each <= 1 ? 'Nearly each click' : `One click in ${f.number(each)}`} became a conversion${compared === '' ? '' : `, ${compared} your earlier ${before!.campaigns === 1 ? 'campaign' : 'campaigns'}`}.`,
    )
  }
  if (domains.length > 1) sentences.push(`${domainHeading(domains, f)}.`)
  return { lead, rest: sentences.join(' ') }
}

/** How one rate stands to another, for the middle of a sentence; empty where that cannot be told. */
function comparedWords(now: number, before: number | null, f: ReportFormats) {
  if (before === null || before === 0) return ''
  const ratio = now / before
  if (Math.abs(ratio - 1) < 0.05) return 'about as in'
  if (ratio >= 2) return `${f.number(Math.floor(ratio))} times as often as in`
  return `${f.percent(Math.abs(ratio - 1), 0)} ${ratio > 1 ? 'more' : 'less'} often than in`
}

function mailingDraft({ found, benchmarks }: Numbers, f: ReportFormats): Draft | null {
  const { mailings, earlier } = found
  if (mailings.length === 0) return null
  const sums = sumsOf(mailings)
  if (sums.delivered === 0) return { lead: 'Nothing was delivered yet.', rest: '' }
  if (sums.opened === null)
    return {
      lead: `${f.number(sums.delivered)} were delivered.`,
      rest: 'Opens and clicks are not known: their tracking may be off.',
    }
  const [one] = mailings
  const lead =
    mailings.length === 1
      ? `${f.number(sums.opened)} of ${f.number(sums.delivered)} opened, and ${f.number(sums.clicked)} clicked.`
      : `${f.percent(sums.rates.open)} opened and ${f.percent(sums.rates.click)} clicked.`
  const sentences: string[] = []
  const usual = averagesOf(earlier).click
  const { click } = sums.rates
  if (click !== null && usual !== null) {
    const difference = click - usual
    sentences.push(
      Math.abs(difference) < 0.0005
        ? `The click rate is as usual, at ${f.percent(click)}.`
        : `The click rate of ${f.percent(click)} is ${f.points(difference)} ${difference > 0 ? 'above' : 'below'} the ${counted(earlier.length, 'mailing', 'mailings', f.number)} before.`,
    )
  } else if (click !== null && benchmarks.click) {
    sentences.push(
      `The click rate of ${f.percent(click)} stands beside ${f.percent(benchmarks.click.share)} in the field (${benchmarks.click.source}, ${benchmarks.click.asOf}).`,
    )
  }
  if (mailings.length > 1) {
    const best = [...mailings].sort(
      (a, b) => (numberOf(b, 'open_rate') ?? 0) - (numberOf(a, 'open_rate') ?? 0),
    )[0]!
    sentences.push(
      `${capital(counted(mailings.length, 'mailing', 'mailings', f.number))} went out; ${quoted(best.name)} was opened most, by ${f.percent(numberOf(best, 'open_rate'))}.`,
    )
  } else if (one && sums.unsubscribed > 0)
    sentences.push(`${f.plural(sums.unsubscribed, 'person', 'people')} unsubscribed.`)
  return { lead, rest: sentences.join(' ') }
}

function listDraft({ lists }: Numbers, f: ReportFormats): Draft | null {
  if (lists.length === 0) return null
  const subscribed = lists.reduce((sum, list) => sum + list.subscribed, 0)
  const [joined, left] = [
    lists.reduce((sum, list) => sum + list.joined, 0),
    lists.reduce((sum, list) => sum + list.left, 0),
  ]
  const net = joined - left
  // What joined and left is of the period, and the period may be over.
  const end = lists.reduce((sum, list) => sum + (list.points.at(-1)?.subscribed ?? list.subscribed), 0)
  const lead = `${f.plural(end, 'subscriber', 'subscribers')}${end === subscribed ? '' : ' at the end'}, ${net === 0 ? 'as many as before' : `${f.number(Math.abs(net))} ${net > 0 ? 'more' : 'fewer'} than at the beginning`}.`
  const rest = [`${f.number(joined)} joined and ${f.number(left)} left.`]
  const [list] = lists
  if (lists.length === 1 && list!.engagement !== null)
    rest.push(`${f.percent(list!.engagement)} opened, clicked or replied in the last 90 days.`)
  return { lead, rest: rest.join(' ') }
}

function offerDraft({ offers }: Numbers): Draft | null {
  const [first] = offers
  if (!first) return null
  if (offers.length === 1) return { lead: first.sentence, rest: first.note }
  const decided = offers.filter(({ verdict }) => verdict === 'winner').length
  return {
    lead: `${capital(counted(decided, 'offer has', 'offers have', String))} a winner among ${counted(offers.length, 'offer', 'offers', String)}.`,
    rest: offers.length > 3 ? '' : offers.map(({ name, sentence }) => `${name}: ${sentence}`).join(' '),
  }
}

/** What somebody wrote instead: the first sentence stands in the partner's colour. */
export function writtenVerdict(text: string): Draft {
  const [lead = '', ...rest] = text.trim().split(/(?<=[.!?。！？])\s+/)
  return { lead, rest: rest.join(' ') }
}

/** The ticks and rings of the tiles, in words. */
export function verdictOf(
  draft: Draft,
  tiles: Tile[],
  { found, before }: Numbers,
  f: ReportFormats,
): Verdict {
  const hasOwn = tiles.some(({ own }) => own !== null)
  const sources = new Set(tiles.flatMap(({ field }) => (field ? [`${field.source}, ${field.asOf}`] : [])))
  const isHeld = (these: (id: string) => boolean) => tiles.some(({ id, own }) => own !== null && these(id))
  const own = [
    ...(before !== null && isHeld((id) => campaignTileIds.has(id))
      ? [`${counted(before.campaigns, 'campaign', 'campaigns', f.number)} of yours before`]
      : []),
    ...(isHeld((id) => listTileIds.has(id)) ? ['as many days before'] : []),
    ...(isHeld((id) => !campaignTileIds.has(id) && !listTileIds.has(id)) ? [found.earlierWords] : []),
  ]
  return {
    ...draft,
    tiles,
    own: hasOwn ? own.join('; ') : '',
    field: [...sources].join('; '),
  }
}
const listTileIds = new Set(['joined', 'left'])
const campaignTileIds = new Set([
  'email-clicks',
  'landing-clicks',
  'landing-rate',
  'conversions',
  'people-converted',
  'conversion-rate',
])
