import { Router } from 'express'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { sparkline } from '../web/charts.js'
import { number } from '../web/formats.js'
import { growthOverTime } from './growth.js'
import { listLists } from './lists.js'
import { minuteCache } from './minute-cache.js'
import { originName } from './origins.js'

interface Needs {
  readers: Readers
  calendar: Calendar
  now: () => number
}

/** `/audience/lists`: the lists of the providers, and how they grew in the last thirty days. Looked up once a minute. */
export function listPages({ readers, calendar, now }: Needs) {
  const routes = Router()
  const remembered = minuteCache(now)

  const readAll = async () => {
    const lists = await listLists(readers)
    return Promise.all(
      lists.map(async (list) => ({
        ...list,
        growth: await growthOverTime(readers, calendar, {
          tag: 0,
          list: list.id,
          range: '30',
          by: 'day',
          now: now(),
        }),
      })),
    )
  }

  routes.get('/audience/lists', async (_req, res) => {
    const lists = await remembered('lists', readAll)
    res.render('audience/lists', {
      room: 'audience',
      lists: lists.map(({ growth, ...list }) => {
        const first = growth.points[0]!
        const before = first.subscribed - first.joined + first.left
        return {
          ...list,
          from: originName(list.provider),
          joined: growth.joined,
          left: growth.left,
          churn: growth.churn,
          picture: sparkline(growth.points.map(({ subscribed }) => subscribed)),
          story: `Subscribed over 30 days: from ${number(before)} to ${number(growth.subscribed)}`,
        }
      }),
    })
  })
  return routes
}
