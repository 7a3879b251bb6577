import { conversionRate, landingRate } from '../campaigns/metrics.js'
import { type CampaignStats, campaignStats } from '../campaigns/statistics.js'
import type { Db } from '../database/open.js'
import { numberOf } from '../mailings/mailing-numbers.js'
import { betterRate, columnOf, mean, type RateName } from '../mailings/statistics.js'
import { share } from '../web/shares.js'
import { type CampaignNumbers, type DomainNumbers, sumOfCampaigns } from './campaign-numbers.js'
import { domainHeading } from './campaign-sections.js'
import type { ReportBenchmarks } from './compared-rates.js'
import type { Tile, Verdict } from './data.js'
import type { ListNumbers } from './list-sections.js'
import type { ReportFormats } from './locales.js'
import { averagesOf, sumsOf } from './mailing-sums.js'
import type { Issues, OfferResult } from './offer-sections.js'
import type { Found, Named } from './subjects.js'
import type { TemplateName } from './templates.js'
import { capital, counted, countWord, quoted } from './words.js'

/** All numbers that a verdict is drafted from. */
export interface Numbers {
  found: Found
  campaigns: readonly CampaignNumbers[]
  domains: readonly DomainNumbers[]
  lists: readonly ListNumbers[]
  offers: readonly OfferResult[]
  issues: Issues
  /** The partner's earlier campaigns: averages over them; null where there are none. */
  before: CampaignAverages | null
  benchmarks: ReportBenchmarks
}

/** What the partner's earlier campaigns brought on average, each weighing the same. */
export interface CampaignAverages {
  campaigns: number
  emailClicks: number
  landingClicks: number
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
  const average = (read: (stats: CampaignStats) => number | null) => mean(columnOf(all, read))
  return {
    campaigns: all.length,
    emailClicks: average(({ events }) => events.email_clicks)!,
    landingClicks: average(({ events }) => events.landing_clicks)!,
    conversions: average(({ events }) => events.conversions)!,
    peopleConverted: average(({ people }) => people.conversions)!,
    conversionRate: average(({ events }) => conversionRate(events)),
    landingRate: average(({ events }) => landingRate(events)),
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
    ...heldAgainst(usual[rate], found.earlierWords),
    field: benchmarks[rate],
    note: rate === 'clickToOpen' && (rates[rate] ?? 0) > 1 ? 'some clicked with pictures off' : '',
  }))
}

/** What lists and promos are held against; mailings and campaigns are held against their own kind. */
const [whenItBegan, asManyDays] = ['when the period began', 'as many days before']

/**
 * What a tile is held against.
 * @param times a count of several mailings or campaigns is held against as many times the average of one
 */
const heldAgainst = (own: number | null, words: string, times = 1): Pick<Tile, 'own' | 'ownOf'> =>
  own === null || words === '' ? { own: null, ownOf: null } : { own: own * times, ownOf: { words, times } }

const count = (id: string, label: string, value: number | null, parts: Partial<Tile> = {}): Tile => ({
  id,
  label,
  value,
  as: 'number',
  decimals: 0,
  good: 'up',
  own: null,
  ownOf: null,
  field: null,
  note: '',
  ...parts,
})
const rate = (id: string, label: string, value: number | null, parts: Partial<Tile> = {}): Tile =>
  count(id, label, value, { as: 'share', decimals: 2, ...parts })

function campaignTiles({ campaigns, before, found, benchmarks }: Numbers, f: ReportFormats): Tile[] {
  if (campaigns.length === 0) return []
  const { events, people } = sumOfCampaigns(campaigns)
  const words =
    before === null
      ? ''
      : `${counted(before.campaigns, 'campaign', 'campaigns', f.number)} of yours before${before.campaigns > 1 ? ', on average' : ''}`
  const rateBefore = (own: number | null | undefined) => heldAgainst(own ?? null, words)
  // Those before are told from their beginning on, so only what is told whole can be held against their counts.
  const countBefore = (own: number | undefined) =>
    heldAgainst(found.isWhole ? (own ?? null) : null, words, campaigns.length)
  const all = [
    count('conversions', 'Conversions', events.conversions, {
      ...countBefore(before?.conversions),
      note: `from ${f.plural(events.email_clicks, 'email click', 'email clicks')}`,
    }),
    count('people-converted', 'People converted', people.conversions, {
      ...countBefore(before?.peopleConverted),
      note: `of ${f.number(people.email_clicks)} who clicked`,
    }),
    rate('conversion-rate', 'Conv. rate', conversionRate(events), {
      ...rateBefore(before?.conversionRate),
      field: benchmarks.conversion,
      note: 'conversions ÷ email clicks',
    }),
  ]
  if (found.mailings.length > 0) return all
  return [
    count('email-clicks', 'Email clicks', events.email_clicks, {
      ...countBefore(before?.emailClicks),
      note: f.plural(people.email_clicks, 'person', 'people'),
    }),
    count('landing-clicks', 'Landing clicks', events.landing_clicks, {
      ...countBefore(before?.landingClicks),
      note: f.plural(people.landing_clicks, 'person', 'people'),
    }),
    rate('landing-rate', 'Landing rate', landingRate(events), {
      ...rateBefore(before?.landingRate),
      field: benchmarks.landing,
      note: 'landing clicks ÷ email clicks',
    }),
    ...all,
  ]
}

function mailingTiles(numbers: Numbers, f: ReportFormats): Tile[] {
  const { mailings, earlier, earlierWords, contacts } = numbers.found
  if (mailings.length === 0) return []
  const sums = sumsOf(mailings)
  // Narrowed, only those before that reached anybody are left, whose average says too much.
  const usual = contacts === null ? mean(columnOf(earlier, ({ people }) => people.delivered)) : null
  return [
    count('delivered', 'Delivered', sums.delivered, {
      ...heldAgainst(usual, earlierWords, mailings.length),
      note: `of ${f.number(sums.sent)} sent`,
    }),
    ...rateTiles(numbers, ['open', 'click', 'clickToOpen', 'unsubscribe', 'bounce']),
  ]
}

function listTiles(numbers: Numbers, f: ReportFormats): Tile[] {
  const { lists, benchmarks } = numbers
  if (lists.length === 0) return []
  const sum = (read: (list: ListNumbers) => number) => lists.reduce((total, list) => total + read(list), 0)
  const ofAll = (read: (list: ListNumbers) => number, are: (list: ListNumbers) => boolean) =>
    lists.every(are) ? sum(read) : null
  const earlier = (what: 'joined' | 'left') =>
    heldAgainst(
      ofAll(
        ({ before }) => before![what],
        ({ before }) => before !== null,
      ),
      asManyDays,
    )
  const subscribed = sum((list) => list.subscribed)
  const isOver = lists.some((list) => list.isOver)
  // A list that nobody was on yet did not begin with nobody: nothing is known of that time.
  const wasKnown = ({ then }: ListNumbers) => then !== null && then.subscribed > 0
  const then = share(
    ofAll(({ then }) => then!.active, wasKnown) ?? 0,
    ofAll(({ then }) => then!.subscribed, wasKnown) ?? 0,
  )
  return [
    count('subscribers', 'Subscribers', subscribed, {
      ...heldAgainst(
        ofAll(
          ({ began }) => began,
          ({ began }) => began > 0,
        ),
        whenItBegan,
      ),
      note: isOver ? 'at the end' : 'now',
    }),
    count(
      'joined',
      'Joined',
      sum(({ joined }) => joined),
      { ...earlier('joined'), note: 'in this period' },
    ),
    count(
      'left',
      'Left',
      sum(({ left }) => left),
      {
        good: 'down',
        ...earlier('left'),
        note:
          lists.length === 1 && lists[0]!.churn !== null
            ? `churn ${f.percent(lists[0]!.churn, 2)}`
            : 'in this period',
      },
    ),
    rate(
      'engagement',
      'Engaged',
      share(
        sum(({ active }) => active),
        subscribed,
      ),
      {
        ...heldAgainst(then, whenItBegan),
        field: benchmarks.engaged,
        decimals: 1,
        note: isOver ? 'in the 90 days before its end' : 'in the last 90 days',
      },
    ),
    ...rateTiles(numbers, ['open', 'click']),
  ]
}

function offerTiles({ offers, issues, benchmarks }: Numbers, f: ReportFormats): Tile[] {
  if (offers.length === 0) return []
  const sum = (when: 'shown' | 'before', read: (shown: OfferResult['shown']) => number) =>
    offers.reduce((total, offer) => total + read(offer[when]), 0)
  const over = (when: 'shown' | 'before') => ({
    impressions: sum(when, ({ impressions }) => impressions),
    clicks: sum(when, ({ clicks }) => clicks),
    ctr: share(
      sum(when, ({ basis }) => basis.clicks),
      sum(when, ({ basis }) => basis.impressions),
    ),
  })
  const [now, then] = [over('shown'), over('before')]
  // Where nobody knows how many got an issue, its impressions are as reported, and are no measure for those of readers.
  const kinds = new Set(
    offers
      .flatMap(({ shown, before }) => [shown, before])
      .filter(({ impressions }) => impressions > 0)
      .map(({ reported }) => reported === null),
  )
  const earlier = (own: number | null) => heldAgainst(then.impressions === 0 ? null : own, asManyDays)
  const left = sum('shown', ({ machines }) => machines)
  const leader = offers.length === 1 ? offers[0]!.texts.find(({ isLeader }) => isLeader) : undefined
  return [
    count('impressions', 'Impressions', now.impressions, earlier(kinds.size > 1 ? null : then.impressions)),
    count('offer-clicks', 'Clicks', now.clicks, {
      ...earlier(then.clicks),
      note: left > 0 ? `${f.plural(left, 'machine click', 'machine clicks')} left out` : '',
    }),
    rate('ctr', 'CTR', now.ctr, {
      ...earlier(then.ctr),
      field: benchmarks.ctr,
      note: 'clicks ÷ impressions',
    }),
    // How sure a text is of being the best has no before; it stands in the verdict, and beside each text.
    issues.now + issues.before > 0
      ? count('issues', 'Issues', issues.now, {
          ...earlier(issues.before > 0 ? issues.before : null),
          note: 'in this period',
        })
      : leader?.best != null
        ? count('best', 'Best text', leader.best, { as: 'chance', note: 'probability of being the best' })
        : count(
            'texts',
            'Texts',
            offers.reduce((total, { texts }) => total + texts.length, 0),
            { note: 'that were shown' },
          ),
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
  for (const group of orderOf(template, numbers.found)) {
    const tiles = groups[group]()
    if (tiles.length > 0) return tiles.slice(0, 6)
  }
  return []
}

/**
 * Of what a template speaks first, and of what where that is not there. Lists and offers are of everybody: narrowed to some
 * contacts, a report speaks of what mailings were to those.
 */
function orderOf(template: TemplateName, { contacts, mailings }: Pick<Found, 'contacts' | 'mailings'>) {
  const others = (['campaign', 'list', 'promo'] as const).filter((name) => name !== template)
  if (template === 'custom') return others
  const isOfEverybody = contacts !== null && template !== 'campaign'
  return isOfEverybody && mailings.length > 0
    ? (['engagement', template, ...others] as const)
    : ([template, ...others] as const)
}

/** Are the tiles those of lists, with what they were when the period began? */
export const tellsOfLists = (template: TemplateName, { campaigns, mailings, lists, contacts }: Found) =>
  lists.length > 0 && ((template === 'list' && contacts === null) || campaigns.length + mailings.length === 0)

export interface Draft {
  lead: string
  rest: string
}

/** The verdict as the numbers have it, in plain sentences. */
export function draftVerdict(template: TemplateName, numbers: Numbers, f: ReportFormats): Draft {
  for (const group of orderOf(template, numbers.found)) {
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
  if (sums.delivered === 0)
    return {
      lead:
        found.contacts === null ? 'Nothing was delivered yet.' : 'Nothing was delivered to these contacts.',
      rest: '',
    }
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
  const [joined, left] = [
    lists.reduce((sum, list) => sum + list.joined, 0),
    lists.reduce((sum, list) => sum + list.left, 0),
  ]
  const net = joined - left
  const end = lists.reduce((sum, list) => sum + list.subscribed, 0)
  const compared =
    net === 0
      ? 'as many as before'
      : `${f.number(Math.abs(net))} ${net > 0 ? 'more' : 'fewer'} than at the beginning`
  // All of them came in the period: there is no beginning to compare with.
  const lead = `${f.plural(end, 'subscriber', 'subscribers')}${lists.some(({ isOver }) => isOver) ? ' at the end' : ''}${end === net ? '' : `, ${compared}`}.`
  const rest = [`${f.number(joined)} joined and ${f.number(left)} left.`]
  const [list] = lists
  if (lists.length === 1 && list!.engagement !== null)
    rest.push(
      `${f.percent(list!.engagement)} opened, clicked or replied in the ${list!.isOver ? '90 days before its end' : 'last 90 days'}.`,
    )
  return { lead, rest: rest.join(' ') }
}

function offerDraft({ offers }: Numbers): Draft | null {
  const [first] = offers
  if (!first) return null
  if (offers.length === 1) return { lead: first.sentence, rest: first.note }
  const decided = offers.filter(({ verdict }) => verdict === 'winner').length
  return {
    lead: `${capital(counted(decided, 'offer has', 'offers have', String))} a winner among ${counted(offers.length, 'offer', 'offers', String)}.`,
    rest: '',
  }
}

/** What somebody wrote instead: the first sentence stands in the partner's colour. */
export function writtenVerdict(text: string): Draft {
  const [lead = '', ...rest] = text.trim().split(/(?<=[.!?。！？])\s+/)
  return { lead, rest: rest.join(' ') }
}

/** The ticks and rings of the tiles, in words. */
export function verdictOf(draft: Draft, tiles: Tile[]): Verdict {
  const fields = new Set(tiles.flatMap(({ field }) => (field ? [`${field.source}, ${field.asOf}`] : [])))
  const owns = new Map<string, { labels: string[]; times: number }>()
  for (const { label, ownOf } of tiles) {
    if (!ownOf) continue
    const { labels, times } = owns.get(ownOf.words) ?? { labels: [], times: 1 }
    owns.set(ownOf.words, { labels: [...labels, label], times: Math.max(times, ownOf.times) })
  }
  return {
    ...draft,
    tiles,
    own: [...owns]
      .map(([words, { labels, times }]) => {
        // Mailings and campaigns name themselves; of the others it is said which they are.
        const isTold = owns.size > 1 && (words === whenItBegan || words === asManyDays)
        const often = times > 1 ? `, counts times ${countWord(times, String)}` : ''
        return `${isTold ? `${labels.join(', ')}: ` : ''}${words}${often}`
      })
      .join('; '),
    field: [...fields].join('; '),
  }
}
