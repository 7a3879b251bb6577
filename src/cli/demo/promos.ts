import { hash } from 'node:crypto'
import type { Networks } from '../../audience/networks.js'
import type { Db } from '../../database/open.js'
import { Ledger } from '../../ledger/ledger.js'
import { chance } from '../../promos/chance.js'
import { createGroup, createOffer, createVariation } from '../../promos/commands.js'
import { OfferForm, VariationForm } from '../../promos/page-forms.js'
import { type PromoFact, promoRecorder } from '../../promos/record.js'
import { type Candidate, chooseText, textRule } from '../../promos/selection.js'
import type { Strategy } from '../../promos/strategies.js'
import type { Calendar } from '../../web/calendar.js'
import type { Dice, Reader } from './readers.js'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

interface Told {
  offer: {
    name: string
    destination_url: string
    type: string
    slug: string
    until_on?: string
    archived?: boolean
  }
  strategy: Strategy
  /** Runs in the issue on every so many days, beginning so many days ago. */
  every: number
  days: number
  texts: {
    text: string
    cta_text: string
    tone: string
    headline?: string
    rate: number
    sinceDaysAgo?: number
    approved?: false
  }[]
}

/** Offers of a morning letter that goes out every day; the rates are what its readers do. */
const told: Told[] = [
  {
    offer: {
      name: 'Bindery notebooks',
      destination_url: 'https://bindery.example/notebooks',
      type: 'affiliate',
      slug: 'bindery',
    },
    strategy: 'learn',
    every: 1,
    days: 32,
    texts: [
      {
        text: 'Paper that keeps its promises: sewn by hand, made to lie flat.',
        cta_text: 'See the notebooks',
        tone: 'calm',
        rate: 0.0272,
      },
      {
        text: 'Your next hundred ideas need somewhere to live.',
        cta_text: 'Find yours',
        tone: 'warm',
        rate: 0.0235,
      },
      {
        text: 'Three notebooks, one price, until Sunday.',
        cta_text: 'Order now',
        tone: 'urgent',
        rate: 0.02,
      },
      {
        text: 'The notebook our editor has filled eleven times.',
        cta_text: 'Read why',
        tone: 'personal',
        rate: 0.018,
        sinceDaysAgo: 7,
      },
    ],
  },
  {
    offer: {
      name: 'Moka pot, the small one',
      destination_url: 'https://stovetop.example/moka?size=3',
      type: 'affiliate',
      slug: 'moka',
    },
    strategy: 'test',
    every: 1,
    days: 24,
    texts: [
      {
        headline: 'Coffee without a plug',
        text: 'Three cups, five minutes, no electricity.',
        cta_text: 'See the pot',
        tone: 'calm',
        rate: 0.031,
      },
      { text: 'Only 40 left in copper.', cta_text: 'Order now', tone: 'urgent', rate: 0.019 },
    ],
  },
  {
    offer: {
      name: 'Evening course in letterpress',
      destination_url: 'https://galley.example/evenings',
      type: 'sponsor',
      slug: 'letterpress',
    },
    strategy: 'fixed',
    every: 3,
    days: 45,
    texts: [
      {
        text: 'Set your own name in lead, and take it home.',
        cta_text: 'See the dates',
        tone: 'warm',
        rate: 0.012,
      },
      { text: 'Six evenings, six people, one press.', cta_text: 'See the dates', tone: 'calm', rate: 0.0124 },
      {
        text: 'Draft, not yet seen by the sponsor.',
        cta_text: 'See the dates',
        tone: 'personal',
        rate: 0,
        approved: false,
      },
    ],
  },
  {
    offer: {
      name: 'Summer raffle',
      destination_url: 'https://longline.example/raffle',
      type: 'own',
      slug: 'raffle',
      archived: true,
    },
    strategy: 'fixed',
    every: 2,
    days: 70,
    texts: [{ text: 'Win a week by the sea.', cta_text: 'Take part', tone: 'urgent', rate: 0.041 }],
  },
]

interface Needs {
  db: Db
  calendar: Calendar
  networks: Networks
  account: number
  now: number
  dice: Dice
  readers: Reader[]
}

/**
 * Makes offers with their texts and what came of them in a letter that goes out every morning, chosen as the doors would
 * choose. Which mailing an issue is nobody told; how many got it was said by hand.
 * @returns how many impressions and clicks that are
 */
export async function recordPromos({ db, calendar, networks, account, now, dice, readers }: Needs) {
  const recorder = promoRecorder({ db, calendar, networks, canonicalId: () => null })
  const ledger = new Ledger({ db })
  const write = ledger.register<PromoFact, unknown>(recorder.facts)
  let [impressions, clicks, seed] = [0, 0, 1]
  const groups: Record<Strategy, number> = { learn: 1, test: 0, fixed: 0, ctr: 0 }
  for (const [strategy, name] of [
    ['test', 'Put to the test'],
    ['fixed', 'Sold places'],
  ] as const)
    groups[strategy] = (await createGroup(db, { name, strategy, half_life_days: null }, now - 80 * day)).id

  for (const { offer, strategy, every, days, texts } of told) {
    const since = now - days * day
    const form = OfferForm.parse({ ...offer, active: '1', utm_source: 'morning-letter', utm_medium: 'email' })
    const { id: offerId } = await createOffer(db, form, groups[strategy], { by: account, at: since })
    const candidates: (Candidate & { rate: number; from: number })[] = []
    for (const { rate, sinceDaysAgo = days, approved = true, ...words } of texts) {
      const from = now - sinceDaysAgo * day
      const made = { by: account, at: from, approved }
      const { id } = await createVariation(db, offerId, VariationForm.parse(words), made)
      if (approved)
        candidates.push({
          id,
          weight: 1,
          evidence: { impressions: 0, clicks: 0 },
          pending: false,
          turns: 0,
          rate,
          from,
        })
    }
    const offersWeighting = weighed([[offerId, 1]])
    for (let ago = days; ago > (offer.archived ? 40 : 0); ago -= every) {
      const sentAt = Math.floor((now - ago * day) / day) * day + 6 * hour + dice.below(20) * minute
      const running = candidates.filter(({ from }) => from <= sentAt + day)
      const rule = textRule(strategy, running)
      seed = (seed * 69_069 + 1) >>> 0
      const text = running.find(({ id }) => id === chooseText(rule, again(seed)))!
      const common = { offerId, variationId: text.id, spoolId: null }
      const audience = 2_280 + dice.below(160)
      const facts: PromoFact[] = [
        {
          ...common,
          kind: 'choice',
          newsletter: 'morning-letter',
          strategy,
          seed,
          excludedId: null,
          offersWeighting,
          textsWeighting: weighed(rule),
          happenedAt: sentAt - 10 * minute,
        },
        {
          ...common,
          kind: 'impression',
          sendKey: `morning-${calendar.dayOf(sentAt)}`,
          placements: 1,
          happenedAt: sentAt,
        },
      ]
      impressions++
      let came = 0
      for (let reader = 0; reader < audience; reader++) {
        if (!dice.chance(text.rate)) continue
        const { address, userAgents, ahead } = dice.pick(readers)
        const at = Math.floor(sentAt + 2 * minute + dice.delay(110 * minute, 1.1) - Math.min(ahead, 0) * hour)
        if (at > now - minute) continue
        const click = { ...common, kind: 'click' as const, referrer: 'morning-letter', address, ahead: false }
        facts.push({ ...click, userAgent: dice.pick(userAgents), happenedAt: at })
        came++
        if (dice.chance(0.04)) facts.push({ ...click, userAgent: userAgents[0]!, happenedAt: at + 90_000 })
        if (dice.chance(0.05))
          facts.push({ ...click, address: null, userAgent: 'Barracuda Sentinel (EE)', happenedAt: at + 500 })
      }
      clicks += facts.length - 2
      text.turns++
      text.evidence.impressions += audience
      text.evidence.clicks += came
      facts.sort((one, other) => one.happenedAt - other.happenedAt)
      await Promise.all(facts.map(write))
      await db
        .updateTable('promo_sends')
        .set({ delivered: audience, tied_by: 'hand' })
        .where('key', '=', `morning-${calendar.dayOf(sentAt)}`)
        .execute()
    }
    if (offer.archived)
      await db
        .updateTable('promo_offers')
        .set({ archived_at: now - 38 * day })
        .where('id', '=', offerId)
        .execute()
  }
  await ledger.close()
  return { impressions, clicks }
}

const weighed = (value: unknown) => {
  const json = JSON.stringify(value)
  return { json, hash: hash('sha256', json, 'base64url') }
}

/** Chance as it is after the offer was drawn. */
function again(seed: number) {
  const random = chance(seed)
  random()
  return random
}
