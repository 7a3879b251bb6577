import { Router } from 'express'
import * as z from 'zod'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { plural } from '../web/formats.js'
import { rangeOf } from './analytics.js'
import type { KnownText, OfferDirectory } from './directory.js'
import { readShown, type Shown } from './offer-numbers.js'
import { rangeLabels } from './overview-page.js'
import { OfferView, ranges } from './page-forms.js'
import { hillOf, inkOf, scaleOf } from './pictures.js'
import { type Beta, credibleInterval } from './posterior.js'
import { nameOf } from './verdict-sentence.js'

interface Needs {
  readers: Readers
  directory: OfferDirectory
  calendar: Calendar
  now: () => number
}

/** What texts are compared by, beside their own. */
const traits = {
  tone: { label: 'Tone', of: (text: KnownText) => text.tone || 'none given' },
  length: { label: 'Length', of: (text: KnownText) => text.lengthCategory },
  cta: { label: 'Call to action', of: (text: KnownText) => text.ctaText || 'none' },
  headline: {
    label: 'Headline',
    of: (text: KnownText) => text.headline || 'without a headline',
  },
} as const
type Trait = keyof typeof traits

const View = OfferView.extend({
  by: z.preprocess(
    (value) => (Array.isArray(value) ? value.at(-1) : value),
    z.enum(Object.keys(traits) as [Trait, ...Trait[]]).catch('tone'),
  ),
  show: z.enum(['some', 'all']).catch('some'),
})
/** The most rows of a table, unless somebody asks for all. */
const some = 100

/** The belief about a rate by itself: Jeffreys' prior, half a click and half of none. */
const beliefOf = ({ basis }: Pick<Shown, 'basis'>): Beta | null =>
  basis.impressions > 0 && basis.clicks <= basis.impressions
    ? { a: basis.clicks + 0.5, b: basis.impressions - basis.clicks + 0.5 }
    : null

/** `/promos/texts`: all texts across offers, best first, and what they have in common. */
export function promoTextsPage({ readers, directory, calendar, now }: Needs) {
  const routes = Router()

  routes.get('/promos/texts', async (req, res) => {
    await directory.load()
    const view = View.parse(req.query)
    const at = now()
    const range = await rangeOf(readers, calendar, { days: view.days, now: at })
    const offers = directory.all()
    const { meaning } = directory.settings
    const shown = await readShown(readers, offers, {
      range,
      isAll: view.days === 'all',
      meaning,
      calendar,
      now: at,
    })
    const rows = offers
      .flatMap((offer) =>
        offer.texts.map((text) => ({ offer, text, numbers: shown.text(offer.id, text.id) })),
      )
      .filter(({ numbers }) => numbers.impressions > 0 || numbers.clicks > 0)
      .sort(
        (one, other) => (other.numbers.ctr ?? -1) - (one.numbers.ctr ?? -1) || one.text.id - other.text.id,
      )
    const listed = view.show === 'all' ? rows : rows.slice(0, some)
    const groups = together(rows, traits[view.by].of)
    const to = (change: Partial<z.infer<typeof View>>) => addressOf({ ...view, ...change })
    const withHills = <Row extends { belief: Beta | null }>(list: Row[]) => {
      const told = list.flatMap(({ belief }) => belief ?? [])
      const scale = told.length > 0 ? scaleOf(told) : null
      return list.map((row, place) => ({
        ...row,
        hill: row.belief && scale ? hillOf(row.belief, scale) : null,
        ink: inkOf(place),
      }))
    }
    res.set('Cache-Control', 'no-store').render('promos/texts', {
      room: 'promos',
      meaning,
      ranges: ranges.map((days) => ({
        label: rangeLabels[days],
        address: to({ days }),
        chosen: days === view.days,
      })),
      traits: (Object.keys(traits) as Trait[]).map((by) => ({
        label: traits[by].label,
        address: `${to({ by })}#traits`,
        chosen: by === view.by,
      })),
      traitLabel: traits[view.by].label,
      groups: withHills(groups),
      groupsWords: overlapWords(groups),
      texts: withHills(
        listed.map(({ offer, text, numbers }) => ({
          id: text.id,
          name: nameOf(text),
          offer,
          tone: text.tone,
          ...numbers,
          belief: beliefOf(numbers),
        })),
      ),
      count: rows.length,
      countWords: plural(rows.length, 'text', 'texts'),
      more: listed.length < rows.length ? to({ show: 'all' }) : '',
    })
  })
  return routes
}

interface Group {
  name: string
  texts: number
  impressions: number
  clicks: number
  ctr: number | null
  belief: Beta | null
}

function together(
  rows: { text: KnownText; numbers: Shown }[],
  traitOf: (text: KnownText) => string,
): Group[] {
  const sums = new Map<string, { texts: number; basis: Shown['basis'] }>()
  for (const { text, numbers } of rows) {
    const name = traitOf(text)
    const sum = sums.get(name) ?? { texts: 0, basis: { impressions: 0, clicks: 0 } }
    sum.texts++
    sum.basis.impressions += numbers.basis.impressions
    sum.basis.clicks += numbers.basis.clicks
    sums.set(name, sum)
  }
  return [...sums]
    .map(([name, { texts, basis }]) => ({
      name,
      texts,
      impressions: Math.round(basis.impressions),
      clicks: Math.round(basis.clicks),
      ctr: basis.impressions > 0 ? basis.clicks / basis.impressions : null,
      belief: beliefOf({ basis }),
    }))
    .sort((one, other) => (other.ctr ?? -1) - (one.ctr ?? -1))
    .slice(0, 50)
}

/** Two whose intervals overlap are not put in order by words. */
function overlapWords(groups: Group[]): string {
  const [first, second] = groups
  if (!first?.belief || !second?.belief) return ''
  const [low] = credibleInterval(first.belief)
  const [, high] = credibleInterval(second.belief)
  return low > high
    ? `“${first.name}” is ahead of all others: its interval lies above theirs.`
    : `“${first.name}” and “${second.name}” cannot be told apart yet: their intervals overlap.`
}

function addressOf({ days, by, show }: z.infer<typeof View>) {
  const query = new URLSearchParams()
  if (days !== '30') query.set('days', days)
  if (by !== 'tone') query.set('by', by)
  if (show !== 'some') query.set('show', show)
  return query.size > 0 ? `/promos/texts?${query}` : '/promos/texts'
}
