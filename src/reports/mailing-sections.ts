import { heatOf, type QuarterCounts } from '../audience/best-hour.js'
import { originName } from '../audience/origins.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { align, type Curve, usualBand } from '../mailings/curves.js'
import { quartersOfMailing } from '../mailings/heatmap-page.js'
import { countsTwiceInWords, readLinks, readProviderLinks } from '../mailings/mailing-links.js'
import { numberOf } from '../mailings/mailing-numbers.js'
import type { curveBook } from '../mailings/mailing-usual.js'
import { leastForBand, usualMailings } from '../mailings/mailing-usual.js'
import type { Mailing } from '../mailings/queries.js'
import { known, type RateName } from '../mailings/statistics.js'
import { type Calendar, hourLength, weekdays } from '../web/calendar.js'
import { type Chart, type Section, section, type Table, type TableRow } from './data.js'
import type { ReportFormats } from './locales.js'
import { type MailingSums, sumsOf } from './mailing-sums.js'
import type { Found } from './subjects.js'
import { capital, counted, quoted } from './words.js'

export type Curves = ReturnType<typeof curveBook>

export interface Making {
  db: Db
  readers: Readers
  calendar: Calendar
  curves: Curves
  /** The instant it is as of. */
  now: number
  f: ReportFormats
  found: Found
}

const nobody = 'No mailing was sent in this period'

/** Each mailing with its rates, those of all together below. */
export function mailingsSection({ found, calendar, f }: Pick<Making, 'found' | 'calendar' | 'f'>): Section {
  const { mailings } = found
  if (mailings.length === 0) return section('mailings', nobody)
  const sums = sumsOf(mailings)
  const best = bestBy(mailings, 'click_rate') ?? bestBy(mailings, 'open_rate')
  const [rate, did] = bestBy(mailings, 'click_rate')
    ? (['click_rate', 'clicked'] as const)
    : (['open_rate', 'opened'] as const)
  const heading =
    mailings.length === 1 || !best
      ? capital(`${counted(mailings.length, 'mailing', 'mailings', f.number)} went out`)
      : `${quoted(best.name)} did best: ${f.percent(numberOf(best, rate))} ${did}`
  const hasSeveralLists = new Set(mailings.map(({ list }) => list?.id)).size > 1
  const mixed = new Set(mailings.map(({ basis }) => basis)).size > 1
  return section('mailings', heading, {
    tables: [
      {
        caption: 'Mailings, the first sent first',
        columns: [
          { label: 'Mailing', as: 'text' },
          { label: 'Sent', as: 'day' },
          { label: 'Delivered', as: 'number' },
          { label: 'Opened', as: 'number', isLate: true },
          { label: 'Open rate', as: 'share1' },
          { label: 'Clicked', as: 'number', isLate: true },
          { label: 'Click rate', as: 'share1' },
          { label: 'Unsub.', as: 'share2', isLate: true },
        ],
        rows: mailings.map((mailing) => ({
          cells: [
            mailing.name,
            calendar.dayOf(mailing.sent_at!),
            numberOf(mailing, 'delivered'),
            numberOf(mailing, 'opened'),
            numberOf(mailing, 'open_rate'),
            numberOf(mailing, 'clicked'),
            numberOf(mailing, 'click_rate'),
            numberOf(mailing, 'unsubscribe_rate'),
          ],
          under: hasSeveralLists ? (mailing.list?.name ?? '') : '',
        })),
        ...(mailings.length > 1 ? { total: totalOf(sums) } : {}),
      },
    ],
    notes: mixed
      ? [
          'Some of these numbers are counted from events, with machines left out; others are their provider’s, in which nobody can tell machines apart. The appendix says which.',
        ]
      : [],
  })
}

const totalOf = (sums: MailingSums) => [
  'All of them',
  null,
  sums.delivered,
  sums.opened,
  sums.rates.open,
  sums.clicked,
  sums.rates.click,
  sums.rates.unsubscribe,
]

/** The mailing with the highest rate, if one has any and it is ahead. */
function bestBy(mailings: readonly Mailing[], name: 'open_rate' | 'click_rate') {
  const rated = mailings
    .filter((mailing) => (numberOf(mailing, name) ?? 0) > 0)
    .sort((one, other) => numberOf(other, name)! - numberOf(one, name)!)
  const [best, second] = rated
  return best && (!second || numberOf(best, name)! > numberOf(second, name)!) ? best : null
}

const hours = Float64Array.from({ length: 73 }, (_, hour) => hour)
const hourTicks = [0, 12, 24, 36, 48, 60, 72].map((x) => ({ x, label: `${x} h` }))

/** The people who clicked (or opened) in the first 72 hours, as a share of the delivered, beside what is usual. */
export async function curveSection({ found, curves, now, f }: Making): Promise<Section | null> {
  const { mailings, earlier } = found
  const drawn = mailings.some((mailing) => (numberOf(mailing, 'clicked') ?? 0) > 0) ? 'clicks' : 'opens'
  const sent = mailings.filter((mailing) => mailing.sent_at !== null && mailing.people.delivered > 0)
  if (sent.length === 0) return null
  // Together they are known as far as the youngest has come: where others have come all the way, it is left out.
  const grown = sent.filter(({ sent_at }) => now - sent_at! >= 72 * hourLength)
  const told = grown.length > 0 ? grown : sent
  const [own, others] = await Promise.all([
    curves.curvesOf(told, drawn, found.contacts),
    curves.curvesOf(earlier, drawn, found.contacts),
  ])
  const ownShares = together([...own.values()], hours)
  const band = usualBand([...others.values()], {
    hours,
    before: Math.min(...told.map(({ sent_at }) => sent_at!)),
    last: usualMailings,
  })
  const usual = earlier.length > 0 ? Array.from(band.median, known) : []
  const did = drawn === 'clicks' ? 'clicked' : 'opened'
  const last = ownShares.findLast((value) => value !== null) ?? null
  const end = ownShares.findLastIndex((value) => value !== null)
  const all = sumsOf(told)
  const whole = drawn === 'clicks' ? all.rates.click : all.rates.open
  // They clicked, and nobody knows when: what a provider told of old mailings in one sum has no hours.
  if (end < 1 && whole !== null && whole > 0) return null
  const at72 = ownShares[72] ?? null
  const heading =
    at72 !== null && whole !== null && whole > 0
      ? `The first 72 hours brought ${f.percent(Math.min(1, at72 / whole), 0)} of all who ${did}`
      : last === null
        ? `Nobody has ${did} yet, as far as is known`
        : `${f.percent(last)} have ${did} ${end} h after sending`
  const usualEnd = usual[end] ?? null
  const chart: Chart = {
    story: `Share of the delivered who ${did}, hour by hour since sending: ${f.percent(last)} after ${Math.max(0, end)} hours${usualEnd === null ? '' : `, against ${f.percent(usualEnd)} usual`}.`,
    as: 'share',
    x: Array.from(hours),
    ticks: hourTicks,
    lines: [
      {
        label: `${capital(did)}, share of the delivered`,
        look: 'main',
        values: ownShares,
      },
      ...(usual.some((value) => value !== null)
        ? [
            {
              label: `${capital(counted(earlier.length, 'mailing', 'mailings', f.number))} before, median`,
              look: 'ghost' as const,
              values: usual,
            },
          ]
        : []),
    ],
    table: {
      caption: `Share of the delivered who ${did}, hour by hour`,
      columns: [
        { label: 'Hours after sending', as: 'number' },
        { label: capital(did), as: 'share1' },
        ...(usual.length > 0 ? [{ label: 'Usual', as: 'share1' as const }] : []),
      ],
      rows: Array.from(hours, (hour, index) => ({
        cells: [hour, ownShares[index] ?? null, ...(usual.length > 0 ? [usual[index] ?? null] : [])],
      })),
    },
  }
  return section('curve', heading, {
    charts: [chart],
    notes: [
      ...(told.length < sent.length
        ? [
            `${capital(counted(sent.length - told.length, 'mailing is', 'mailings are', f.number))} younger than 72 hours and not in this picture.`,
          ]
        : []),
      ...(earlier.length > 0 && earlier.length < leastForBand
        ? [
            `Only ${counted(earlier.length, 'mailing', 'mailings', f.number)} before: too few to say what is usual.`,
          ]
        : []),
    ],
  })
}

/** Several curves as one: all people together ÷ all delivered; null from where one of them is not known. */
function together(curves: Curve[], at: Float64Array): (number | null)[] {
  const delivered = curves.reduce((sum, curve) => sum + curve.delivered, 0)
  const counts = align(curves, at, 'count')
  return Array.from(at, (_, index) => {
    const sum = counts.reduce((total, column) => total + column[index]!, 0)
    return delivered > 0 && !Number.isNaN(sum) ? sum / delivered : null
  })
}

/** What each of the first thirty days added to the people who clicked (or opened), all mailings together. */
export async function dailySection({ found, curves, f }: Making): Promise<Section | null> {
  const told = found.mailings.filter((mailing) => mailing.sent_at !== null && mailing.people.delivered > 0)
  if (told.length === 0) return null
  const drawn = told.some((mailing) => (numberOf(mailing, 'clicked') ?? 0) > 0) ? 'clicks' : 'opens'
  const did = drawn === 'clicks' ? 'clicked' : 'opened'
  const bounds = Float64Array.from({ length: 31 }, (_, day) => day * 24)
  const own = [...(await curves.curvesOf(told, drawn, found.contacts)).values()]
  const counts = align(own, bounds, 'count')
  const sums = Array.from(bounds, (_, index) => counts.reduce((sum, column) => sum + column[index]!, 0))
  const added = sums.slice(1).map((sum, day) => known(sum - sums[day]!))
  const days = added.findLastIndex((value) => value !== null) + 1
  if (days === 0) return section('daily', `The first day is not over yet`)
  const values = added.slice(0, days)
  const most = values.indexOf(Math.max(...values.map((value) => value ?? 0)))
  return section(
    'daily',
    `Day ${most + 1} brought the most: ${f.plural(values[most] ?? 0, 'person', 'people')} ${did}`,
    {
      charts: [
        {
          story: `People who ${did} first on each of the first ${days} days after sending.`,
          as: 'number',
          x: values.map((_, day) => day + 1),
          ticks: [1, 5, 10, 15, 20, 25, 30]
            .filter((day) => day <= days)
            .map((x) => ({ x, label: `day ${x}` })),
          lines: [{ label: `People who ${did} first on that day`, look: 'main', values }],
          table: {
            caption: `People who ${did} first, day by day since sending`,
            columns: [
              { label: 'Day', as: 'number' },
              { label: capital(did), as: 'number' },
            ],
            rows: values.map((value, day) => ({ cells: [day + 1, value] })),
          },
        },
      ],
    },
  )
}

/** So many links stand in the report itself, and so many in the appendix. */
const shownLinks = 10
const appendixLinks = 100
/** So many links of each mailing are told apart; the clicks on any others are in the sums alone. */
const mostLinks = 10_000

export interface ReportLink {
  url: string | null
  clicks: number
  people: number
}

/**
 * The links of all mailings together, the most clicked first; machines are left out where we count ourselves. What a
 * provider reports is of everybody, so of some contacts it is always our own count.
 */
export async function readAllLinks({ db, readers, found }: Pick<Making, 'db' | 'readers' | 'found'>) {
  const sums = new Map<string | null, ReportLink>()
  let [hasMore, isReported, countsTwice, all] = [false, false, false, 0]
  for (const { id } of found.mailings) {
    const ofMailing = new Map<string | null, ReportLink>()
    for (const among of found.contacts ?? [null]) {
      const reported = among === null ? await readProviderLinks(db, id, { most: mostLinks }) : null
      // Of some contacts the links are cut off once those of all their pages are known.
      const most = among === null ? mostLinks : Number.POSITIVE_INFINITY
      const told = reported ?? (await readLinks(readers, id, { machines: false, most, among }))
      isReported ||= reported !== null
      hasMore ||= told.hasMore
      countsTwice ||= 'countsTwice' in told && told.countsTwice
      all += told.clicks
      for (const link of told.links) addLink(ofMailing, link)
    }
    const links = mostClickedFirst(ofMailing)
    hasMore ||= links.length > mostLinks
    for (const link of links.slice(0, mostLinks)) addLink(sums, link)
  }
  return { links: mostClickedFirst(sums), hasMore, isReported, countsTwice, clicks: all }
}

function addLink(sums: Map<string | null, ReportLink>, { url, clicks, people }: ReportLink) {
  const sum = sums.get(url) ?? { url, clicks: 0, people: 0 }
  sum.clicks += clicks
  sum.people += people
  sums.set(url, sum)
}
const mostClickedFirst = (sums: Map<string | null, ReportLink>) =>
  [...sums.values()].sort(
    (one, other) => other.clicks - one.clicks || (one.url ?? '').localeCompare(other.url ?? ''),
  )
export type AllLinks = Awaited<ReturnType<typeof readAllLinks>>

const linkRow = ({ url, clicks, people }: ReportLink, all: number): TableRow => ({
  cells: [
    url === null ? 'A link that nobody told' : url.replace(/^https?:\/\//i, ''),
    clicks,
    people,
    all === 0 ? null : clicks / all,
  ],
  ...(url !== null && /^https?:\/\//i.test(url) ? { href: url } : {}),
})

const linkTable = (links: ReportLink[], all: number, caption: string): Table => ({
  caption,
  columns: [
    { label: 'Link', as: 'text' },
    { label: 'Clicks', as: 'number' },
    { label: 'People', as: 'number' },
    { label: 'Of all clicks', as: 'share1' },
  ],
  rows: links.map((link) => linkRow(link, all)),
})

/** The links that were clicked most, each with its share of all clicks. */
export function linksSection(
  { links, clicks, hasMore, isReported, countsTwice }: AllLinks,
  f: ReportFormats,
): Section {
  if (clicks === 0) return section('links', 'No link was clicked, as far as is known')
  const [first] = links
  const rest = links.length - shownLinks
  return section('links', `One link brought ${f.percent(first!.clicks / clicks, 0)} of all clicks`, {
    tables: [linkTable(links.slice(0, shownLinks), clicks, 'Links, most clicks first')],
    notes: [
      ...(rest > 0
        ? [
            `${f.plural(rest, 'more link is', 'more links are')} not shown here${hasMore ? `, and of each mailing the ${f.number(mostLinks)} most clicked are told apart` : ''}.`,
          ]
        : []),
      ...(countsTwice ? [countsTwiceInWords] : []),
      ...(isReported ? ['Clicks as the provider reports them: machines are among them.'] : []),
    ],
  })
}

/** These mailings together beside each of the five before. */
export function lastFiveSection({
  found,
  calendar,
  f,
}: Pick<Making, 'found' | 'calendar' | 'f'>): Section | null {
  const { mailings, earlier } = found
  const last = earlier.slice(0, 5)
  if (mailings.length === 0) return null
  if (last.length === 0) return section('last-five', 'There is no earlier mailing to compare with')
  const sums = sumsOf(mailings)
  const rates: RateName[] = ['open', 'click', 'clickToOpen', 'bounce', 'unsubscribe']
  const better = last.filter(
    ({ rates }) => rates.click !== null && sums.rates.click !== null && sums.rates.click > rates.click,
  ).length
  return section(
    'last-five',
    sums.rates.click === null
      ? `Beside the last ${counted(last.length, 'mailing', 'mailings', f.number)}`
      : better === 0
        ? `A lower click rate than the last ${counted(last.length, 'mailing', 'mailings', f.number)}`
        : `A higher click rate than ${better === last.length ? '' : `${counted(better, '', '', f.number).trim()} of `}the last ${counted(last.length, 'mailing', 'mailings', f.number)}`,
    {
      tables: [
        {
          caption: 'The mailings before, the latest first',
          columns: [
            { label: 'Mailing', as: 'text' },
            { label: 'Sent', as: 'day' },
            { label: 'Open rate', as: 'share1' },
            { label: 'Click rate', as: 'share1' },
            { label: 'Click-to-open', as: 'share1', isLate: true },
            { label: 'Bounced', as: 'share2', isLate: true },
            { label: 'Unsub.', as: 'share2', isLate: true },
          ],
          rows: last.map((mailing) => ({
            cells: [
              mailing.name,
              calendar.dayOf(mailing.sent_at!),
              ...rates.map((rate) => mailing.rates[rate]),
            ],
          })),
          total: [
            mailings.length === 1 ? 'This one' : 'These together',
            null,
            ...rates.map((rate) => sums.rates[rate]),
          ],
        },
      ],
    },
  )
}

/** What did not arrive, who left, and what was removed as machine. */
export function qualityRows({ found }: Pick<Making, 'found'>) {
  const { mailings } = found
  const sums = sumsOf(mailings)
  const ours = mailings.filter(({ basis }) => basis === 'ours')
  const machines = ours.reduce(
    (sum, { counts }) => ({
      opens: sum.opens + counts.machine_opens,
      proxies: sum.proxies + counts.proxy_opens,
      clicks: sum.clicks + counts.machine_clicks,
    }),
    { opens: 0, proxies: 0, clicks: 0 },
  )
  const hard = mailings.every(({ report }) => report?.permanent_failures != null)
    ? mailings.reduce((sum, { report }) => sum + report!.permanent_failures!, 0)
    : null
  return { sums, machines, hard, isOurs: ours.length > 0, isTheirs: ours.length < mailings.length }
}

/** At which hours of the week people opened or clicked. */
export async function heatSection({ readers, found, calendar, now, f }: Making): Promise<Section | null> {
  if (found.mailings.length === 0) return null
  const all: QuarterCounts[] = []
  for (const { id } of found.mailings)
    for (const page of found.contacts ?? [null]) all.push(...(await quartersOfMailing(readers, id, page)))
  const of = (what: 'opens' | 'clicks') => heatOf(all, calendar, { what, machines: false, now })
  const clicks = of('clicks')
  const [heat, what] = clicks.total > 0 ? [clicks, 'clicks'] : [of('opens'), 'opens']
  if (heat.best === null) return section('heatmap', 'No hour of an open or a click is known')
  const { weekday, hour, count } = heat.best
  return section(
    'heatmap',
    `Most ${what} came on ${weekdays[weekday]}s from ${hour}:00 to ${(hour + 1) % 24}:00`,
    {
      heat: {
        story: `${capital(what)} by weekday and hour: most on ${weekdays[weekday]} at ${hour}:00, ${f.number(count)} of ${f.number(heat.total)}.`,
        cells: heat.cells,
        days: [...weekdays],
      },
      notes: [
        `${f.number(count)} of ${f.number(heat.total)} ${what}; the hours follow from when mailings went out, so another hour may do as well. Time zone ${calendar.timeZone}.`,
      ],
    },
  )
}

/** All numbers of all mailings, and all links that are known. */
export function appendixTables(
  { found, calendar }: Pick<Making, 'found' | 'calendar'>,
  links: AllLinks | null,
): Table[] {
  const tables: Table[] = []
  if (found.mailings.length > 0)
    tables.push({
      caption: 'All numbers of the mailings',
      columns: [
        { label: 'Mailing', as: 'text' },
        { label: 'Sent on', as: 'day' },
        { label: 'Sent to', as: 'number' },
        { label: 'Delivered', as: 'number' },
        { label: 'Opened', as: 'number' },
        { label: 'Clicked', as: 'number' },
        { label: 'Replied', as: 'number', isLate: true },
        { label: 'Bounced', as: 'number' },
        { label: 'Unsub.', as: 'number' },
        { label: 'Compl.', as: 'number' },
      ],
      rows: found.mailings.map((mailing) => ({
        cells: [
          mailing.name,
          calendar.dayOf(mailing.sent_at!),
          ...(
            [
              'sent_to',
              'delivered',
              'opened',
              'clicked',
              'replied',
              'bounced',
              'unsubscribed',
              'complained',
            ] as const
          ).map((name) => numberOf(mailing, name)),
        ],
        under: mailing.basis === 'ours' ? 'our count' : `${originName(mailing.provider)}’s numbers`,
      })),
    })
  if (links !== null && links.links.length > shownLinks)
    tables.push(
      linkTable(
        links.links.slice(0, appendixLinks),
        links.clicks,
        links.links.length > appendixLinks
          ? `The ${appendixLinks} links most clicked`
          : 'All links, most clicks first',
      ),
    )
  return tables
}

/** The mailings in words, for the head of a report. */
export const mailingWords = (mailings: readonly Mailing[], f: ReportFormats) =>
  mailings.length === 0 ? [] : [counted(mailings.length, 'mailing', 'mailings', f.number)]
