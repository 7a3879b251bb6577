import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { readEvidence } from './evidence.js'
import type { Linked } from './link.js'
import type { Seen } from './posterior.js'
import type { ChoiceFact, PromoFact, PromoReceipt } from './record.js'
import { type Candidate, ctrWeight, OfferWheel } from './selection.js'
import { type PromoSettings, readPromoSettings } from './settings.js'
import { isStrategy, type Strategy } from './strategies.js'

export interface KnownText extends Candidate {
  offerId: number
  headline: string
  text: string
  ctaText: string
  tone: string
  lengthCategory: string
  mayRun: boolean
}
export interface KnownOffer extends Linked {
  id: number
  name: string
  type: string
  strategy: Strategy
  halfLifeDays: number | null
  baseWeight: number
  active: boolean
  archived: boolean
  fromOn: string | null
  untilOn: string | null
  /** As they were reported, also those of which no text is known. */
  counted: Seen
  /** Since when its texts take turns. */
  rotation_from: number
  texts: KnownText[]
}

interface Needs {
  db: Db
  /** For evidence, which may take a scan. */
  readers: Readers
  calendar: Calendar
  /** Choices that are not in the database yet, since it could not be written when they were made. */
  spooled: readonly ChoiceFact[]
  now: () => number
}

const columnsOfOffers = [
  'offers.id',
  'offers.name',
  'offers.type',
  'offers.slug',
  'offers.destination_url',
  'offers.link_url',
  'offers.utm_source',
  'offers.utm_medium',
  'offers.utm_campaign',
  'offers.utm_term',
  'offers.utm_content',
  'offers.base_weight',
  'offers.active',
  'offers.from_on',
  'offers.until_on',
  'offers.archived_at',
  'offers.rotation_from',
] as const

/**
 * The offers and their texts as the doors know them: from memory, so that a redirect and a choice need no database. It is
 * read whole at the start; whoever edits an offer calls `reload`, and what is recorded comes in through `written`.
 */
export function offerDirectory({ db, readers, calendar, spooled, now }: Needs) {
  const offers = new Map<number, KnownOffer>()
  const texts = new Map<number, KnownText>()
  const slugs = new Map<string, KnownOffer>()
  /** Numbers of offers by slugs that they had. */
  const oldSlugs = new Map<string, number>()
  /** The texts of the last issue, by newsletter. */
  const lastTexts = new Map<string, ReadonlySet<number>>()
  /** Offers whose evidence has to be read again. */
  const stale = new Set<number>()
  const wheels = new Map<string, { wheel: OfferWheel; made: number; day: string }>()
  /** Choices of an earlier process that are not among the turns yet, by their ids in the spool. */
  const unturned = new Set(spooled.map(({ spoolId }) => spoolId))
  let settings: PromoSettings = { meaning: 'issue', keepsMetadata: true }
  let loading: Promise<void> | null = null
  let isLoaded = false
  /** Counts up with everything that a page could show otherwise. */
  let version = 0

  async function read(ids: number[] | null) {
    const [rows, variations, former, turns] = await Promise.all([
      db
        .selectFrom('promo_offers as offers')
        .innerJoin('promo_groups as groups', 'groups.id', 'offers.group_id')
        .leftJoin('promo_offer_counts as counts', 'counts.offer_id', 'offers.id')
        .select(columnsOfOffers)
        .select(['groups.strategy', 'groups.half_life_days', 'counts.impressions', 'counts.clicks'])
        .$if(ids !== null, (query) => query.where('offers.id', 'in', ids!))
        .execute(),
      db
        .selectFrom('promo_text_variations as texts')
        .selectAll('texts')
        .$if(ids !== null, (query) => query.where('texts.offer_id', 'in', ids!))
        .orderBy('texts.id')
        .execute(),
      db
        .selectFrom('promo_old_slugs')
        .selectAll()
        .$if(ids !== null, (query) => query.where('offer_id', 'in', ids!))
        .execute(),
      ids === null ? readTurns() : new Map<number, number>(),
    ])
    const earlier = new Map(rows.map(({ id }) => [id, offers.get(id)]))
    for (const row of rows) {
      const before = earlier.get(row.id)
      if (before) slugs.delete(before.slug)
      const offer: KnownOffer = {
        ...row,
        strategy: isStrategy(row.strategy) ? row.strategy : 'fixed',
        halfLifeDays: row.half_life_days,
        baseWeight: row.base_weight,
        active: row.active === 1 && row.archived_at === null,
        archived: row.archived_at !== null,
        fromOn: row.from_on,
        untilOn: row.until_on,
        counted: { impressions: row.impressions ?? 0, clicks: row.clicks ?? 0 },
        texts: [],
      }
      offers.set(offer.id, offer)
      slugs.set(offer.slug, offer)
      stale.add(offer.id)
    }
    for (const { slug, offer_id } of former) oldSlugs.set(slug, offer_id)
    for (const row of variations) {
      const before = texts.get(row.id)
      const text: KnownText = {
        id: row.id,
        offerId: row.offer_id,
        headline: row.headline,
        text: row.text,
        ctaText: row.cta_text,
        tone: row.tone,
        lengthCategory: row.length_category,
        weight: row.weight,
        mayRun: row.approved === 1 && row.archived_at === null && row.weight > 0,
        evidence: before?.evidence ?? { impressions: 0, clicks: 0 },
        pending: before?.pending ?? false,
        turns: before?.turns ?? turns.get(row.id) ?? 0,
      }
      texts.set(text.id, text)
      offers.get(text.offerId)!.texts.push(text)
    }
    const changed = rows.flatMap(({ id }) => {
      const [before, offer] = [earlier.get(id), offers.get(id)!]
      return before && beginsAnew(before, offer) ? offer : []
    })
    if (changed.length > 0) await rotateAnew(changed)
    wheels.clear()
    version++
  }

  /** Who joins a test has its turns from now on, and not all that it missed. */
  async function rotateAnew(changed: KnownOffer[]) {
    const at = now()
    for (const offer of changed) {
      offer.rotation_from = at
      for (const text of offer.texts) text.turns = 0
    }
    const ids = changed.map(({ id }) => id)
    await db.updateTable('promo_offers').set({ rotation_from: at }).where('id', 'in', ids).execute()
  }

  async function readTurns() {
    const rows = await db
      .selectFrom('promo_choices as choices')
      .innerJoin('promo_offers as offers', 'offers.id', 'choices.offer_id')
      .select(({ fn }) => ['choices.variation_id', fn.countAll<number>().as('turns')])
      .where('choices.strategy', '=', 'test')
      .whereRef('choices.chosen_at', '>=', 'offers.rotation_from')
      .groupBy('choices.variation_id')
      .execute()
    return new Map(rows.map((row) => [row.variation_id, row.turns]))
  }

  function takeTurn({ strategy, offerId, variationId, happenedAt }: ChoiceFact) {
    const offer = offers.get(offerId)
    const text = offer?.texts.find(({ id }) => id === variationId)
    if (offer && text && strategy === 'test' && happenedAt >= offer.rotation_from) text.turns++
  }

  async function readLastTexts() {
    const rows = await db
      .selectFrom('promo_choices')
      .select(({ fn }) => ['newsletter', fn.max('chosen_at').as('at')])
      .where('newsletter', '<>', '')
      .groupBy('newsletter')
      .execute()
    const latest = new Map<string, { at: number; ids: Set<number> }>()
    for (const { at, newsletter } of rows) {
      const chosen = await db
        .selectFrom('promo_choices')
        .select('variation_id')
        .where('chosen_at', '=', at)
        .where('newsletter', '=', newsletter)
        .execute()
      latest.set(newsletter, { at, ids: new Set(chosen.map(({ variation_id }) => variation_id)) })
    }
    for (const { newsletter, happenedAt: at, variationId } of spooled) {
      const known = latest.get(newsletter)
      if (known?.at === at) known.ids.add(variationId)
      else if (!known || known.at < at) latest.set(newsletter, { at, ids: new Set([variationId]) })
    }
    for (const [newsletter, { ids }] of latest) if (newsletter !== '') lastTexts.set(newsletter, ids)
  }

  async function loadAll() {
    settings = await readPromoSettings(db)
    await read(null)
    await readLastTexts()
    await refresh({ most: Number.POSITIVE_INFINITY })
  }
  /** Reads everything, once; all who ask before it is there wait for the same reading. */
  const load = () => {
    loading ??= loadAll().then(
      () => {
        isLoaded = true
      },
      (error) => {
        loading = null
        throw error
      },
    )
    return loading
  }

  /**
   * Reads the evidence of offers anew about which something was recorded, some at a time, for a job.
   * @param all of every offer: what was delivered of an issue comes to be known outside of this room
   */
  async function refresh({ most = 100, all = false }: { most?: number; all?: boolean } = {}) {
    if (all) for (const id of offers.keys()) stale.add(id)
    while (stale.size > 0 && most > 0) {
      const some = [...stale].slice(0, Math.min(100, most))
      most -= some.length
      for (const id of some) stale.delete(id)
      try {
        const halfLives = new Map(some.map((id) => [id, fadingOf(offers.get(id)!)]))
        const wish = {
          offerIds: some,
          meaning: settings.meaning,
          halfLives,
          withIssues: false,
          calendar,
          now: now(),
        }
        const evidence = await readEvidence(readers, wish)
        for (const id of some)
          for (const text of offers.get(id)!.texts) {
            const found = evidence.get(text.id)
            text.evidence = { impressions: found?.impressions ?? 0, clicks: found?.clicks ?? 0 }
            text.pending = found?.pending ?? false
          }
      } catch (error) {
        for (const id of some) stale.add(id)
        throw error
      }
    }
  }

  /** What pages make the CTR of an offer of. */
  const seenOf = ({ counted, texts }: KnownOffer): Seen =>
    settings.meaning === 'message'
      ? counted
      : {
          impressions: texts.reduce((sum, { evidence }) => sum + evidence.impressions, 0),
          clicks: texts.reduce((sum, { evidence }) => sum + evidence.clicks, 0),
        }

  const isEligible = (offer: KnownOffer, day: string) =>
    offer.active &&
    (offer.fromOn === null || offer.fromOn <= day) &&
    (offer.untilOn === null || day <= offer.untilOn) &&
    offer.texts.some(({ mayRun }) => mayRun)

  return {
    load,
    /** Waits for nothing once everything is in memory. */
    get isLoaded() {
      return isLoaded
    },
    offer: (id: number) => offers.get(id) ?? null,
    text: (id: number) => texts.get(id) ?? null,
    /** By its slug, or by one that it had. */
    bySlug: (slug: string) => slugs.get(slug) ?? offers.get(oldSlugs.get(slug) ?? 0) ?? null,
    get settings() {
      return settings
    },
    get version() {
      return version
    },
    get size() {
      return offers.size
    },
    all: () => [...offers.values()],
    types: () => new Set([...offers.values()].map(({ type }) => type)),

    /** The eligible offers of a type (empty: of any), by weight. CTRs in it are at most five seconds old. */
    wheel(type: string): OfferWheel {
      const at = now()
      const day = calendar.dayOf(at)
      const known = wheels.get(type)
      if (known && known.day === day && at - known.made < 5_000 && at >= known.made) return known.wheel
      const eligible = [...offers.values()].filter(
        (offer) => (type === '' || offer.type === type) && isEligible(offer, day),
      )
      const wheel = new OfferWheel(
        eligible.map((offer) => ({
          id: offer.id,
          weight: offer.strategy === 'ctr' ? ctrWeight(offer.baseWeight, seenOf(offer)) : offer.baseWeight,
        })),
      )
      if (wheels.size > 200) wheels.clear()
      wheels.set(type, { wheel, made: at, day })
      return wheel
    },
    isEligible: (offer: KnownOffer) => isEligible(offer, calendar.dayOf(now())),

    lastTextsOf: (newsletter: string): ReadonlySet<number> => lastTexts.get(newsletter) ?? nothing,
    /** These texts were chosen, for one issue. */
    chosen(newsletter: string, chosen: KnownText[]) {
      for (const text of chosen) text.turns++
      if (newsletter === '') return
      if (lastTexts.size > 10_000) lastTexts.clear()
      lastTexts.set(newsletter, new Set(chosen.map(({ id }) => id)))
    },

    /** A fact is in the database. */
    written(fact: PromoFact, receipt: PromoReceipt) {
      version++
      if (fact.kind === 'choice' && !receipt.repeated && unturned.delete(fact.spoolId)) takeTurn(fact)
      if (!receipt.counted || fact.kind === 'choice') return
      const counted = offers.get(fact.offerId)?.counted
      if (counted && fact.kind === 'impression') counted.impressions += fact.placements
      else if (counted) counted.clicks += 1
      stale.add(fact.offerId)
    },
    /** An offer, or one of its texts, was edited. */
    async reload(id: number) {
      await load()
      await read([id])
      await refresh()
    },
    /** Groups or settings were edited. */
    async reloadAll() {
      settings = await readPromoSettings(db)
      await read(null)
      await refresh({ most: Number.POSITIVE_INFINITY })
    },
    refresh,
    /** Something else changed what pages show: an issue was tied to a mailing. */
    touch() {
      version++
    },
  }
}
export type OfferDirectory = ReturnType<typeof offerDirectory>

const nothing: ReadonlySet<number> = new Set()

/** Only learning forgets. */
const fadingOf = ({ strategy, halfLifeDays }: KnownOffer) => (strategy === 'learn' ? halfLifeDays : null)

/** Its texts begin to take turns, or there is one more that does. */
function beginsAnew(before: KnownOffer, { strategy, texts }: KnownOffer) {
  const ran = new Set(before.texts.filter(({ mayRun }) => mayRun).map(({ id }) => id))
  return (
    strategy === 'test' &&
    (before.strategy !== 'test' || texts.some(({ id, mayRun }) => mayRun && !ran.has(id)))
  )
}

/** What a page needs of the row behind an offer. */
