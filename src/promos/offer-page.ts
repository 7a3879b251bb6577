import { type Request, type Response, Router } from 'express'
import { minuteCache } from '../audience/minute-cache.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { change } from '../web/changes.js'
import { sparkline } from '../web/charts.js'
import { chance, type DateFormats, number, percent, plural } from '../web/formats.js'
import { renderFragment, wantsFragment } from '../web/render.js'
import { comparedTexts, judgementOf, rangeOf, readTimeline } from './analytics.js'
import type { KnownOffer, OfferDirectory } from './directory.js'
import { audienceOf, readEvidence, type TextEvidence } from './evidence.js'
import { heatOf, readHeat } from './heat.js'
import { linkOf } from './link.js'
import { clicksOf, ctr } from './metrics.js'
import { readShown } from './offer-numbers.js'
import { rangeLabels, stateOf } from './overview-page.js'
import { OfferView, ranges } from './page-forms.js'
import { bandsOf, curvesOf, hillOf, inkOf, scaleOf } from './pictures.js'
import { credibleInterval, meanOf, pooledPrior, posteriorOf } from './posterior.js'
import { getOffer, listVariations, type Offer, type Variation } from './queries.js'
import { isStrategy, strategyNames } from './strategies.js'
import { nameOf, verdictSentence } from './verdict-sentence.js'

/** The query of an address that shows this: nothing for what is usual. */
function queryOf({ days, machines }: OfferView) {
  const query = new URLSearchParams({
    ...(days === '30' ? {} : { days }),
    ...(machines ? { machines: '1' } : {}),
  }).toString()
  return query && `?${query}`
}

interface Needs {
  db: Db
  readers: Readers
  directory: OfferDirectory
  calendar: Calendar
  dates: DateFormats
  baseUrl: string
  now: () => number
}

/** `/promos/offers/:id`: one offer, which of its texts to keep, and why. */
export function promoOfferPage({ db, readers, directory, calendar, dates, baseUrl, now }: Needs) {
  const routes = Router()
  const remembered = minuteCache(now)

  routes.get('/promos/offers/:id', async (req, res) => {
    await directory.load()
    const offer = await getOffer(db, req.params.id)
    await showPage(res, offer, OfferView.parse(req.query))
  })
  // A part of the page; asked for by a browser itself, without htmx, it is the whole page.
  routes.get('/promos/offers/:id/numbers', async (req: Request<{ id: string }>, res) => {
    await directory.load()
    const offer = await getOffer(db, req.params.id)
    const view = OfferView.parse(req.query)
    if (!wantsFragment(req)) return showPage(res, offer, view)
    renderFragment(res, 'promos/_numbers', await numbersOf(offer, view))
  })

  async function showPage(res: Response, offer: Offer, view: OfferView) {
    const known = directory.offer(offer.id)!
    const [numbers, rest] = await Promise.all([numbersOf(offer, view), restOf(offer, view)])
    res.set('Cache-Control', 'no-store').render('promos/offer', {
      ...numbers,
      ...rest,
      state: stateOf(known, calendar.dayOf(now())),
      strategyName: isStrategy(offer.strategy) ? strategyNames[offer.strategy] : '',
      baseUrl,
      ranges: ranges.map((days) => ({
        label: rangeLabels[days],
        address: `/promos/offers/${offer.id}${queryOf({ ...view, days })}`,
        chosen: days === view.days,
      })),
      timeZone: calendar.timeZone,
    })
  }

  /** What refreshes itself: the verdict, the figures, the texts. It reads counts alone. */
  async function numbersOf(offer: Offer, view: OfferView) {
    const at = now()
    const known = directory.offer(offer.id)!
    const { meaning } = directory.settings
    const range = await rangeOf(readers, calendar, { days: view.days, now: at })
    const isAll = view.days === 'all'
    const everything = view.machines
    const before = {
      start: calendar.shift(range.start, -range.days - 1),
      end: calendar.shift(range.start, -1),
    }
    const common = { meaning, calendar, now: at }
    const [shown, earlier, timeline, timelineBefore, evidence, texts] = await Promise.all([
      readShown(readers, [known], { range, isAll, everything, ...common }),
      readShown(readers, [known], { range: before, isAll: false, everything, ...common }),
      readTimeline(readers, calendar, range, { offerId: offer.id }),
      isAll ? [] : readTimeline(readers, calendar, before, { offerId: offer.id }),
      readEvidence(readers, {
        offerIds: [offer.id],
        halfLives: new Map([[offer.id, offer.half_life_days]]),
        ...common,
      }),
      listVariations(db, offer.id),
    ])
    const running = comparedTexts(known.texts, evidence)
    const judgement = running.length > 1 ? judgementOf(running) : null
    const sentence = verdictSentence(
      running.map((text) => ({ ...directory.text(text.variationId)!, evidence: text })),
      judgement,
    )
    const [is, was] = [shown.offer(known), isAll ? null : earlier.offer(known)]
    const than = `the ${range.days} days before`
    return {
      room: 'promos',
      offer,
      view,
      query: queryOf(view),
      rangeWords: isAll ? 'All time' : `The last ${range.days} days and today`,
      than,
      verdict: sentence,
      tiles: [
        {
          name: 'impressions',
          label: 'Impressions',
          raw: String(is.impressions),
          figure: number(is.impressions),
          change: was && change(is.impressions, was.impressions, { as: 'ratio' }),
          note: [
            beforeWords(was?.impressions),
            is.reported === null ? '' : `${number(is.reported)} reported by the API`,
          ]
            .filter((words) => words !== '')
            .join(' · '),
          picture: sparkline(
            timeline.map((day) => day.impressions),
            { before: timelineBefore.map((day) => day.impressions) },
          ),
          story: 'Reported impressions by day',
        },
        {
          name: 'clicks',
          label: 'Clicks',
          raw: String(is.clicks),
          figure: number(is.clicks),
          change: was && change(is.clicks, was.clicks, { as: 'ratio' }),
          note: beforeWords(was?.clicks),
          picture: sparkline(
            timeline.map((day) => clicksOf(day, everything)),
            { before: timelineBefore.map((day) => clicksOf(day, everything)) },
          ),
          story: 'Clicks by day',
        },
        {
          name: 'ctr',
          label: 'CTR',
          raw: is.ctr === null ? '' : String(Math.round(is.ctr * 1e6) / 1e4),
          figure: percent(is.ctr),
          change: was && change(is.ctr, was.ctr, { as: 'points' }),
          note:
            is.ctr === null
              ? is.impressions > 0
                ? 'nobody knows how many got the issues'
                : 'no impressions'
              : was && was.ctr !== null
                ? `${percent(was.ctr)} before`
                : '',
          picture: null,
          story: '',
        },
        gainOf(running),
      ],
      leftOut: leftOutWords(is),
      other: `/promos/offers/${offer.id}${queryOf({ ...view, machines: !view.machines })}`,
      ...textsOf(known, texts, evidence, running, judgement, shown),
      updatedAt: at,
    }
  }

  const beforeWords = (value: number | undefined) => (value === undefined ? '' : `${number(value)} before`)

  function leftOutWords({ repeated, machines }: { repeated: number; machines: number }) {
    const parts = []
    if (machines > 0) parts.push(`${plural(machines, 'machine click', 'machine clicks')}`)
    if (repeated > 0)
      parts.push(`${plural(repeated, 'repeated click', 'repeated clicks')} within ten minutes`)
    return parts.join(' and ')
  }

  /** Clicks more than the same impressions would have brought, shared out evenly. */
  function gainOf(running: TextEvidence[]) {
    const seen = running.filter(({ impressions }) => impressions > 0)
    const all = seen.reduce((sum, text) => sum + text.impressions, 0)
    const even = seen.reduce((sum, text) => sum + text.clicks / text.impressions, 0) / (seen.length || 1)
    const gained = Math.round(seen.reduce((sum, text) => sum + text.clicks, 0) - all * even)
    const has = seen.length > 1
    return {
      name: 'gain',
      label: 'Gained by choosing',
      raw: has ? String(gained) : '',
      figure: has ? (gained > 0 ? `+${number(gained)}` : number(gained)) : '–',
      change: null,
      note: has ? 'clicks more than an even rotation, all time' : 'takes two texts that were shown',
      picture: null,
      story: '',
    }
  }

  type Judged = ReturnType<typeof judgementOf>
  function textsOf(
    known: KnownOffer,
    texts: Variation[],
    evidence: ReadonlyMap<number, TextEvidence>,
    running: TextEvidence[],
    judgement: Judged,
    shown: Awaited<ReturnType<typeof readShown>>,
  ) {
    const prior = pooledPrior([...evidence.values()])
    const total = shown.counts(known.id).texts.reduce((sum, text) => sum + text.impressions, 0)
    const rows = texts
      .filter(
        ({ approved, archived_at, id }) =>
          archived_at === null || (evidence.get(id)?.impressions ?? 0) > 0 || approved === 0,
      )
      .map((text) => {
        const seen = evidence.get(text.id) ?? {
          variationId: text.id,
          impressions: 0,
          clicks: 0,
          issues: 0,
          pending: false,
        }
        const posterior = judgement?.posteriors.find(({ variationId }) => variationId === text.id)
        const isTold = seen.impressions > 0 && seen.clicks <= seen.impressions
        const inRange = shown.counts(known.id).texts.find(({ variationId }) => variationId === text.id)
        return {
          ...text,
          name: nameOf(text),
          impressions: Math.round(seen.impressions),
          clicks: Math.round(seen.clicks),
          issues: seen.issues,
          pending: seen.pending,
          ctr: ctr(seen),
          beta: posterior?.beta ?? (isTold ? posteriorOf(prior, seen) : null),
          best: posterior ? chance(posterior.best) : '',
          bestRaw: posterior?.best ?? '',
          share: total > 0 ? (inRange?.impressions ?? 0) / total : null,
          isNew: isTold && seen.impressions < 2_000 && known.strategy === 'learn' && text.approved === 1,
        }
      })
      .sort((one, other) => (other.ctr ?? -1) - (one.ctr ?? -1) || one.id - other.id)
    const betas = rows.flatMap(({ beta }) => beta ?? [])
    const scale = betas.length > 0 ? scaleOf(betas) : null
    const told = rows.filter(({ beta }) => beta !== null)
    const curves = scale
      ? curvesOf(
          told.map(({ id, beta }) => ({ id, beta: beta! })),
          scale,
        ).map((curve, place) => ({ ...curve, ink: inkOf(place), isBest: place === 0 }))
      : []
    return {
      texts: rows.map((row) => ({
        ...row,
        hill: row.beta && scale ? hillOf(row.beta, scale) : null,
        ink: inkOf(told.indexOf(row) < 0 ? 3 : told.indexOf(row)),
      })),
      scaleWords: scale
        ? `CTR with its 95% interval, on one scale from ${percent(scale.from, 1)} to ${percent(scale.to, 1)}`
        : '',
      scale,
      curves: curves.toReversed(),
      curvesStory: told.map(({ id, beta }) => `${id} around ${percent(meanOf(beta!))}`).join(', '),
      retired: texts.filter(({ archived_at }) => archived_at !== null).length,
      isFading: known.halfLifeDays !== null && running.length > 0,
    }
  }

  /** The charts below, which change slowly. */
  async function restOf(offer: Offer, view: OfferView) {
    const at = now()
    const known = directory.offer(offer.id)!
    const range = await rangeOf(readers, calendar, { days: view.days, now: at })
    const since = calendar.startOf(range.start)
    const [cells, devices, sends, shares, timeline, offers] = await Promise.all([
      readHeat(readers, calendar, offer.id, since),
      readers
        .selectFrom('promo_devices')
        .select(['device', 'clicks'])
        .where('offer_id', '=', offer.id)
        .where('clicks', '>', 0)
        .orderBy('clicks', 'desc')
        .execute(),
      readSends(offer.id),
      readShares(known, range),
      readTimeline(readers, calendar, range, { offerId: offer.id }),
      remembered(`offers ${view.days} ${directory.settings.meaning}`, () =>
        rankOffers(range, view.days === 'all'),
      ),
    ])
    const deviceClicks = devices.reduce((sum, { clicks }) => sum + clicks, 0)
    return {
      heat: heatOf(cells),
      devices: devices.map(({ device, clicks }) => ({
        name: device[0]!.toUpperCase() + device.slice(1),
        clicks,
        share: clicks / deviceClicks,
        width: Math.round((clicks / devices[0]!.clicks) * 1000) / 10,
      })),
      deviceClicks,
      offers: besideOthers(offers, offer.id),
      sends,
      shares,
      series: seriesOf(timeline, sends),
      firstLink: known.texts[0] ? linkOf(known, known.texts[0].id, baseUrl) : '',
    }
  }

  /** All offers that are not retired, by their CTR. It takes a scan of the days: its answer is remembered for a minute. */
  async function rankOffers(range: { start: string; end: string }, isAll: boolean) {
    const offers = directory.all().filter(({ archived }) => !archived)
    const { meaning } = directory.settings
    const shown = await readShown(readers, offers, { range, isAll, meaning, calendar, now: now() })
    return offers
      .map(({ id, name, texts }) => ({ id, name, ...shown.offer({ id, texts }) }))
      .filter((each) => each.ctr !== null)
      .sort((one, other) => other.ctr! - one.ctr! || one.id - other.id)
  }
  /** The first ten, and this one if it is further behind. */
  function besideOthers(ranked: Awaited<ReturnType<typeof rankOffers>>, id: number) {
    const most = ranked[0]?.ctr || 1
    return ranked
      .map((each, place) => ({
        ...each,
        place: place + 1,
        isThis: each.id === id,
        width: Math.round((each.ctr! / most) * 1000) / 10,
        interval: intervalWords(each.basis),
      }))
      .filter(({ place, isThis }) => place <= 10 || isThis)
  }
  function intervalWords({ impressions, clicks }: { impressions: number; clicks: number }) {
    if (clicks > impressions) return ''
    const [low, high] = credibleInterval({ a: clicks + 0.5, b: impressions - clicks + 0.5 })
    return `${percent(low)} to ${percent(high)}`
  }

  /** CTR of each issue, where it is known how many got them; else by day. */
  function seriesOf(
    timeline: Awaited<ReturnType<typeof readTimeline>>,
    sends: Awaited<ReturnType<typeof readSends>>,
  ) {
    const byIssue = directory.settings.meaning === 'issue'
    const points = byIssue
      ? sends
          .filter((send) => send.rate !== null)
          .map((send) => ({
            at: send.first_at,
            name: dates.moment(send.first_at),
            what: send.key,
            impressions: send.exposures,
            clicks: send.clicks,
            rate: send.rate,
          }))
          .reverse()
      : timeline
          .filter(({ impressions }) => impressions > 0)
          .map((day) => {
            const start = calendar.startOf(day.date)
            return {
              at: start,
              name: dates.date(start),
              what: '',
              impressions: day.impressions,
              clicks: day.clicks,
              rate: ctr(day),
            }
          })
    const last = points.at(-1) ?? null
    return {
      byIssue,
      points: points.map((point) => ({ ...point, raw: rawRate(point.rate) })),
      last: last && { ...last, raw: rawRate(last.rate) },
      story:
        last === null
          ? ''
          : `CTR ${byIssue ? 'of each issue' : 'by day'}, ${points.length} in all; the last is ${percent(last.rate)}.`,
    }
  }
  const rawRate = (rate: number | null) => (rate === null ? '' : String(Math.round(rate * 1e4) / 100))

  async function readSends(offer: number) {
    const rows = await readers
      .selectFrom('promo_text_variations as texts')
      .innerJoin('promo_send_counts as counts', 'counts.variation_id', 'texts.id')
      .innerJoin('promo_sends as sends', 'sends.id', 'counts.send_id')
      .leftJoin('mailings', 'mailings.id', 'sends.mailing_id')
      .leftJoin('mailing_counts as mailed', 'mailed.mailing_id', 'sends.mailing_id')
      .leftJoin('mailing_reports as reports', 'reports.mailing_id', 'sends.mailing_id')
      .select(['sends.id', 'sends.key', 'sends.first_at', 'sends.delivered', 'sends.mailing_id'])
      .select(['mailings.name as mailing', 'texts.id as variation', 'counts.impressions', 'counts.clicks'])
      .select(['mailed.people_sent', 'mailed.people_bounced', 'reports.deliveries'])
      .where('texts.offer_id', '=', offer)
      .orderBy('sends.first_at', 'desc')
      .orderBy('texts.id')
      .limit(90)
      .execute()
    return rows.map((row) => {
      const audience = audienceOf(row)
      const exposures = row.impressions * audience
      return {
        ...row,
        audience: audience || null,
        exposures,
        rate: exposures > 0 ? row.clicks / exposures : null,
      }
    })
  }

  /** How the impressions of the week up to each day were shared out. */
  async function readShares(offer: KnownOffer, { start, end }: { start: string; end: string }) {
    const rows = await readers
      .selectFrom('promo_days')
      .select(['variation_id', 'day_on', 'impressions'])
      .where('offer_id', '=', offer.id)
      .where('day_on', '>=', calendar.shift(start, -6))
      .where('day_on', '<=', end)
      .where('impressions', '>', 0)
      .execute()
    const ids = [...new Set(rows.map((row) => row.variation_id))]
    const byDay = new Map(rows.map((row) => [`${row.variation_id} ${row.day_on}`, row.impressions]))
    const days: string[] = []
    for (let day = start; day <= end; day = calendar.shift(day, 1)) days.push(day)
    const weekOf = (id: number, day: string) => {
      let sum = 0
      for (let back = 0; back < 7; back++) sum += byDay.get(`${id} ${calendar.shift(day, -back)}`) ?? 0
      return sum
    }
    const table = days
      .map((day) => ({ day, counts: ids.map((id) => weekOf(id, day)) }))
      .map(({ day, counts }) => ({ day, counts, all: counts.reduce((sum, count) => sum + count, 0) }))
      .filter(({ all }) => all > 0)
    if (ids.length < 2 || table.length < 2) return null
    const last = table.at(-1)!
    const order = ids.map((_, place) => place).sort((one, other) => last.counts[other]! - last.counts[one]!)
    const bands = bandsOf(order.map((place) => table.map(({ counts, all }) => counts[place]! / all)))
    const names = order.map((place, rank) => ({
      id: ids[place]!,
      ink: inkOf(rank),
      share: last.counts[place]! / last.all,
    }))
    const label = (place: number) => dates.date(calendar.startOf(table[place]!.day)).replace(/ \d{4}$/, '')
    return {
      bands: bands.map((band, rank) => ({ ...band, ink: inkOf(rank) })),
      names,
      ticks: [
        { x: '0%', look: '', label: label(0) },
        { x: '50%', look: 'mid', label: label(Math.floor(table.length / 2)) },
        { x: '100%', look: 'end', label: label(table.length - 1) },
      ],
      rows: table.map(({ day, counts, all }) => ({
        name: dates.date(calendar.startOf(day)),
        shares: order.map((place) => counts[place]! / all),
      })),
      story: `Share of impressions by variation. On the last day ${names.map(({ id, share }) => `${id} has ${percent(share, 0)}`).join(', ')}.`,
    }
  }

  return routes
}
