import { dayLength } from '../web/calendar.js'
import type { Band } from './contact-filter.js'
import type { Signal } from './rooms.js'

/** What a person can do with a mailing, and what it is worth in points. A mailing counts by the best of them. */
export const deedPoints = { opened: 1, clicked: 5, landed: 6, replied: 8, converted: 15 } as const
export type DeedKind = keyof typeof deedPoints

/** Points that each delivered mailing is measured by: a reader who clicks in every one has the full score. */
export const fullPoints = 5
/** Milliseconds after which a mailing weighs half. */
export const halfLife = 60 * dayLength
/** The average of everybody weighs as much as this many mailings of today: a first click makes no champion. */
export const priorMailings = 5
/** With fewer delivered mailings a contact is new. */
export const newBelow = 5
/** Milliseconds without a deed after which a contact is dormant. */
export const dormantAfter = 90 * dayLength
/** Milliseconds between the score and the one that the trend compares it with. */
export const trendSpan = 30 * dayLength
/**
 * Milliseconds after a delivery in which a landing or a conversion counts for that mailing. The tracker knows no
 * mailings: the last one that was delivered before has the best claim, and after a month none has.
 */
export const attributionSpan = 30 * dayLength

/** Best first; the score from which on. */
const bandThresholds = [
  ['champion', 60],
  ['active', 35],
  ['passive', 15],
] as const satisfies [Band, number][]

/** What each band means, as people read it. */
export const bandMeanings: Record<Band, string> = {
  champion: 'a score of 60 or more',
  active: 'a score from 35 to under 60',
  passive: 'a score from 15 to under 35',
  fading: 'a score under 15',
  dormant: 'nothing done for 90 days',
  new: 'fewer than 5 mailings delivered',
}

export interface Deed {
  kind: DeedKind
  at: number
}
/** A mailing that was delivered to the contact, with what they did about it. */
export interface ScoredMailing {
  mailingId: number
  deliveredAt: number
  deeds: Deed[]
}
/** The columns of a reception that a score needs. */
export interface ScoredReception {
  mailing_id: number
  delivered_at: number | null
  first_opened_at: number | null
  first_clicked_at: number | null
  replies: number
  last_active_at: number | null
}

/**
 * What the score is made from. Receptions keep the instants of the first open and click by a person, but not of the
 * first reply: it is taken for the last thing done with the mailing, the latest it can have been.
 * @param receptions of one contact; what was not delivered, or belongs to no known mailing (0), is left out
 * @param signals of the same contact; each counts for the last mailing delivered at most {@link attributionSpan} before
 */
export function scoredMailings(
  receptions: readonly ScoredReception[],
  signals: readonly Pick<Signal, 'at' | 'kind'>[] = [],
): ScoredMailing[] {
  const mailings: ScoredMailing[] = []
  for (const row of receptions) {
    if (row.delivered_at === null || row.mailing_id === 0) continue
    const deeds: Deed[] = []
    if (row.first_opened_at !== null) deeds.push({ kind: 'opened', at: row.first_opened_at })
    if (row.first_clicked_at !== null) deeds.push({ kind: 'clicked', at: row.first_clicked_at })
    if (row.replies > 0) deeds.push({ kind: 'replied', at: row.last_active_at ?? row.delivered_at })
    mailings.push({ mailingId: row.mailing_id, deliveredAt: row.delivered_at, deeds })
  }
  for (const { at, kind } of signals)
    lastBefore(mailings, at)?.deeds.push({ kind: kind === 'landing' ? 'landed' : 'converted', at })
  return mailings
}

function lastBefore(mailings: ScoredMailing[], at: number): ScoredMailing | null {
  let last: ScoredMailing | null = null
  for (const mailing of mailings) {
    if (mailing.deliveredAt > at || at - mailing.deliveredAt > attributionSpan) continue
    const isLater =
      last === null ||
      mailing.deliveredAt > last.deliveredAt ||
      (mailing.deliveredAt === last.deliveredAt && mailing.mailingId > last.mailingId)
    if (isLater) last = mailing
  }
  return last
}

/** Points of a contact's mailings, and what they would be if each had been clicked; both halved every 60 days. */
export interface ScoreSums {
  points: number
  of: number
  /** Delivered mailings. */
  mailings: number
}

/**
 * @param at the instant by which mailings have their age
 * @param until only mailings delivered and deeds done up to this instant
 */
export function scoreSums(mailings: readonly ScoredMailing[], at: number, until = Infinity): ScoreSums {
  const sums = { points: 0, of: 0, mailings: 0 }
  for (const { deliveredAt, deeds } of mailings) {
    if (deliveredAt > until) continue
    const weight = weightOf(deliveredAt, at)
    let best = 0
    for (const deed of deeds)
      if (deed.at <= until && deedPoints[deed.kind] > best) best = deedPoints[deed.kind]
    sums.points += best * weight
    sums.of += fullPoints * weight
    sums.mailings++
  }
  return sums
}
const ageOf = (deliveredAt: number, at: number) => Math.max(0, at - deliveredAt)
const weightOf = (deliveredAt: number, at: number) => 0.5 ** (ageOf(deliveredAt, at) / halfLife)

/**
 * The share of full points that everybody's mailings bring together.
 * @returns from 0 to 1; 0 as long as nobody has a mailing
 */
export function scoreAverage({ points, of }: Pick<ScoreSums, 'points' | 'of'>): number {
  return of === 0 ? 0 : Math.min(1, points / of)
}

/**
 * The engagement score: for each delivered mailing the points of its best event, over 5 points per delivered mailing,
 * both halved every 60 days, in per cent, drawn towards the average `a` of everybody with the weight of 5 mailings:
 *
 *     score = 100 × (P + 25 a) ÷ (W + 25),  P = Σ best × 0.5^(age ÷ 60 days),  W = Σ 5 × 0.5^(age ÷ 60 days)
 *
 * @param average from 0 to 1, see {@link scoreAverage}
 * @returns from 0 to 100, capped there; null without a delivered mailing
 */
export function scoreOf({ points, of, mailings }: ScoreSums, average: number): number | null {
  if (mailings === 0) return null
  const prior = priorMailings * fullPoints
  return Math.min(100, (100 * (points + prior * average)) / (of + prior))
}

/**
 * The band, asked in this order: no score, new, dormant, then by score.
 * @param lastActiveAt the last deed of the person, in whatever room; null when there was none
 */
export function bandOf(
  score: number | null,
  { mailings, lastActiveAt, now }: { mailings: number; lastActiveAt: number | null; now: number },
): Band | null {
  if (score === null) return null
  if (mailings < newBelow) return 'new'
  if (lastActiveAt === null || now - lastActiveAt > dormantAfter) return 'dormant'
  return bandThresholds.find(([, least]) => score >= least)?.[0] ?? 'fading'
}

/** The score as of thirty days before, with today's average; null when fewer than five mailings had been delivered then. */
export const scoreBefore = (sums: ScoreSums, average: number) =>
  sums.mailings < newBelow ? null : scoreOf(sums, average)

export interface ScoreLine {
  mailingId: number
  deliveredAt: number
  /** The mailing's best event and when it was; null when nothing was done. */
  best: DeedKind | null
  at: number | null
  ageDays: number
  /** After halving. */
  points: number
  of: number
}
export interface ScoreArithmetic {
  /** The newest mailing first. */
  lines: ScoreLine[]
  /** Everybody's average, with the weight of 5 mailings. */
  prior: { points: number; of: number }
  /** The lines and the prior together. */
  sum: { points: number; of: number }
  score: number | null
  band: Band | null
  /** The score thirty days earlier. */
  before: number | null
  trend: number | null
}

/**
 * How a score comes about, line by line, as people are shown it: 100 × sum.points ÷ sum.of is the score, as long as it
 * is no more than 100.
 */
export function scoreArithmetic({
  mailings,
  average,
  lastActiveAt,
  now,
}: {
  mailings: readonly ScoredMailing[]
  average: number
  lastActiveAt: number | null
  now: number
}): ScoreArithmetic {
  const lines = mailings
    .map((mailing) => lineOf(mailing, now))
    .sort((one, other) => other.deliveredAt - one.deliveredAt || other.mailingId - one.mailingId)
  const sums = scoreSums(mailings, now)
  const prior = { points: priorMailings * fullPoints * average, of: priorMailings * fullPoints }
  const score = scoreOf(sums, average)
  const before = scoreBefore(scoreSums(mailings, now - trendSpan, now - trendSpan), average)
  return {
    lines,
    prior,
    sum: { points: sums.points + prior.points, of: sums.of + prior.of },
    score,
    band: bandOf(score, { mailings: sums.mailings, lastActiveAt, now }),
    before,
    trend: score === null || before === null ? null : score - before,
  }
}

function lineOf({ mailingId, deliveredAt, deeds }: ScoredMailing, now: number): ScoreLine {
  const weight = weightOf(deliveredAt, now)
  const [best] = [...deeds].sort(
    (one, other) => deedPoints[other.kind] - deedPoints[one.kind] || one.at - other.at,
  )
  return {
    mailingId,
    deliveredAt,
    best: best?.kind ?? null,
    at: best?.at ?? null,
    ageDays: ageOf(deliveredAt, now) / dayLength,
    points: best ? deedPoints[best.kind] * weight : 0,
    of: fullPoints * weight,
  }
}
