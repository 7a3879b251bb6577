import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { isDay } from '../mailings/mailing-filter.js'
import { type ListedMailing, listAllMailings } from '../mailings/mailing-list.js'
import { usualMailings } from '../mailings/mailing-usual.js'
import type { Mailing } from '../mailings/queries.js'
import type { KindName, TiedKinds } from '../partners/kinds.js'
import { type Calendar, mondayOf } from '../web/calendar.js'
import { plural } from '../web/formats.js'
import { isNarrowed, type Period, type ReportDefinition } from './definition.js'
import { narrowedIds, narrowMailings } from './people.js'

interface Needs {
  db: Db
  readers: Readers
  kinds: TiedKinds
  calendar: Calendar
}

export interface Named {
  id: number
  name: string
}

/** What a report is about once everything that was chosen has been looked up. */
export interface Found {
  /** Sent in the period, the first sent first; in the numbers of whoever it is narrowed to. */
  mailings: Mailing[]
  /** The mailings before them that their rates are compared with, the latest first, and what they are in words. */
  earlier: Mailing[]
  earlierWords: string
  campaigns: (Named & { created_at: number })[]
  /** The partner's campaigns before. */
  earlierCampaigns: Named[]
  lists: Named[]
  offers: Named[]
  period: { from: string; to: string }
  /** Is the period the whole time there is something of? */
  isWhole: boolean
  /** Contacts it is narrowed to, in pages of ids; null: everybody. */
  contacts: number[][] | null
  notes: string[]
}

/**
 * The first and the last day of a period.
 * @param first the first day of which there is anything
 */
function daysOf(
  { kind, days, from, to }: Period,
  { calendar, now, first }: { calendar: Calendar; now: number; first: string },
): { from: string; to: string } {
  const today = calendar.dayOf(now)
  if (kind === 'days') return { from: calendar.shift(today, 1 - days), to: today }
  // A preview is shown beside what is typed, also where that is no day.
  if (kind === 'dates') return { from: isDay(from) ? from : first, to: isDay(to) ? to : today }
  if (kind === 'week') {
    const monday = mondayOf(today)
    return { from: calendar.shift(monday, -7), to: calendar.shift(monday, -1) }
  }
  if (kind === 'month') {
    const last = calendar.shift(`${today.slice(0, 7)}-01`, -1)
    return { from: `${last.slice(0, 7)}-01`, to: last }
  }
  return { from: first < today ? first : today, to: today }
}

/** Which project, and so which partner, the things of a kind belong to. */
async function ownersOf(db: Db | Readers, kind: KindName) {
  const rows = await db
    .selectFrom('project_ties')
    .innerJoin('projects', 'projects.id', 'project_ties.project_id')
    .select(['thing_id', 'project_id', 'partner_id'])
    .where('kind', '=', kind)
    .execute()
  return new Map(rows.map(({ thing_id, ...owner }) => [thing_id, owner]))
}
export type Owners = Awaited<ReturnType<typeof ownersOf>>

/**
 * Things of one kind that a report is about: those that were chosen, and those of its project. What belongs to another
 * partner is left out, unless that was switched on; it may have moved there since it was chosen.
 */
export async function chosenOf(
  { db }: Pick<Needs, 'db'>,
  kind: KindName,
  { subjects, partner, withOthers }: Pick<ReportDefinition, 'subjects' | 'partner' | 'withOthers'>,
): Promise<{ ids: number[]; foreign: number[]; owners: Owners }> {
  const owners = await ownersOf(db, kind)
  const chosen = new Set(subjects[`${kind}s`])
  if (subjects.project !== null)
    for (const [thing, owner] of owners) if (owner.project_id === subjects.project) chosen.add(thing)
  const isForeign = (id: number) => {
    const owner = owners.get(id)
    return partner !== null && owner !== undefined && owner.partner_id !== partner && !withOthers
  }
  const all = [...chosen]
  return { ids: all.filter((id) => !isForeign(id)), foreign: all.filter(isForeign), owners }
}

/** Looks up what a report is about. @param now milliseconds: the instant it is as of */
export async function findSubjects(
  { db, readers, kinds, calendar }: Needs,
  definition: ReportDefinition,
  now: number,
): Promise<Found> {
  const { partner, withOthers } = definition
  const [campaigns, mailings, lists, offers] = await Promise.all([
    chosenOf({ db }, 'campaign', definition),
    chosenOf({ db }, 'mailing', definition),
    chosenOf({ db }, 'list', definition),
    chosenOf({ db }, 'offer', definition),
  ])
  const notes: string[] = []
  const named = async (kind: KindName, { ids }: { ids: number[] }): Promise<Named[]> =>
    ids.length === 0
      ? []
      : (await kinds.get(kind).find(db, ids))
          .map(({ id, name }) => ({ id, name }))
          .sort((one, other) => one.id - other.id)
  const [foundLists, foundOffers, foundCampaigns, all] = await Promise.all([
    named('list', lists),
    named('offer', offers),
    campaigns.ids.length === 0
      ? []
      : db
          .selectFrom('campaigns')
          .select(['id', 'name', 'created_at'])
          .where('id', 'in', campaigns.ids)
          .where('deleted_at', 'is', null)
          .orderBy('id')
          .execute(),
    mailings.ids.length > 0 || lists.ids.length > 0 || definition.subjects.project !== null
      ? listAllMailings(readers, { machines: false })
      : [],
  ])

  // Where mailings are chosen, a campaign's report is of those; a list brings its mailings to the others.
  const bringsMailings = mailings.ids.length === 0 || !['campaign', 'promo'].includes(definition.template)
  const ofLists = new Set(bringsMailings ? foundLists.map(({ id }) => id) : [])
  const wanted = new Set(mailings.ids)
  const projects = new Set(partner === null ? [] : await projectsOfPartner(db, partner))
  // A list brings the mailings that went to it, and one that is tied to nobody is its list's partner's.
  const isTheirs = (mailing: ListedMailing) =>
    partner !== null &&
    !withOthers &&
    mailing.projects.length > 0 &&
    !mailing.projects.some(({ id }) => projects.has(id))
  const about = all.filter(
    (mailing) =>
      mailing.sent_at !== null &&
      !isTheirs(mailing) &&
      (wanted.has(mailing.id) || mailing.lists.some(({ id }) => ofLists.has(id))),
  )
  const foreign =
    [campaigns, mailings, lists, offers].reduce((sum, { foreign }) => sum + foreign.length, 0) +
    all.filter((mailing) => wanted.has(mailing.id) && isTheirs(mailing)).length
  if (foreign > 0)
    notes.push(
      `${plural(foreign, 'thing that was chosen belongs', 'things that were chosen belong')} to another partner and ${foreign === 1 ? 'is' : 'are'} left out.`,
    )
  const first = await firstDay(
    { db, readers, calendar },
    { mailings: about, campaigns: foundCampaigns, lists: foundLists, offers: foundOffers, now },
  )
  const period = daysOf(definition.period, { calendar, now, first })
  const [from, until] = [calendar.startOf(period.from), calendar.startOf(calendar.shift(period.to, 1))]
  const isWhole = period.from <= first && period.to >= calendar.dayOf(now)
  const inTime = about.filter(({ sent_at }) => sent_at! >= from && sent_at! < until && sent_at! <= now)
  const outOfTime =
    about.filter(({ id }) => wanted.has(id)).length - inTime.filter(({ id }) => wanted.has(id)).length
  if (outOfTime > 0)
    notes.push(
      `${plural(outOfTime, 'mailing that was chosen was', 'mailings that were chosen were')} not sent in this period and ${outOfTime === 1 ? 'is' : 'are'} left out.`,
    )
  inTime.sort((one, other) => one.sent_at! - other.sent_at! || one.id - other.id)

  const { earlier, earlierWords } = mailingsBeforeThese(all, inTime, { partner, projects })
  const earlierCampaigns =
    partner === null || foundCampaigns.length === 0
      ? []
      : await campaignsBefore(db, foundCampaigns, campaigns.owners, partner)

  const found: Found = {
    mailings: inTime,
    earlier,
    earlierWords,
    campaigns: foundCampaigns,
    earlierCampaigns,
    lists: foundLists,
    offers: foundOffers,
    period,
    isWhole,
    contacts: null,
    notes,
  }
  if (!isNarrowed(definition.narrowing)) return found
  const contacts: number[][] = []
  for await (const page of narrowedIds({ readers, now }, definition.narrowing)) contacts.push(page)
  const people = contacts.reduce((sum, page) => sum + page.length, 0)
  const [narrowed, before] = await Promise.all([
    narrowMailings(readers, inTime, contacts),
    narrowMailings(readers, earlier, contacts),
  ])
  notes.push(
    `Narrowed to ${await narrowedWords(db, definition)}: ${plural(people, 'contact', 'contacts')} today.`,
  )
  return {
    ...found,
    mailings: narrowed,
    earlier: before.filter(({ people }) => people.delivered > 0),
    contacts,
  }
}

/** What a report is narrowed to, in words. */
async function narrowedWords(db: Db, { narrowing }: Pick<ReportDefinition, 'narrowing'>) {
  const words: string[] = []
  if (narrowing.tag !== '') words.push(`the tag ${narrowing.tag}`)
  if (narrowing.segment > 0) {
    const row = await db
      .selectFrom('segments')
      .select('name')
      .where('id', '=', narrowing.segment)
      .executeTakeFirst()
    words.push(row ? `the segment ${row.name}` : 'a segment that is gone')
  }
  if (narrowing.field !== '') words.push(`${narrowing.field} = ${narrowing.value}`)
  return words.join(' and ')
}

/** The first day of which there is anything to tell. */
async function firstDay(
  { db, readers, calendar }: Pick<Needs, 'db' | 'readers' | 'calendar'>,
  {
    mailings,
    campaigns,
    lists,
    offers,
    now,
  }: { mailings: ListedMailing[]; now: number } & Record<'campaigns' | 'lists' | 'offers', Named[]>,
) {
  const idsOf = (things: Named[]) => things.map(({ id }) => id)
  const days = mailings.map(({ sent_at }) => calendar.dayOf(sent_at!))
  if (campaigns.length > 0) {
    const { first } = await db
      .selectFrom('campaign_days')
      .select(({ fn }) => fn.min<string | null>('day_on').as('first'))
      .where('campaign_id', 'in', idsOf(campaigns))
      .executeTakeFirstOrThrow()
    if (first !== null) days.push(first)
  }
  if (lists.length > 0) {
    const { first } = await readers
      .selectFrom('subscription_changes')
      .select(({ fn }) => fn.min<number | null>('changed_at').as('first'))
      .where('list_id', 'in', idsOf(lists))
      .executeTakeFirstOrThrow()
    if (first !== null) days.push(calendar.dayOf(first))
  }
  if (offers.length > 0) {
    const { first } = await readers
      .selectFrom('promo_days')
      .select(({ fn }) => fn.min<string | null>('day_on').as('first'))
      .where('offer_id', 'in', idsOf(offers))
      .executeTakeFirstOrThrow()
    if (first !== null) days.push(first)
  }
  return days.length === 0 ? calendar.dayOf(now) : days.sort()[0]!
}

async function projectsOfPartner(db: Db, partner: number) {
  const rows = await db.selectFrom('projects').select('id').where('partner_id', '=', partner).execute()
  return rows.map(({ id }) => id)
}

/**
 * With a partner, its own mailings before these; without one, those that went to the same lists before. Those whose numbers
 * are somebody else's are left out, as on the page of a mailing: a provider's opens hold machines that ours do not.
 */
function mailingsBeforeThese(
  all: readonly ListedMailing[],
  these: readonly ListedMailing[],
  { partner, projects }: { partner: number | null; projects: Set<number> },
) {
  if (these.length === 0) return { earlier: [], earlierWords: '' }
  const first = these[0]!.sent_at!
  const own = new Set(these.map(({ id }) => id))
  const bases = new Set(these.map(({ basis }) => basis))
  const lists = new Set(these.flatMap((mailing) => mailing.lists.map(({ id }) => id)))
  const isAlike = (mailing: ListedMailing) =>
    partner === null
      ? mailing.lists.some(({ id }) => lists.has(id))
      : mailing.projects.some(({ id }) => projects.has(id))
  const earlier = all
    .filter(
      (mailing) =>
        mailing.sent_at !== null &&
        mailing.sent_at < first &&
        !own.has(mailing.id) &&
        bases.has(mailing.basis) &&
        mailing.people.delivered > 0 &&
        isAlike(mailing),
    )
    .sort((one, other) => other.sent_at! - one.sent_at! || other.id - one.id)
    .slice(0, usualMailings)
  const whose = `${partner === null ? 'to the same lists' : 'of yours'} before${earlier.length > 1 ? ', on average' : ''}`
  return {
    earlier,
    earlierWords: earlier.length === 0 ? '' : `${plural(earlier.length, 'mailing', 'mailings')} ${whose}`,
  }
}

async function campaignsBefore(
  db: Db,
  these: readonly { id: number; created_at: number }[],
  owners: Owners,
  partner: number,
): Promise<Named[]> {
  const own = new Set(these.map(({ id }) => id))
  const ids = [...owners].flatMap(([id, owner]) => (owner.partner_id === partner && !own.has(id) ? [id] : []))
  if (ids.length === 0) return []
  return db
    .selectFrom('campaigns')
    .select(['id', 'name'])
    .where('id', 'in', ids)
    .where('deleted_at', 'is', null)
    .where('created_at', '<', Math.min(...these.map(({ created_at }) => created_at)))
    .orderBy('id', 'desc')
    .limit(usualMailings)
    .execute()
}
