import type { ReportNumbers } from '../../src/database/schema.js'
import { mailingBook, noNumbers } from '../../src/mailings/record.js'
import type { TestApp } from './app.js'
import { aContact, aList, aMailing, anEngagement } from './audience.js'

type App = Pick<TestApp, 'db' | 'clock' | 'audience'>
const hour = 3_600_000
const day = 24 * hour

/** What a provider says of a mailing at an instant: a snapshot too, where a number has changed. */
export async function aReport(
  { db }: Pick<TestApp, 'db'>,
  mailing: number,
  { at, ...told }: Partial<ReportNumbers> & { at: number },
) {
  await mailingBook(db).putReport(db, mailing, { ...noNumbers, ...told, checkedAt: at })
}

/** A mailing of EmailOctopus, told by its report alone. Rates are shares of one. */
export async function aReportedMailing(
  app: Pick<TestApp, 'db' | 'clock'>,
  {
    name,
    sentAt,
    lists = [],
    delivered = 1_000,
    open = 0.3,
    click = 0.05,
    from_address = 'maren@paperboat.example',
  }: {
    name: string
    sentAt: number
    lists?: number[]
    delivered?: number
    open?: number
    click?: number
    from_address?: string
  },
) {
  const mailing = await aMailing(app, {
    name,
    subject: name,
    sent_at: sentAt,
    provider: 'emailoctopus',
    from_address,
    list_id: lists.length === 1 ? lists[0]! : null,
  })
  if (lists.length > 1)
    await app.db
      .insertInto('mailing_lists')
      .values(lists.map((list_id) => ({ mailing_id: mailing.id, list_id })))
      .execute()
  const now = app.clock.now()
  for (const [hours, share] of [
    [1, 0.2],
    [6, 0.5],
    [24, 0.8],
    [72, 0.95],
    [240, 1],
  ] as const) {
    const at = sentAt + hours * hour
    if (at > now) break
    await aReport(app, mailing.id, {
      at,
      recipients: delivered + 20,
      deliveries: delivered,
      permanent_failures: 12,
      temporary_failures: 8,
      unique_opens: Math.round(delivered * open * share),
      opens: Math.round(delivered * open * share * 1.6),
      unique_clicks: Math.round(delivered * click * share),
      clicks: Math.round(delivered * click * share * 1.3),
      unsubscriptions: 3,
      complaints: 1,
    })
  }
  return mailing
}

/** A mailing of Buttondown to these people, told by events: of each hundred so many open and click. */
export async function anEngagedMailing(
  app: App,
  {
    name,
    sentAt,
    list = null,
    people,
    opened,
    clicked,
  }: {
    name: string
    sentAt: number
    list?: number | null
    people: number[]
    opened: number
    clicked: number
  },
) {
  const mailing = await aMailing(app, { name, subject: name, sent_at: sentAt, list_id: list })
  for (const [index, contactId] of people.entries()) {
    const about = { contactId, mailingId: mailing.id }
    await anEngagement(app, { ...about, kind: 'delivered', happenedAt: sentAt })
    if (index < opened)
      await anEngagement(app, { ...about, kind: 'opened', happenedAt: sentAt + (index + 0.5) * hour })
    if (index < clicked)
      await anEngagement(app, {
        ...about,
        kind: 'clicked',
        happenedAt: sentAt + (index + 1.5) * hour,
        url: 'https://bindery.example/notebooks',
      })
    if (index === people.length - 1)
      await anEngagement(app, { ...about, kind: 'opened', happenedAt: sentAt, userAgent: 'Mozilla/5.0' })
  }
  return mailing
}

/** A year of a newsletter of ours and of one that a provider alone tells of, a draft, and a project. */
export async function aMailedYear(app: App) {
  const now = app.clock.now()
  const letter = await aList(app)
  const partner = await aList(app, { name: 'Paperboat, all customers' })
  const people: number[] = []
  for (let index = 0; index < 10; index++)
    people.push((await aContact(app, { email: `reader${index}@fernmail.example` })).id)
  const ours = []
  for (let week = 7; week >= 0; week--)
    ours.push(
      await anEngagedMailing(app, {
        name: `Issue ${112 - week}, a rather long title that has to break somewhere`,
        sentAt: now - week * 7 * day - 2 * day,
        list: letter.id,
        people,
        opened: 4 + (week % 4),
        clicked: 1 + (week % 2),
      }),
    )
  const theirs = []
  for (let month = 11; month >= 0; month--)
    theirs.push(
      await aReportedMailing(app, {
        name: `Paperboat ${month + 1}`,
        sentAt: now - month * 30 * day - 5 * day,
        lists: month % 3 === 0 ? [letter.id, partner.id] : [partner.id],
        delivered: 2_000 + month * 90,
        open: 0.28 + (month % 5) / 50,
        click: 0.03 + (month % 3) / 100,
      }),
    )
  await app.db
    .insertInto('mailings')
    .values({
      provider: 'buttondown',
      provider_id: 'draft',
      name: 'A draft',
      status: 'draft',
      created_at: now,
    })
    .execute()
  const { id: partnerId } = await app.db
    .insertInto('partners')
    .values({ name: 'Paperboat', created_at: now })
    .returning('id')
    .executeTakeFirstOrThrow()
  const { id: project } = await app.db
    .insertInto('projects')
    .values({ partner_id: partnerId, name: 'Autumn', created_at: now })
    .returning('id')
    .executeTakeFirstOrThrow()
  await app.db
    .insertInto('project_ties')
    .values({ kind: 'list', thing_id: partner.id, project_id: project, tied_at: now })
    .execute()
  return { letter, partner, project, ours, theirs, people }
}
