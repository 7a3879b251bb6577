import { conversionRate } from '../campaigns/metrics.js'
import { hourLength } from '../web/calendar.js'
import {
  type CampaignNumbers,
  type DomainNumbers,
  missingInWords,
  readDays,
  readFirstHours,
  readMailingPlaces,
  readPlaces,
} from './campaign-numbers.js'
import { type Section, section, type Table } from './data.js'
import { overlap, wilson } from './intervals.js'
import type { Making } from './mailing-sections.js'
import { axisOf, lineOf } from './timeline.js'
import { capital, counted, listed, quoted } from './words.js'

/** Each campaign, from click to conversion. */
export function campaignsSection(
  campaigns: readonly CampaignNumbers[],
  { f }: Pick<Making, 'f'>,
): Section | null {
  if (campaigns.length === 0) return null
  const best = [...campaigns].sort((one, other) => other.events.conversions - one.events.conversions)[0]!
  return section(
    'campaigns',
    best.events.conversions === 0
      ? 'No conversion yet'
      : campaigns.length === 1
        ? `${quoted(best.name)}: ${f.plural(best.events.conversions, 'conversion', 'conversions')}`
        : `${quoted(best.name)} brought the most conversions`,
    {
      tables: [
        {
          caption: 'Campaigns, as events and in people',
          columns: [
            { label: 'Campaign', as: 'text' },
            { label: 'Email clicks', as: 'number' },
            { label: 'Landings', as: 'number' },
            { label: 'Conversions', as: 'number' },
            { label: 'Conv. rate', as: 'share2' },
            { label: 'People clicked', as: 'number', isLate: true },
            { label: 'People converted', as: 'number' },
          ],
          rows: campaigns.map(({ name, events, people }) => ({
            cells: [
              name,
              events.email_clicks,
              events.landing_clicks,
              events.conversions,
              conversionRate(events),
              people.email_clicks,
              people.conversions,
            ],
          })),
        },
      ],
      notes: [missingInWords(campaigns, f.date)].filter(Boolean),
    },
  )
}

/** Sending domains that are not shown one by one are summed up. */
const shownDomains = 12

/** Each sending domain with the interval of its conversion rate. */
export function domainsSection(domains: readonly DomainNumbers[], { f }: Pick<Making, 'f'>): Section {
  if (domains.length === 0) return section('domains', 'No sending domain has reported in this period')
  const shown = domains.slice(0, shownDomains)
  const rest = domains.slice(shownDomains)
  const sum = (rows: readonly DomainNumbers[]) =>
    rows.reduce(
      (total, row) => ({
        email_clicks: total.email_clicks + row.email_clicks,
        landing_clicks: total.landing_clicks + row.landing_clicks,
        conversions: total.conversions + row.conversions,
      }),
      { email_clicks: 0, landing_clicks: 0, conversions: 0 },
    )
  const rows = [
    ...shown.map((domain) => ({ ...domain, under: '' })),
    ...(rest.length > 0
      ? [{ name: `${f.number(rest.length)} more`, ...sum(rest), rate: conversionRate(sum(rest)), under: '' }]
      : []),
  ]
  const intervals = rows.map(({ conversions, email_clicks }) => wilson(conversions, email_clicks))
  const highest = Math.max(0.01, ...intervals.map((interval) => interval?.high ?? 0))
  const scale = niceShare(highest)
  const all = sum(domains)
  const table: Table = {
    caption: 'Sending domains, most clicks first',
    columns: [
      { label: 'Sending domain', as: 'text' },
      { label: 'Clicks', as: 'number' },
      { label: 'Landings', as: 'number' },
      { label: 'Conv.', as: 'number' },
      { label: 'Rate', as: 'share2' },
      { label: `95% interval, to ${f.percent(scale, scale < 0.01 ? 1 : 0)}`, as: 'interval' },
    ],
    rows: rows.map(({ name, email_clicks, landing_clicks, conversions, rate, under }, index) => ({
      cells: [
        name,
        email_clicks,
        landing_clicks,
        conversions,
        rate,
        intervals[index] ? { ...intervals[index], value: rate! } : null,
      ],
      under,
    })),
    ...(domains.length > 1
      ? {
          total: [
            'All of them',
            all.email_clicks,
            all.landing_clicks,
            all.conversions,
            conversionRate(all),
            null,
          ],
        }
      : {}),
    scale,
  }
  return section('domains', domainHeading(domains, f), {
    tables: [table],
    notes: aheadWords(domains),
  })
}

/** How few domains brought most of the conversions. */
export function domainHeading(domains: readonly DomainNumbers[], f: Making['f']) {
  const all = domains.reduce((sum, { conversions }) => sum + conversions, 0)
  if (all === 0)
    return capital(
      `${counted(domains.length, 'sending domain has', 'sending domains have', f.number)} reported, and none a conversion`,
    )
  const ranked = [...domains].sort((one, other) => other.conversions - one.conversions)
  let [few, sum] = [0, 0]
  while (few < ranked.length && sum < all * 0.6) sum += ranked[few++]!.conversions
  return few === domains.length
    ? `All conversions came from ${counted(domains.length, 'sending domain', 'sending domains', f.number)}`
    : `${capital(counted(few, '', '', f.number).trim())} of ${counted(domains.length, 'sending domain', 'sending domains', f.number)} brought ${f.percent(sum / all, 0)} of the conversions`
}

/** Whether the best rate is really ahead: two intervals that overlap are not ranked in words. */
export function aheadWords(domains: readonly DomainNumbers[]): string[] {
  const rated = domains
    .flatMap((domain) => {
      const interval = wilson(domain.conversions, domain.email_clicks)
      return interval && domain.rate !== null ? [{ ...domain, rate: domain.rate, interval }] : []
    })
    .sort((one, other) => other.rate - one.rate)
  const [best, ...others] = rated
  if (!best || others.length === 0 || best.conversions === 0) return []
  const alike = others.filter(({ interval }) => overlap(interval, best.interval))
  if (alike.length === 0) return [`${best.name} converts best: its interval overlaps with no other.`]
  return alike.length === others.length
    ? [
        'No sending domain is known to be ahead: the intervals of all conversion rates overlap with that of the highest.',
      ]
    : [
        `${listed([best.name, ...alike.slice(0, 2).map(({ name }) => name)])} convert alike: their intervals overlap, so none is ahead.`,
      ]
}

/** 1, 2, 5, 8 or 10 of the next power of ten: where a scale ends. @param share of one */
export function niceShare(share: number) {
  const power = 10 ** Math.floor(Math.log10(share))
  const step = [1, 2, 3, 4, 5, 6, 8, 10].find((each) => each * power >= share - 1e-12) ?? 10
  return Math.min(1, Number((step * power).toPrecision(3)))
}

/** Email clicks of the first 72 hours, by the hour; null where the report is about mailings alone. */
export async function firstHoursSection(
  { db, readers, found, calendar, now, f }: Making,
  campaigns: readonly CampaignNumbers[],
): Promise<Section | null> {
  if (found.campaigns.length === 0 && found.mailings.length > 0) return null
  const read = await readFirstHours({ db, readers }, found)
  if (!read) return section('curve', 'No email click is known yet')
  const over = Math.min(72, Math.max(1, Math.ceil((now - read.first) / hourLength)))
  let sum = 0
  const values = [0, ...read.hours.slice(0, over).map((clicks) => (sum += clicks))]
  const all = campaigns.reduce((total, { events }) => total + events.email_clicks, 0)
  const began = calendar.dayOf(read.first)
  const isWithin = found.period.from <= began && began <= found.period.to
  return section(
    'curve',
    over === 72 && all > 0 && found.isWhole
      ? `The first 72 hours brought ${f.percent(sum / all, 0)} of all email clicks`
      : `${f.plural(sum, 'email click', 'email clicks')} in the first ${over === 1 ? 'hour' : `${over} hours`}`,
    {
      charts: [
        {
          story: `Email clicks, cumulated over the first ${over === 1 ? 'hour' : `${over} hours`} from ${f.moment(read.first)}: ${f.number(sum)}.`,
          as: 'number',
          x: values.map((_, hour) => hour),
          ticks: [0, 12, 24, 36, 48, 60, 72].filter((x) => x <= over).map((x) => ({ x, label: `${x} h` })),
          lines: [{ label: 'Email clicks', look: 'main', values }],
          table: {
            caption: 'Email clicks, cumulated',
            columns: [
              { label: 'Hours after the first', as: 'number' },
              { label: 'Email clicks', as: 'number' },
            ],
            rows: values.map((value, hour) => ({ cells: [hour, value] })),
          },
        },
      ],
      notes: isWithin ? [] : [`They began on ${f.day(began)}, which is outside of this period.`],
    },
  )
}

/** Clicks and conversions by day of the period, or by the weeks or months of a long one. */
export async function campaignDaysSection(making: Making): Promise<Section | null> {
  const { found, f } = making
  if (found.campaigns.length === 0) return null
  const timeline = await readDays(making, found)
  const { unit, points, top } = timeline
  if (!top) return section('daily', 'Nothing was clicked in this period')
  const until = { last: found.period.to, today: making.calendar.dayOf(making.now) }
  const hasConversions = points.some(({ conversions }) => conversions > 0)
  return section('daily', `${f.day(top.on)} brought the most clicks: ${f.number(top.email_clicks)}`, {
    charts: [
      {
        story: `Email clicks${hasConversions ? ' and conversions' : ''} by ${unit}, from ${f.day(points[0]!.on)} to ${f.day(found.period.to)}.`,
        as: 'number',
        ...axisOf(timeline, f),
        lines: [
          {
            label: 'Email clicks',
            look: 'main',
            values: lineOf(points, ({ email_clicks }) => email_clicks, until),
          },
          ...(hasConversions
            ? [
                {
                  label: 'Conversions',
                  look: 'second' as const,
                  values: lineOf(points, ({ conversions }) => conversions, until),
                },
              ]
            : []),
        ],
        table: {
          caption: `By ${unit}`,
          columns: [
            { label: capital(unit), as: 'day' },
            { label: 'Email clicks', as: 'number' },
            { label: 'Landings', as: 'number' },
            { label: 'Conversions', as: 'number' },
          ],
          rows: points.map(({ on, email_clicks, landing_clicks, conversions }) => ({
            cells: [on, email_clicks, landing_clicks, conversions],
          })),
        },
      },
    ],
  })
}

const shownPlaces = 8

/** Countries and devices of email clicks, where they are known. */
export async function placesSection({ readers, found, f }: Making): Promise<Section | null> {
  // Of a part of the time the events of a campaign are not told apart by place; its mailings are whole.
  const byTracker = found.campaigns.length > 0 && found.isWhole
  if (!byTracker && found.mailings.length === 0) return null
  const { countries, devices } = byTracker
    ? await readPlaces(readers, found)
    : await readMailingPlaces(readers, found)
  const all = countries.reduce((sum, { clicks }) => sum + clicks, 0)
  const known = countries.filter(({ name }) => name !== null)
  if (all === 0 || (known.length === 0 && devices.every(({ name }) => name === null)))
    return section('places', 'Neither country nor device of a click is known')
  const regions = new Intl.DisplayNames('en', { type: 'region' })
  const countryName = (code: string | null) => {
    if (code === null) return 'not known'
    try {
      return regions.of(code) ?? code
    } catch {
      return code
    }
  }
  const table = (caption: string, label: string, rows: { name: string; clicks: number }[]): Table => ({
    caption,
    columns: [
      { label, as: 'text' },
      { label: 'Clicks', as: 'number' },
      { label: 'Of all', as: 'share1' },
    ],
    rows: rows.map(({ name, clicks }) => ({ cells: [name, clicks, clicks / all] })),
  })
  const top = known[0]
  const rest = countries.slice(shownPlaces).reduce((sum, { clicks }) => sum + clicks, 0)
  return section(
    'places',
    top
      ? `${f.percent(top.clicks / all, 0)} of the clicks came from ${countryName(top.name)}`
      : 'What people clicked with',
    {
      tables: [
        table('Countries, most clicks first', 'Country', [
          ...countries.slice(0, shownPlaces).map(({ name, clicks }) => ({ name: countryName(name), clicks })),
          ...(rest > 0 ? [{ name: 'all others', clicks: rest }] : []),
        ]),
        table(
          byTracker ? 'Devices, most clicks first' : 'Systems, most clicks first',
          byTracker ? 'Device' : 'System',
          // A system is spelled as it calls itself.
          devices.map(({ name, clicks }) => ({
            name: name === null ? 'not known' : byTracker ? capital(name) : name,
            clicks,
          })),
        ),
      ],
      notes: ['By the internet address and the browser of a click, where they were reported.'],
    },
  )
}
