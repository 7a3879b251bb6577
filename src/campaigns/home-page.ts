import { type NextFunction, type Request, type Response, Router } from 'express'
import type { Db } from '../database/open.js'
import type { Calendar } from '../web/calendar.js'
import { change } from '../web/changes.js'
import { sparkline } from '../web/charts.js'
import { number, percent, plural } from '../web/formats.js'
import { isRefresh, render, renderFragment, wantsFragment } from '../web/render.js'
import {
  type CampaignLine,
  type Headline,
  lastEventAt,
  type Overview,
  OverviewFilter,
  overviewAddress,
  periods,
  readOverview,
  type Sorting,
  sortings,
  sortWord,
} from './overview.js'

interface Needs {
  db: Db
  calendar: Calendar
  now: () => number
}

/** The home page: all campaigns at a glance. */
export function homePage({ db, calendar, now }: Needs) {
  const routes = Router()

  routes.get('/', async (req, res) => {
    const filter = OverviewFilter.parse(req.query)
    const overview = await readOverview(db, filter, { calendar, now: now() })
    const address = overviewAddress(filter)
    // Typing in the search narrows the view under an address that leaves out what is as usual.
    if (wantsFragment(req) && !isRefresh(req) && req.url !== address) res.set('HX-Replace-Url', address)
    const view = { page: 'campaigns/index', fragment: 'campaigns/_overview' }
    render(res, view, { room: 'campaigns', ...describe(overview, filter) })
  })

  routes.get('/last-event', async (_req, res) => {
    renderFragment(res, 'web/_last-event', { lastEventAt: await lastEventAt(db), now: now() })
  })

  return routes
}

/** Lays out for whole pages when the last event came in. */
export function showLastEvent({ db }: Pick<Needs, 'db'>) {
  return async (req: Request, res: Response, next: NextFunction) => {
    if (!wantsFragment(req)) res.locals.lastEventAt = await lastEventAt(db)
    next()
  }
}

const stateWords = { active: 'Active', archived: 'Archived', all: 'All' } as const
const directionWords = { asc: 'ascending', desc: 'descending' } as const
const columns: { sort: Sorting | null; label: string; look: string }[] = [
  { sort: 'id', label: 'ID', look: 'num fit' },
  { sort: 'name', label: 'Name', look: 'lead' },
  { sort: null, label: 'Clicks by day', look: 'fit' },
  { sort: 'clicks', label: 'Clicks', look: 'num' },
  { sort: 'conv', label: 'Conv', look: 'num' },
  { sort: 'rate', label: 'Rate', look: 'num' },
  { sort: 'created', label: 'Created', look: 'num' },
]
/** On a phone, where the table has no head. */
const sortChoices = [
  { word: 'id', label: 'Newest' },
  { word: 'id-asc', label: 'Oldest' },
  { word: 'name', label: 'Name' },
  { word: 'clicks', label: 'Clicks' },
  { word: 'conv', label: 'Conversions' },
  { word: 'rate', label: 'Rate' },
]

/** The overview in words and pictures, ready for its views. */
function describe(overview: Overview, filter: OverviewFilter) {
  const { span, headlines, lines, matching, counts } = overview
  const period = filter.days === null ? 'all time' : `the last ${span} days`
  const to = (change: Partial<OverviewFilter>) => overviewAddress(filter, change)
  const word = sortWord(filter.sort, filter.order)
  const inState = counts[filter.state]
  const kind = filter.state === 'all' ? '' : `${filter.state} `
  return {
    overview,
    filter,
    address: to({}),
    than: `the ${span} days before`,
    headlineTitle: `Numbers of ${period}`,
    periods: periods.map((days) => ({
      address: to({ days }),
      chosen: days === filter.days,
      label: days === null ? 'All time' : `${days} days`,
    })),
    states: (['active', 'archived', 'all'] as const).map((state) => ({
      address: to({ state, show: 'some' }),
      chosen: state === filter.state,
      label: stateWords[state],
      count: state === 'archived' ? counts.archived : 0,
    })),
    sortChoices: [
      ...sortChoices,
      ...(sortChoices.some((choice) => choice.word === word) ? [] : [{ word, label: 'As in the table' }]),
    ].map((choice) => ({ ...choice, chosen: choice.word === word })),
    columns: columns.map(({ sort, label, look }) => {
      const current = sort === filter.sort
      const order = sort && (current ? (filter.order === 'asc' ? 'desc' : 'asc') : sortings[sort])
      return {
        label,
        look,
        word: sort,
        address: sort && order ? to({ sort, order }) : '',
        sorted: current ? directionWords[filter.order] : '',
      }
    }),
    tiles: tilesOf(headlines, filter, span),
    inState,
    caption: `${filter.state === 'all' ? 'All' : stateWords[filter.state]} campaigns with numbers of ${period}`,
    lines: lines.map((line) => lineOf(line, span)),
    foot:
      filter.days === null
        ? `Numbers of all time, people only. Changes compare the last ${span} days with the ${span} before.`
        : `Numbers of ${period}, people only. Changes compare them with the ${span} days before.`,
    more: lines.length < matching ? to({ show: 'all' }) : '',
    nothing: {
      title: filter.q ? `No ${kind}campaign matches “${filter.q}”` : `There are no ${kind}campaigns`,
      ways: [
        ...(filter.q
          ? [{ label: `Show ${kind ? `all ${kind}` : 'all '}campaigns`, address: to({ q: '' }) }]
          : []),
        ...(filter.state === 'all'
          ? []
          : [
              filter.q
                ? { label: 'Search in all campaigns', address: to({ state: 'all' }) }
                : {
                    label: `See all ${plural(counts.all, 'campaign', 'campaigns')}`,
                    address: to({ state: 'all' }),
                  },
            ]),
      ],
    },
  }
}

function lineOf(line: CampaignLine, span: number) {
  const some = line.clicksByDay.some((clicks) => clicks > 0)
  return {
    ...line,
    rateRaw: line.rate === null ? '' : rawRate(line.rate),
    picture: some ? sparkline(line.clicksByDay, { fromZero: true }) : null,
    story: `${line.name}: clicks by day over ${span} days, ${between(line.clicksByDay, number)}`,
    silence: line.lastAt === null ? 'no events yet' : `none in ${span} days`,
  }
}

function tilesOf(headlines: Overview['headlines'], filter: OverviewFilter, span: number) {
  const allTime = filter.days === null
  const counting = (name: 'clicks' | 'conversions', label: string) => {
    const headline = headlines[name]
    return {
      name,
      label,
      raw: String(headline.value),
      figure: number(headline.value),
      change: change(headline.now, headline.before, { as: 'ratio' }),
      notes: [...(allTime ? [plain(`in ${span} days`)] : []), countBefore(headline)],
      picture: sparkline(headline.byDay, { before: headline.byDayBefore }),
      story: storyOf(label, headline, span, number),
    }
  }
  const { campaigns, rate } = headlines
  const label = filter.state === 'all' ? 'Campaigns' : `${stateWords[filter.state]} campaigns`
  return [
    {
      name: 'campaigns',
      label,
      raw: String(campaigns.value),
      figure: number(campaigns.value),
      change: change(campaigns.now, campaigns.before, {
        as: 'amount',
        good: filter.state === 'archived' ? 'neither' : 'up',
      }),
      notes: [...(allTime ? [plain(`in ${span} days`)] : []), countBefore(campaigns)],
      picture: sparkline(campaigns.byDay),
      story: storyOf(label, campaigns, span, number),
    },
    counting('clicks', 'Clicks'),
    counting('conversions', 'Conversions'),
    {
      name: 'rate',
      label: 'Conv. rate',
      raw: rate.value === null ? '' : rawRate(rate.value),
      figure: percent(rate.value),
      change: change(rate.now, rate.before, { as: 'points' }),
      notes: rateNotes(rate, { allTime, span }),
      picture: sparkline(rate.byDay, { before: rate.byDayBefore }),
      story: storyOf('Conversion rate of seven days,', rate, span, (value) => percent(value)),
    },
  ]
}

/** A note below a figure, with the raw value of the number in it; without a number it has none. */
interface Note {
  text: string
  value: string | null
}
const plain = (text: string): Note => ({ text, value: null })
const countBefore = ({ before }: Headline): Note => ({
  text: `${number(before)} before`,
  value: String(before ?? ''),
})

/** What stands below a rate: over how long its change was measured, and the rate before it. */
function rateNotes({ now, before }: Headline, { allTime, span }: { allTime: boolean; span: number }): Note[] {
  const earlier =
    before === null
      ? plain('no clicks before')
      : { text: `${percent(before)} before`, value: rawRate(before) }
  if (!allTime) return [earlier]
  if (now === null) return [plain(`no clicks in ${span} days`), ...(before === null ? [] : [earlier])]
  return [plain(`in ${span} days`), earlier]
}

const rawRate = (share: number) => String(Math.round(share * 1e6) / 1e6)

/** A sparkline in a sentence, for those who listen. */
function storyOf(label: string, { now, before, byDay, byDayBefore }: Headline, span: number, say: Say) {
  const known = byDayBefore.length > 0 && now !== null && before !== null
  const against = known
    ? `, ${now === before ? 'as many as' : now > before ? 'above' : 'below'} the ${span} days before`
    : ''
  return `${label} by day over ${span} days, ${between(byDay, say)}${against}`
}
type Say = (value: number | null) => string

function between(values: (number | null)[], say: Say) {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return 'no value yet'
  const [low, high] = [Math.min(...known), Math.max(...known)]
  return low === high ? `always ${say(low)}` : `from ${say(low)} to ${say(high)}`
}
