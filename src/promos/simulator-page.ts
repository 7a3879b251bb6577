import { Router } from 'express'
import * as z from 'zod'
import { comparedIssues, courseOf, longest } from './simulate.js'

const one = (usual: string) =>
  z.preprocess(
    (value) => (Array.isArray(value) ? value.at(-1) : value),
    z.string().trim().max(200).catch(usual),
  )
const View = z.object({ rates: one('1.6, 2.0, 2.0, 2.6'), impressions: one('2000') })

/** Rates as people write them, in per cent: `1.6, 2`, `1,6; 2`. */
function ratesOf(text: string): number[] | null {
  const parts = /[;\s]/.test(text.replace(/,\s/g, ';')) ? text.split(/[;\s]+|,\s+/) : text.split(',')
  const rates = parts
    .map((part) => part.replace(/%/g, '').replace(',', '.').trim())
    .filter((part) => part !== '')
    .map(Number)
  return rates.length >= 2 && rates.length <= 10 && rates.every((rate) => rate > 0 && rate <= 50)
    ? rates.map((rate) => rate / 100)
    : null
}

/** `/promos/simulator`: if the CTRs were …, how long until the verdict is in? */
export function promoSimulatorPage() {
  const routes = Router()
  routes.get('/promos/simulator', (req, res) => {
    const view = View.parse(req.query)
    const rates = ratesOf(view.rates)
    const impressions = Number(view.impressions.replace(/[,. ]/g, ''))
    const isAmount = Number.isInteger(impressions) && impressions >= 10 && impressions <= 10_000_000
    const errors: Record<string, string> = {}
    if (!rates)
      errors.rates = 'Write two to ten rates in per cent, such as 1.6, 2.0, 2.6; each above 0 and at most 50.'
    if (!isAmount) errors.impressions = 'Write a whole number from 10 to 10,000,000.'
    const courses =
      rates && isAmount
        ? { even: courseOf(rates, impressions, false), learning: courseOf(rates, impressions, true) }
        : null
    res.status(courses ? 200 : 422).render('promos/simulator', {
      room: 'promos',
      values: view,
      errors: { first: Object.keys(errors)[0] ?? '', ...errors },
      courses: courses && [
        { name: 'Even rotation', ...courses.even, clicks: Math.round(courses.even.clicks) },
        { name: 'Learning', ...courses.learning, clicks: Math.round(courses.learning.clicks) },
      ],
      gained: courses ? Math.round(courses.learning.clicks - courses.even.clicks) : 0,
      comparedIssues,
      longest,
    })
  })
  return routes
}
