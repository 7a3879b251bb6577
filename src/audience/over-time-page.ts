import { Router } from 'express'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { type DateFormats, number, plural } from '../web/formats.js'
import { heatOf, quartersOf } from './best-hour.js'
import { type Cohort, cohortMonths, readCohorts } from './cohorts.js'
import { clicksOf, opensOf, sumOfCounts } from './counting.js'
import { type EngagementSeries, engagementOverTime } from './engagement-over-time.js'
import { type Growth, growthOverTime } from './growth.js'
import { level, shownHeat } from './heat-view.js'
import { minuteCache } from './minute-cache.js'
import { fieldsOf, OverTimeView, overTimeAddress, unitOf, whoseOf } from './over-time-view.js'
import { periodName, ranges, type Unit, unitsOf } from './periods.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  dates: DateFormats
  now: () => number
}

/**
 * `/audience/over-time`: how engagement and lists develop. What it shows is found by scans in the reading threads and
 * remembered for a minute; the page does not refresh itself.
 */
export function overTimePage({ db, readers, calendar, dates, now }: Needs) {
  const routes = Router()
  const remembered = minuteCache(now)

  routes.get('/audience/over-time', async (req, res) => {
    const asked = OverTimeView.parse(req.query)
    const { whose, tagName, listName } = await whoseOf(db, asked)
    const view = { ...asked, tag: tagName, list: whose.list }
    const by = unitOf(view)
    const key = `${whose.tag} ${whose.list}`
    const when = { range: view.range, by, now: now() }
    const [series, growth, cohorts, quarters, choices] = await Promise.all([
      remembered(`engagement ${key} ${view.range} ${by} ${view.machines}`, () =>
        engagementOverTime(readers, calendar, { ...whose, ...when, machines: view.machines }),
      ),
      remembered(`growth ${key} ${view.range} ${by}`, () =>
        growthOverTime(readers, calendar, { ...whose, ...when }),
      ),
      remembered(`cohorts ${key} ${view.machines}`, () =>
        readCohorts(readers, calendar, { ...whose, machines: view.machines, now: now() }),
      ),
      remembered(`quarters ${whose.list}`, () =>
        quartersOf(readers, calendar, { list: whose.list, now: now() }),
      ),
      choicesOf(),
    ])
    const heatFor = (what: 'opens' | 'clicks') => heatOf(quarters, calendar, { ...view, what, now: now() })
    const clicks = heatFor('clicks')
    const what = view.heat || (clicks.total > 0 ? 'clicks' : 'opens')
    res.render('audience/over-time', {
      room: 'audience',
      view,
      timeZone: calendar.timeZone,
      at: (changes: Partial<OverTimeView>) => overTimeAddress(view, changes),
      kept: (...changed: string[]) => fieldsOf(view).filter(([name]) => !changed.includes(name)),
      ...choices,
      listName,
      who: whoWords(tagName, listName),
      ranges: ranges.map((range) => ({ range, label: rangeLabels[range], current: range === view.range })),
      units: unitChoices(view.range, by),
      series: shownSeries(series, view, dates),
      growth: shownGrowth(growth, view.range, dates),
      cohorts: shownCohorts(cohorts, dates),
      cohortMonths,
      heat: { ...shownHeat(what === 'clicks' ? clicks : heatFor('opens'), what), what },
      isHeatOfAll: whose.tag > 0,
    })
  })

  async function choicesOf() {
    const [tags, lists, anybody] = await Promise.all([
      db.selectFrom('tags').select(['id', 'name']).orderBy('name').limit(200).execute(),
      db.selectFrom('lists').select(['id', 'name']).orderBy('name').execute(),
      db.selectFrom('contacts').select('id').limit(1).executeTakeFirst(),
    ])
    return { tags, lists, isEmpty: !anybody }
  }

  return routes
}

const rangeLabels = { '30': '30 days', '90': '90 days', '365': '365 days', all: 'All' } as const
const unitLabels = { day: 'Days', week: 'Weeks', month: 'Months' } as const
/** What the sums are of: weeks and months are whole, so they may begin before the range does. */
const periodWords = (range: OverTimeView['range'], unit: Unit, first: number, dates: DateFormats) =>
  range === 'all'
    ? 'of all time'
    : unit === 'day'
      ? `of the last ${range} days`
      : `since ${dates.date(first)}`

/** Whose engagement it is, as the end of a sentence. */
function whoWords(tag: string, list: string) {
  if (tag && list) return `of people on ${list} with the tag ${tag}`
  if (tag) return `of people with the tag ${tag}`
  return list ? `of people on ${list}` : 'of everybody'
}

/** The usual unit of a range is not said in the address. */
const unitChoices = (range: OverTimeView['range'], by: Unit) => {
  const possible: readonly Unit[] = unitsOf[range]
  return (['day', 'week', 'month'] as const)
    .filter((unit) => possible.includes(unit))
    .map((unit) => ({
      label: unitLabels[unit],
      by: unit === possible[0] ? ('' as const) : unit,
      current: unit === by,
    }))
}

function shownSeries({ unit, points }: EngagementSeries, view: OverTimeView, dates: DateFormats) {
  const shown = points.map((point) => ({
    at: point.at,
    name: periodName(dates, point.at, unit),
    opens: opensOf(point, view),
    clicks: clicksOf(point, view),
    people: point.people,
    replies: point.replies,
  }))
  const total = (what: 'opens' | 'clicks') => shown.reduce((sum, point) => sum + point[what], 0)
  const peak = shown.reduce((most, point) => (point.people > most.people ? point : most), shown[0]!)
  return {
    unit,
    points: shown,
    last: shown.at(-1)!,
    counts: sumOfCounts(points),
    opens: total('opens'),
    clicks: total('clicks'),
    story: [
      `Opens, clicks and active people by ${unit}, ${periodWords(view.range, unit, shown[0]!.at, dates)}:`,
      `${number(total('opens'))} opens and ${number(total('clicks'))} clicks.`,
      peak.people > 0 ? `Most people were active ${peak.name}: ${number(peak.people)}.` : '',
    ]
      .filter(Boolean)
      .join(' '),
  }
}

function shownGrowth({ unit, points, ...sums }: Growth, range: OverTimeView['range'], dates: DateFormats) {
  const shown = points.map((point) => ({
    ...point,
    net: point.joined - point.left,
    name: periodName(dates, point.at, unit),
  }))
  const words = periodWords(range, unit, shown[0]!.at, dates)
  return {
    ...sums,
    net: sums.joined - sums.left,
    unit,
    points: shown,
    last: shown.at(-1)!,
    words,
    story: `Subscribed and left by ${unit}, ${words}: ${number(sums.joined)} subscribed, ${number(sums.left)} left.`,
  }
}

function shownCohorts(cohorts: Cohort[], dates: DateFormats) {
  const rows = cohorts.map((cohort) => ({
    name: periodName(dates, cohort.at, 'month'),
    people: cohort.people,
    cells: cohort.shares.map((share, month) => ({
      share,
      level: share === null ? 0 : level(share),
      story: `${number(cohort.active[month]!)} of ${plural(cohort.people, 'person', 'people')}${month === cohort.shares.length - 1 ? ', so far' : ''}`,
    })),
    /** Months that are still to come. */
    rest: cohorts.length - cohort.shares.length,
  }))
  return { rows: rows.filter(({ people }) => people > 0), isEmpty: rows.every(({ people }) => people === 0) }
}
