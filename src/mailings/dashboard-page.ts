import { Router } from 'express'
import * as z from 'zod'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import type { DateFormats } from '../web/formats.js'
import { render, renderFragment, wantsFragment } from '../web/render.js'
import { bookOf, sentWithin, seriesOf, summarise } from './dashboard.js'
import {
  choicesOf,
  describeBars,
  describeFrame,
  describeList,
  describeSeries,
  describeSums,
  leftOutOf,
} from './dashboard-view.js'
import { mailingsCsv } from './mailing-export.js'
import { isIn, MailingFilter, mailingsAddress, type Spell, spellOf } from './mailing-filter.js'
import { chosenMailings, inOrder, type ListedMailing, listAllMailings, pageOf } from './mailing-list.js'
import { listComparisons } from './ours-and-theirs.js'

interface Needs {
  readers: Readers
  calendar: Calendar
  dates: DateFormats
  now: () => number
}

/**
 * `/mailings`: all that was sent, in a few numbers, over time and one by one; the same as CSV; and how it compares with
 * what the provider says.
 */
export function mailingsDashboard({ readers, calendar, dates, now }: Needs) {
  const routes = Router()

  /** The mailings of a filter, with and without its dates. */
  async function find(filter: MailingFilter) {
    const all = await listAllMailings(readers, filter)
    const spell = spellOf(filter, { calendar, now: now() })
    const matching = chosenMailings(all, filter)
    return { all, spell, matching, shown: matching.filter(({ sent_at }) => isIn(sent_at, spell)) }
  }

  routes.get('/mailings', async (req, res) => {
    const filter = MailingFilter.parse(req.query)
    // What [+ Filter] says of a number becomes a part of the address like any other.
    if ('number' in req.query) return res.redirect(303, mailingsAddress(filter))
    const { all, spell, matching, shown } = await find(filter)
    const list = describeList(filter, pageOf(inOrder(shown, filter), filter))
    res.set('Cache-Control', 'no-store')
    if (wantsFragment(req) && filter.after > 0) return renderFragment(res, 'mailings/_more-mailings', list)
    if (wantsFragment(req) && req.url !== list.address) res.set('HX-Replace-Url', list.address)
    const choices = choicesOf(all)
    render(
      res,
      { page: 'mailings/index', fragment: 'mailings/_dashboard' },
      {
        room: 'mailings',
        isEmpty: all.length === 0,
        ...list,
        ...describeFrame(filter, { choices, dates, count: shown.length }),
        leftOutCounts: leftOutOf(shown),
        machinesAddress: mailingsAddress(filter, { machines: !filter.machines, add: '' }),
        ...describeNumbers(filter, { spell, matching, shown }),
      },
    )
  })

  function describeNumbers(
    filter: MailingFilter,
    { spell, matching, shown }: { spell: Spell; matching: ListedMailing[]; shown: ListedMailing[] },
  ) {
    const book = bookOf(matching)
    const shownBook = sentWithin(book, spell)
    const sums = {
      shown: summarise(shownBook),
      now: summarise(sentWithin(book, spell.now)),
      before: summarise(sentWithin(book, spell.before)),
    }
    const until = Math.min(spell.until ?? Number.POSITIVE_INFINITY, now() + 1)
    const series = seriesOf(shownBook, { calendar, from: spell.from, until, by: filter.by })
    return {
      sums: describeSums(sums, { spell, matching, filter }),
      bars: describeBars(shown, sums.shown),
      series: describeSeries(series, { dates, filter, calendar }),
    }
  }

  routes.get('/mailings/export.csv', async (req, res) => {
    const filter = MailingFilter.parse(req.query)
    const { shown } = await find(filter)
    res.set({
      'Content-Type': 'text/csv; charset=utf-8',
      'Content-Disposition': `attachment; filename="mailings-${calendar.dayOf(now())}.csv"`,
      'Cache-Control': 'no-store',
    })
    res.send(mailingsCsv(inOrder(shown, filter)))
  })

  const After = z.object({
    after: z.coerce.number().int().min(0).max(1e15).catch(0),
  })
  routes.get('/mailings/ours-and-theirs', async (req, res) => {
    const { after } = After.parse(req.query)
    const page = await listComparisons(readers, { after, now: now() })
    res.render('mailings/ours-and-theirs', { room: 'mailings', ...page, after })
  })

  return routes
}
