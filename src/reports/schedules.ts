import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Row } from '../database/schema.js'
import type { Calendar } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import { clockCalendar, definitionOf, type ReportDefinition } from './definition.js'
import { addressesIn } from './recipients.js'
import { nextDue, type Rule, ruleWords } from './schedule-rules.js'
import { chosenOf } from './subjects.js'

export type Schedule = Row<'report_schedules'>

/** What a person chooses of a schedule. */
export interface ScheduleChoice extends Rule {
  recipients: string[]
}

const rowOf = ({ kind, day, minute, recipients }: ScheduleChoice) => ({
  kind,
  day,
  minute,
  recipients: recipients.join('\n'),
})

/** @param now milliseconds; what was due before is none of its business */
export const createSchedule = (
  db: Db,
  reportId: number,
  choice: ScheduleChoice,
  { by, now }: { by: number | null; now: number },
) =>
  db
    .insertInto('report_schedules')
    .values({ report_id: reportId, ...rowOf(choice), since_at: now, created_at: now, created_by: by })
    .returning('id')
    .executeTakeFirstOrThrow()

/** What was due before the change is none of its business any more. */
export async function editSchedule(db: Db, id: number, choice: ScheduleChoice, now: number) {
  await db
    .updateTable('report_schedules')
    .set({ ...rowOf(choice), since_at: now })
    .where('id', '=', id)
    .execute()
}

/** Pauses a schedule, or takes it up again: what was due meanwhile is not made up for. */
export async function pauseSchedule(db: Db, id: number, { paused, now }: { paused: boolean; now: number }) {
  await db
    .updateTable('report_schedules')
    .set(paused ? { paused_at: now } : { paused_at: null, since_at: now })
    .where('id', '=', id)
    .execute()
}

/** Deletes a schedule. What it rendered and sent stays; a run that waits for its next try is given up. */
export async function deleteSchedule(db: Db, id: number) {
  await db.transaction().execute(async (tx) => {
    await tx.deleteFrom('report_runs').where('schedule_id', '=', id).where('state', '=', 'waiting').execute()
    await tx.deleteFrom('report_schedules').where('id', '=', id).execute()
  })
}

/** @throws NotFound when this report has no such schedule */
export async function getSchedule(db: Db | Readers, reportId: number, id: string): Promise<Schedule> {
  const row = /^[1-9]\d{0,14}$/.test(id)
    ? await db
        .selectFrom('report_schedules')
        .selectAll()
        .where('id', '=', Number(id))
        .where('report_id', '=', reportId)
        .executeTakeFirst()
    : undefined
  if (!row) throw new NotFound('This report has no such schedule.')
  return row
}

/** Every Monday at 08:30, with the time zone where it is the report's own: (Asia/Tokyo). */
export function scheduleWords(
  rule: Rule,
  definition: Pick<ReportDefinition, 'timeZone'>,
  installation: Calendar,
) {
  const { timeZone } = clockCalendar(definition, installation)
  return `${ruleWords(rule)}${timeZone === installation.timeZone ? '' : ` (${timeZone})`}`
}

/** The schedules of a report, or of all reports that are in sight, in words and with the next time that they are due. */
export async function listSchedules(
  { db, calendar, now }: { db: Db; calendar: Calendar; now: () => number },
  reportId?: number,
) {
  const rows = await db
    .selectFrom('report_schedules')
    .innerJoin('reports', 'reports.id', 'report_schedules.report_id')
    .selectAll('report_schedules')
    .select('definition')
    .where('archived_at', 'is', null)
    .$if(reportId !== undefined, (query) => query.where('report_id', '=', reportId!))
    .orderBy('report_schedules.id')
    .execute()
  return Promise.all(
    rows.map(async ({ definition: json, ...row }) => {
      const definition = definitionOf(json)
      return {
        ...row,
        words: scheduleWords(row, definition, calendar),
        addresses: addressesIn(row.recipients),
        nextAt:
          row.paused_at === null
            ? nextDue(clockCalendar(definition, calendar), row, {
                after: Math.max(now(), row.since_at),
                sentAt: row.kind === 'after-mailing' ? await sentTimes(db, definition) : [],
              })
            : null,
      }
    }),
  )
}

/** When the mailings were sent that a report is about: those chosen, those of its project, and those to its lists. */
export async function sentTimes(db: Db, definition: ReportDefinition): Promise<number[]> {
  const [mailings, lists] = await Promise.all([
    chosenOf({ db }, 'mailing', definition),
    chosenOf({ db }, 'list', definition),
  ])
  const wanted = new Set(mailings.ids)
  if (lists.ids.length > 0) {
    const toLists = await db
      .selectFrom('mailing_lists')
      .select('mailing_id')
      .where('list_id', 'in', lists.ids)
      .execute()
    const isForeign = (id: number) => {
      const owner = mailings.owners.get(id)
      return owner && definition.partner !== null && owner.partner_id !== definition.partner
    }
    for (const { mailing_id } of toLists)
      if (definition.withOthers || !isForeign(mailing_id)) wanted.add(mailing_id)
  }
  if (wanted.size === 0) return []
  const sent = await db
    .selectFrom('mailings')
    .select(['id', 'sent_at'])
    .where('sent_at', 'is not', null)
    .execute()
  return sent.filter(({ id }) => wanted.has(id)).map(({ sent_at }) => sent_at!)
}
