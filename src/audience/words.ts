import { sql } from 'kysely'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { EngagementCounts } from '../database/schema.js'
import { type Calendar, dayLength } from '../web/calendar.js'
import { duration, number, plural } from '../web/formats.js'
import { type Counting, clicksOf, opensOf } from './counting.js'
import { engagementNumber } from './engagement-kinds.js'
import { mailingName } from './mailing-name.js'
import { noEngagements } from './receptions.js'

/** Why somebody is worth a word, in the order of the page. */
export const wordReasons = ['replied', 'rose', 'faded', 'left'] as const
export type WordReason = (typeof wordReasons)[number]

export interface Word {
  contact: number
  email: string
  name: string
  /** Plain sentences with the numbers that make the reason. */
  sentence: string
  /** The last that was told of it: who is done with this is not done with what is told later. null where time tells. */
  seen: number | null
}

/** So many people at most for each reason, those who matter most first. */
export const mostWords = 50

/** So many replies are looked at, the newest first. */
const mostReplies = 500

/** Points of the score within 30 days that are worth a word; the indexes of migration 0003 hold them too. */
export const swing = 15
/** Who is at least active now rose to something; who was at least active had something to fade from. */
export const worthwhile = 35
/** Days: what the score is compared over, and how far back replies and departures are looked at. */
export const trendDays = 30
export const replyDays = 14
export const leaveDays = 30
/** What makes an activity long: so many mailings, so many opens and clicks, so many days on the list. */
export const long = { mailings: 10, deeds: 10, days: 90 }

interface Scores {
  score: number | null
  score_before: number | null
  /** When a word was had about the same reason. */
  done_at: number | null
}

/**
 * Did somebody rise: by 15 points or more within 30 days, to 35 or more? Once a word was had it comes back only for a
 * rise that began afterwards, which 30 days of comparison can tell no sooner than 30 days later.
 */
export const hasRisen = ({ score, score_before, done_at }: Scores, now: number) =>
  score !== null &&
  score_before !== null &&
  score >= worthwhile &&
  score - score_before >= swing &&
  isNewTrend(done_at, now)

/** Did somebody fade: by 15 points or more within 30 days, from 35 or more? Done counts as in {@link hasRisen}. */
export const hasFaded = ({ score, score_before, done_at }: Scores, now: number) =>
  score !== null &&
  score_before !== null &&
  score_before >= worthwhile &&
  score_before - score >= swing &&
  isNewTrend(done_at, now)

const isNewTrend = (doneAt: number | null, now: number) =>
  doneAt === null || doneAt <= now - trendDays * dayLength

interface Departure {
  subscribed_at: number | null
  unsubscribed_at: number
  mailings: number
  opens: number
  clicks: number
  done_at: number | null
}

/**
 * Did somebody leave after long activity: within the last 30 days, after 90 days on the list or more (where that is
 * known), 10 mailings and 10 opens and clicks by the person? It comes back only for another departure after the word.
 */
export const hasLeft = (
  { subscribed_at, unsubscribed_at, mailings, opens, clicks, done_at }: Departure,
  now: number,
) =>
  unsubscribed_at >= now - leaveDays * dayLength &&
  (subscribed_at === null || unsubscribed_at - subscribed_at >= long.days * dayLength) &&
  mailings >= long.mailings &&
  opens + clicks >= long.deeds &&
  (done_at === null || unsubscribed_at > done_at)

interface Needs extends Counting {
  readers: Readers
  calendar: Calendar
  /** Milliseconds since 1970. */
  now: number
}

/** Everybody worth a word, by reason; of each at most {@link mostWords}, and whether there are more. */
export async function listWords(needs: Needs): Promise<Record<WordReason, { words: Word[]; more: boolean }>> {
  const [replied, rose, faded, left] = await Promise.all([
    whoReplied(needs),
    whoSwung(needs, 'rose'),
    whoSwung(needs, 'faded'),
    whoLeft(needs),
  ])
  return { replied: cut(replied), rose: cut(rose), faded: cut(faded), left: cut(left) }
}
const cut = (words: Word[]) => ({ words: words.slice(0, mostWords), more: words.length > mostWords })

/** Contacts with the instant of the last word about this reason; nobody who was erased or who complained. */
const people = (readers: Readers, reason: WordReason) =>
  readers
    .selectFrom('contacts')
    .leftJoin('contact_words', (join) =>
      join.onRef('contact_words.contact_id', '=', 'contacts.id').on('reason', '=', reason),
    )
    .select(['contacts.id', 'contacts.email', 'contacts.name', 'contact_words.done_at'])
    .where('erased_at', 'is', null)
    .where(({ eb, or }) => or([eb('contacts.status', 'is', null), eb('contacts.status', '!=', 'complained')]))

async function whoSwung(
  { readers, calendar, now, ...counting }: Needs,
  reason: 'rose' | 'faded',
): Promise<Word[]> {
  const difference = sql<number>`score - score_before`
  const rows = await people(readers, reason)
    .select(['score', 'score_before', 'last_active_at'])
    // In figures: as a parameter the threshold would not lead to the index, which holds those beyond it alone.
    .where(difference, reason === 'rose' ? '>=' : '<=', sql.lit(reason === 'rose' ? swing : -swing))
    .where(reason === 'rose' ? 'score' : 'score_before', '>=', worthwhile)
    .where(({ eb, or }) => or([eb('done_at', 'is', null), eb('done_at', '<=', now - trendDays * dayLength)]))
    .orderBy(difference, reason === 'rose' ? 'desc' : 'asc')
    .orderBy('contacts.id')
    .limit(mostWords + 1)
    .execute()
  const found = rows.filter((row) => (reason === 'rose' ? hasRisen : hasFaded)(row, now))
  const since = calendar.shift(calendar.dayOf(now), -trendDays)
  const deeds =
    reason === 'rose'
      ? await readers
          .selectFrom('contact_days')
          .select(({ fn }) => [
            'contact_id',
            fn.sum<number>('opens').as('opens'),
            fn.sum<number>('clicks').as('clicks'),
            fn.sum<number>('unjudged_opens').as('unjudged_opens'),
            fn.sum<number>('unjudged_clicks').as('unjudged_clicks'),
            fn.sum<number>('proxy_opens').as('proxy_opens'),
            fn.sum<number>('machine_opens').as('machine_opens'),
            fn.sum<number>('machine_clicks').as('machine_clicks'),
          ])
          .where(({ ref }) =>
            isAmong(
              ref('contact_id'),
              found.map(({ id }) => id),
            ),
          )
          .where('day_on', '>', since)
          .groupBy('contact_id')
          .execute()
      : []
  const deedsOf = new Map(deeds.map((row) => [row.contact_id, row]))
  return found.map((row) => ({
    contact: row.id,
    email: row.email,
    name: row.name,
    seen: null,
    sentence:
      reason === 'rose'
        ? roseSentence(row.score_before!, row.score!, deedsOf.get(row.id) ?? noEngagements, counting)
        : fadedSentence(row.score_before!, row.score!, row.last_active_at, now),
  }))
}

/** Opens and clicks, and what of them cannot be judged or is a machine's. */
type Deeds = Omit<EngagementCounts, 'replies'>

/** "4 opens and 6 clicks" as a page counts them. */
const deedWords = (deeds: Deeds, counting: Counting) =>
  `${plural(opensOf(deeds, counting), 'open', 'opens')} and ` +
  plural(clicksOf(deeds, counting), 'click', 'clicks')

/** " 3 opens and 1 click of these cannot be judged. 2 opens by mail proxies or machines are left out."; empty where all is plain. */
function remarks(deeds: Deeds, counting: Counting): string {
  const some = (opens: number, clicks: number) =>
    [opens > 0 && plural(opens, 'open', 'opens'), clicks > 0 && plural(clicks, 'click', 'clicks')]
      .filter((part) => part !== false)
      .join(' and ')
  const unjudged = some(deeds.unjudged_opens, deeds.unjudged_clicks)
  const machines = some(deeds.proxy_opens + deeds.machine_opens, deeds.machine_clicks)
  return (
    (unjudged && ` Of these, ${unjudged} cannot be judged.`) +
    (machines &&
      ` ${counting.machines ? 'Counted in' : 'Left out'}: ${machines} by machines or mail proxies.`)
  )
}

/** "The score rose from 31 to 58 within 30 days, with 4 opens and 6 clicks.", and {@link remarks}. The score is people's. */
export const roseSentence = (before: number, after: number, deeds: Deeds, counting: Counting) =>
  `The score rose from ${number(before)} to ${number(after)} within ${trendDays} days, with ` +
  `${deedWords(deeds, counting)}.${remarks(deeds, counting)}`

/** "The score fell from 62 to 41 within 30 days. The last sign of life was 24 days ago." */
export const fadedSentence = (before: number, after: number, lastAt: number | null, now: number) =>
  `The score fell from ${number(before)} to ${number(after)} within ${trendDays} days. ` +
  (lastAt === null ? 'There was no open or click yet.' : `The last sign of life was ${past(lastAt, now)}.`)

async function whoReplied({ readers, now }: Needs): Promise<Word[]> {
  const rows = await people(readers, 'replied')
    .innerJoin('engagements', 'engagements.contact_id', 'contacts.id')
    .leftJoin('mailings', 'mailings.id', 'engagements.mailing_id')
    .select(['engagements.id as told', 'engagements.happened_at', 'engagements.mailing_id'])
    .select('mailings.name as mailing')
    .where('engagements.kind', '=', engagementNumber('replied'))
    .where('engagements.happened_at', '>=', now - replyDays * dayLength)
    .where('engagements.verdict', '<', 2)
    .where(({ eb, or, and, ref }) =>
      or([
        eb('done_at', 'is', null),
        eb('engagements.id', '>', ref('seen_id')),
        and([eb('seen_id', 'is', null), eb('engagements.happened_at', '>', ref('done_at'))]),
      ]),
    )
    .orderBy('engagements.happened_at', 'desc')
    .orderBy('engagements.id', 'desc')
    .limit(mostReplies)
    .execute()
  const byContact = new Map<number, typeof rows>()
  for (const row of rows) byContact.set(row.id, [...(byContact.get(row.id) ?? []), row])
  return [...byContact.values()].map((replies) => {
    const last = replies[0]!
    return {
      contact: last.id,
      email: last.email,
      name: last.name,
      sentence: repliedSentence(replies.length, mailingName(last), last.happened_at, now),
      seen: Math.max(...replies.map(({ told }) => told)),
    }
  })
}

/** "Replied to Issue 112 2 days ago." or "Replied 3 times within 14 days, the last time to Issue 112 2 days ago." */
export const repliedSentence = (replies: number, mailing: string, lastAt: number, now: number) =>
  replies === 1
    ? `Replied to ${mailing} ${past(lastAt, now)}.`
    : `Replied ${number(replies)} times within ${replyDays} days, the last time to ${mailing} ${past(lastAt, now)}.`

async function whoLeft({ readers, now, ...counting }: Needs): Promise<Word[]> {
  const rows = await people(readers, 'left')
    .innerJoin('subscriptions', 'subscriptions.contact_id', 'contacts.id')
    .innerJoin('lists', 'lists.id', 'subscriptions.list_id')
    .select(['lists.name as list', 'subscriptions.subscribed_at', 'unsubscribed_at'])
    .select(['subscriptions.status', 'mailings', 'opens', 'clicks', 'unjudged_opens', 'unjudged_clicks'])
    .select(['proxy_opens', 'machine_opens', 'machine_clicks'])
    // Whoever was deleted there has no status in the provider's words any more; whom the author banned has.
    .where(({ eb, or, and }) =>
      or([
        eb('subscriptions.status', '=', 'unsubscribed'),
        and([eb('subscriptions.status', '=', 'removed'), eb('provider_status', '=', '')]),
      ]),
    )
    .where('unsubscribed_at', '>=', now - leaveDays * dayLength)
    .where('mailings', '>=', long.mailings)
    .where(({ eb }) => eb(eb('opens', '+', eb.ref('clicks')), '>=', long.deeds))
    .where(({ eb, or, ref }) => or([eb('done_at', 'is', null), eb('unsubscribed_at', '>', ref('done_at'))]))
    .orderBy('unsubscribed_at', 'desc')
    .orderBy('contacts.id')
    // One person may have left several lists, or one that was joined only lately: look a little further.
    .limit(mostWords * 4)
    .execute()
  const words = new Map<number, Word>()
  for (const { unsubscribed_at, ...row } of rows)
    if (unsubscribed_at !== null && hasLeft({ ...row, unsubscribed_at }, now) && !words.has(row.id))
      words.set(row.id, {
        contact: row.id,
        email: row.email,
        name: row.name,
        sentence: leftSentence({ ...row, unsubscribed_at }, counting, now),
        seen: null,
      })
  return [...words.values()]
}

/**
 * "Left Slow Mornings 3 days ago, after 14 months, 45 mailings, 30 opens and 31 clicks.", or "Was deleted from …" where
 * nobody can tell who did it.
 */
export function leftSentence(
  departure: Omit<Departure, 'done_at'> & Deeds & { list: string; status: string },
  counting: Counting,
  now: number,
) {
  const { list, status, subscribed_at, unsubscribed_at, mailings } = departure
  const stayed = subscribed_at === null ? [] : [span(unsubscribed_at - subscribed_at)]
  const counted = [...stayed, plural(mailings, 'mailing', 'mailings'), deedWords(departure, counting)]
  const how = status === 'removed' ? 'Was deleted from' : 'Left'
  return `${how} ${list} ${past(unsubscribed_at, now)}, after ${counted.join(', ')}.${remarks(departure, counting)}`
}

const past = (at: number, now: number) => (now - at < 1000 ? 'just now' : `${duration(now - at)} ago`)
const month = 30.44 * dayLength
/** 90 days, 14 months, 3 years. */
const span = (length: number) =>
  length < 3 * month
    ? duration(length)
    : length < 36 * month
      ? plural(Math.round(length / month), 'month', 'months')
      : plural(Math.floor(length / (12 * month)), 'year', 'years')

/**
 * A word was had: the person leaves this part of the page until there is something newer.
 * @param seen what the page showed, see {@link Word}
 */
export async function wordHad(
  db: Db,
  { contact, reason, by, now, seen }: DoneWord & { reason: WordReason; now: number },
) {
  const word = { done_at: now, done_by: by, seen_id: seen }
  await db
    .insertInto('contact_words')
    .values({ contact_id: contact, reason, ...word })
    .onConflict((conflict) => conflict.columns(['contact_id', 'reason']).doUpdateSet(word))
    .execute()
}
interface DoneWord {
  contact: number
  by: number
  seen: number | null
}
