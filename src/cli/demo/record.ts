import type { Countries } from '../../audience/countries.js'
import { agentBook } from '../../audience/devices.js'
import { addressKeeper } from '../../audience/internet-addresses.js'
import { kindNumber } from '../../campaigns/kinds.js'
import { rebuildCounts } from '../../campaigns/rebuild.js'
import { settledSetting } from '../../campaigns/record.js'
import {
  AddressRates,
  burstsAmong,
  type Click,
  hasteWindow,
  judge,
  reason,
  settlingTime,
} from '../../campaigns/verdict.js'
import { compiled } from '../../database/compiled.js'
import type { Db } from '../../database/open.js'
import type { NewRow } from '../../database/schema.js'
import { writeSetting } from '../../database/settings.js'
import type { Calendar } from '../../web/calendar.js'
import type { Happening } from './history.js'
import type { Story } from './stories.js'

const day = 86_400_000

interface Needs {
  db: Db
  calendar: Calendar
  countryOf: Countries
  /** Who made the campaigns. */
  account: number
  now: number
}

/** Makes the campaigns of the stories. @returns their ids, in the order of the stories */
export async function recordCampaigns(stories: Story[], { db, account, now }: Needs): Promise<number[]> {
  const ids: number[] = []
  for (const story of stories) {
    // The newest was made just now and waits for its first event.
    const madeAt = story.madeDaysAgo === 0 ? now - 20 * 60_000 : now - story.madeDaysAgo * day
    const archivedAt = story.archivedDaysAgo === undefined ? null : now - story.archivedDaysAgo * day
    const { id } = await db
      .insertInto('campaigns')
      .values({
        name: story.name,
        offer_url: story.offer,
        write_key: `demo-${story.name.toLowerCase().replace(/\W+/g, '-').slice(0, 18)}`,
        needs_key: story.needsKey ? 1 : 0,
        archived_at: archivedAt,
        deleted_at: null,
        created_at: madeAt,
        created_by: account,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    const before = story.offersBefore ?? []
    const offers = before.map(({ url }, index) => ({
      offer_url: url,
      since_at: index === 0 ? madeAt : now - before[index]!.daysAgo * day,
    }))
    // The present offer holds since a third of the way from the last one to now.
    const sinceAt = before.length === 0 ? madeAt : now - Math.floor((before.at(-1)!.daysAgo * 2 * day) / 3)
    offers.push({ offer_url: story.offer, since_at: sinceAt })
    await db
      .insertInto('campaign_offers')
      .values(offers.map((offer) => ({ campaign_id: id, ...offer })))
      .execute()
    ids.push(id)
  }
  return ids
}

/**
 * Writes what happened, judged by the rules of the event door, and counts it. A recorder would take each event on its
 * own; this knows them all beforehand, and ends with the same rows.
 * @param happenings in order
 */
export async function recordHistory(happenings: Happening[], campaigns: number[], needs: Needs) {
  const { db, calendar, now } = needs
  const rows = await db.transaction().execute((tx) => rowsOf(tx, happenings, campaigns, needs))
  judgeAll(rows)
  const insert = compiled<Required<EventRow>>((value) =>
    db.insertInto('events').values({
      id: value('id'),
      campaign_id: value('campaign_id'),
      contact_id: value('contact_id'),
      domain_id: value('domain_id'),
      kind: value('kind'),
      happened_at: value('happened_at'),
      caller_id: value('caller_id'),
      link: value('link'),
      address: value('address'),
      user_agent_id: value('user_agent_id'),
      country: value('country'),
      device: value('device'),
      extra: value('extra'),
      verdict: value('verdict'),
      reasons: value('reasons'),
    }),
  )
  const settled = rows.findLast((row) => row.happened_at <= now - settlingTime)
  await db.transaction().execute(async (tx) => {
    for (const { machine: _, ...row } of rows) await insert(tx, row)
    await writeSetting(tx, settledSetting, String(settled?.id ?? 0))
  })
  await rebuildCounts(db, calendar)
}

type EventRow = Omit<NewRow<'events'>, 'id'> & { id: number }
type JudgedRow = Required<EventRow> & { machine: boolean }

async function rowsOf(tx: Db, happenings: Happening[], campaigns: number[], { db, countryOf }: Needs) {
  const agents = agentBook(db)
  const addresses = addressKeeper()
  const contacts = new Map<string, number>()
  const domains = new Map<string, number>()
  const contactOf = compiled<{ email: string; at: number }, { id: number }>((value) =>
    db
      .insertInto('contacts')
      .values({ email: value('email'), created_at: value('at') })
      .returning('id'),
  )
  const rows: JudgedRow[] = []
  for (const { at, story, kind, reader, domain, link, address, userAgent, extra, callerId } of happenings) {
    let contact = contacts.get(reader.email)
    if (contact === undefined) {
      contact = (await contactOf(tx, { email: reader.email, at })).rows[0]!.id
      contacts.set(reader.email, contact)
    }
    let domainId = domains.get(domain)
    if (domainId === undefined) {
      const added = tx.insertInto('sending_domains').values({ name: domain, created_at: at }).returning('id')
      domainId = (await added.executeTakeFirstOrThrow()).id
      domains.set(domain, domainId)
    }
    const agent = userAgent === null ? null : await agents.findOrAdd(tx, userAgent)
    rows.push({
      id: rows.length + 1,
      campaign_id: campaigns[story]!,
      contact_id: contact,
      domain_id: domainId,
      kind: kindNumber(kind),
      happened_at: at,
      caller_id: callerId,
      link,
      address: await addresses.keep(tx, address, at),
      user_agent_id: agent?.id ?? null,
      country: countryOf(address),
      device: agent?.device ?? null,
      extra: extra === null ? null : JSON.stringify(extra),
      verdict: 0,
      reasons: 0,
      machine: agent?.machine ?? false,
    })
  }
  return rows
}

/** The rules of src/campaigns/verdict.ts over all events at once. @param rows in order */
function judgeAll(rows: JudgedRow[]) {
  const clicks = new Map<number, Click[]>()
  for (const row of rows) {
    if (row.kind !== kindNumber('email_click')) continue
    const own = clicks.get(row.contact_id)
    if (own) own.push(row)
    else clicks.set(row.contact_id, [row])
  }
  const bursts = new Set<number>()
  for (const own of clicks.values()) for (const id of burstsAmong(own)) bursts.add(id)

  const rates = new AddressRates()
  for (const row of rows) {
    if (row.machine) row.reasons |= reason.agent
    if (bursts.has(row.id)) row.reasons |= reason.burst
    if (row.address !== null) {
      if (rates.exceeds(row.address, row.happened_at)) row.reasons |= reason.rate
      rates.add(row.address, row.happened_at)
    }
    const hasty =
      row.kind === kindNumber('landing_click') &&
      clicks
        .get(row.contact_id)
        ?.some(
          (click) =>
            click.campaign_id === row.campaign_id &&
            click.id < row.id &&
            row.happened_at - click.happened_at < hasteWindow,
        )
    if (hasty) row.reasons |= reason.haste
    row.verdict = judge(row.reasons)
  }
}
