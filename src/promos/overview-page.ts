import { setImmediate as turn } from 'node:timers/promises'
import { Router } from 'express'
import { minuteCache } from '../audience/minute-cache.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { sparkline } from '../web/charts.js'
import { number, percent, plural } from '../web/formats.js'
import { render } from '../web/render.js'
import { comparedTexts, judgementOf, rangeOf } from './analytics.js'
import type { KnownOffer, OfferDirectory } from './directory.js'
import { readEvidence } from './evidence.js'
import { readShown } from './offer-numbers.js'
import { OverviewView, ranges } from './page-forms.js'
import { hillOf, inkOf, scaleOf } from './pictures.js'
import { strategyNames } from './strategies.js'
import { verdictWords } from './verdict.js'
import { nameOf } from './verdict-sentence.js'

interface Needs {
  readers: Readers
  directory: OfferDirectory
  calendar: Calendar
  now: () => number
}

export const rangeLabels = { '7': '7 days', '30': '30 days', '90': '90 days', all: 'All' } as const
const stateLabels = { running: 'Running', archived: 'Retired', all: 'All' } as const
/** The most offers of a page, unless somebody asks for all. */
const some = 50

/** `/promos`: all offers at a glance, compared with each other. */
export function promoOverviewPage({ readers, directory, calendar, now }: Needs) {
  const routes = Router()
  const remembered = minuteCache(now)

  routes.get('/promos', async (req, res) => {
    await directory.load()
    const view = OverviewView.parse(req.query)
    const at = now()
    const range = await rangeOf(readers, calendar, { days: view.days, now: at })
    const { meaning } = directory.settings
    const offers = directory
      .all()
      .filter((offer) => view.state === 'all' || offer.archived === (view.state === 'archived'))
    const shown = await readShown(readers, offers, {
      range,
      isAll: view.days === 'all',
      meaning,
      calendar,
      now: at,
    })
    const ranked = offers
      .map((offer) => ({ offer, numbers: shown.offer(offer) }))
      .sort(
        (one, other) =>
          (other.numbers.ctr ?? -1) - (one.numbers.ctr ?? -1) ||
          other.numbers.clicks - one.numbers.clicks ||
          other.offer.id - one.offer.id,
      )
    const listed = view.show === 'all' ? ranked : ranked.slice(0, some)
    const ids = listed.map(({ offer }) => offer.id)
    const [series, verdicts] = await Promise.all([
      readClicksByDay(ids, range),
      remembered(`verdicts ${ids.join()} ${directory.version}`, () =>
        verdictsOf(listed.map(({ offer }) => offer)),
      ),
    ])
    const beliefs = listed.map(({ numbers: { basis } }) =>
      basis.impressions > 0 && basis.clicks <= basis.impressions
        ? { a: basis.clicks + 0.5, b: basis.impressions - basis.clicks + 0.5 }
        : null,
    )
    const told = beliefs.filter((belief) => belief !== null)
    const scale = told.length > 0 ? scaleOf(told) : null
    const to = (change: Partial<OverviewView>) => addressOf({ ...view, ...change })
    render(
      res,
      { page: 'promos/index', fragment: 'promos/_offers' },
      {
        room: 'promos',
        any: directory.size > 0,
        address: to({}),
        meaning,
        ranges: ranges.map((days) => ({
          label: rangeLabels[days],
          address: to({ days }),
          chosen: days === view.days,
        })),
        states: (['running', 'archived', 'all'] as const).map((state) => ({
          label: stateLabels[state],
          address: to({ state, show: 'some' }),
          chosen: state === view.state,
        })),
        scale: scale && `on one scale from ${percent(scale.from, 1)} to ${percent(scale.to, 1)}`,
        lines: listed.map(({ offer, numbers }, place) => {
          const days = series.get(offer.id) ?? []
          const belief = beliefs[place]
          return {
            ...offer,
            ...numbers,
            state: stateOf(offer, calendar.dayOf(at)),
            strategyName: strategyNames[offer.strategy],
            picture: days.some((clicks) => clicks > 0) ? sparkline(days, { fromZero: true }) : null,
            story: `${offer.name}: clicks by day, ${number(numbers.clicks)} in all`,
            hill: belief && scale ? hillOf(belief, scale) : null,
            ink: inkOf(place),
            ...verdicts.get(offer.id)!,
          }
        }),
        count: offers.length,
        countWords: plural(offers.length, 'offer', 'offers'),
        more: listed.length < ranked.length ? to({ show: 'all' }) : '',
        rangeWords: view.days === 'all' ? 'all time' : `${view.days} days and today`,
      },
    )
  })

  async function readClicksByDay(ids: number[], { start, end }: { start: string; end: string }) {
    const rows = []
    for (let place = 0; place < ids.length; place += 500)
      rows.push(
        ...(await readers
          .selectFrom('promo_days')
          .select(({ fn }) => ['offer_id', 'day_on', fn.sum<number>('clicks').as('clicks')])
          .where('offer_id', 'in', ids.slice(place, place + 500))
          .where('day_on', '>=', start)
          .where('day_on', '<=', end)
          .groupBy(['offer_id', 'day_on'])
          .execute()),
      )
    const days: string[] = []
    for (let day = start; day <= end; day = calendar.shift(day, 1)) days.push(day)
    const found = new Map<number, number[]>()
    const places = new Map(days.map((day, place) => [day, place]))
    for (const { offer_id, day_on, clicks } of rows) {
      if (!found.has(offer_id))
        found.set(
          offer_id,
          days.map(() => 0),
        )
      found.get(offer_id)![places.get(day_on)!] = clicks
    }
    return found
  }

  /** The verdict and the best text of each offer, over all that is known. */
  async function verdictsOf(offers: KnownOffer[]) {
    const found = new Map<number, { verdict: string; best: string }>()
    for (let place = 0; place < offers.length; place += 100) {
      const group = offers.slice(place, place + 100)
      const evidence = await readEvidence(readers, {
        offerIds: group.map(({ id }) => id),
        meaning: directory.settings.meaning,
        halfLives: new Map(group.map(({ id, halfLifeDays }) => [id, halfLifeDays])),
        calendar,
        now: now(),
      })
      for (const offer of group) {
        const running = comparedTexts(offer.texts, evidence)
        const judgement = running.length > 1 ? judgementOf(running) : null
        const leader = judgement && directory.text(judgement.leader)
        if (judgement) await turn() // doors are served between them
        found.set(offer.id, {
          verdict: judgement ? verdictWords(judgement) : running.length < 2 ? 'one text' : 'not known yet',
          best: leader ? nameOf(leader) : '',
        })
      }
    }
    return found
  }

  return routes
}

/** The state of an offer, as a mark and a word. */
export function stateOf(
  offer: Pick<KnownOffer, 'archived' | 'active' | 'fromOn' | 'untilOn' | 'texts'>,
  today: string,
) {
  if (offer.archived) return { look: 'waiting', words: 'Retired' }
  if (!offer.active) return { look: 'waiting', words: 'Paused' }
  if (offer.fromOn && today < offer.fromOn) return { look: 'waiting', words: `Begins on ${offer.fromOn}` }
  if (offer.untilOn && offer.untilOn < today) return { look: 'waiting', words: `Ended on ${offer.untilOn}` }
  if (!offer.texts.some(({ mayRun }) => mayRun)) return { look: 'warning', words: 'No approved text' }
  return { look: 'good', words: offer.untilOn ? `Active until ${offer.untilOn}` : 'Active' }
}

function addressOf({ days, state, show }: OverviewView) {
  const query = new URLSearchParams()
  if (days !== '30') query.set('days', days)
  if (state !== 'running') query.set('state', state)
  if (show !== 'some') query.set('show', show)
  return query.size > 0 ? `/promos?${query}` : '/promos'
}
