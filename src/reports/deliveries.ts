import { type SelectQueryBuilder, sql } from 'kysely'
import type { Logger } from 'pino'
import type { Db } from '../database/open.js'
import type { Row, Tables } from '../database/schema.js'
import { MailFailed } from '../mail/errors.js'
import type { Mailer } from '../mail/mailer.js'
import type { Calendar } from '../web/calendar.js'
import { HttpError, NotFound } from '../web/errors.js'
import type { Rendering } from './archive.js'
import { clockCalendar, definitionOf } from './definition.js'
import type { Press } from './pdf/press.js'
import { addressesIn, calledOff, erasedRecipient } from './recipients.js'
import { fileNameOf, type Reports, titleOf } from './reports.js'
import { lastDue } from './schedule-rules.js'
import { sentTimes } from './schedules.js'

interface Needs {
  db: Db
  reports: Pick<Reports, 'render' | 'rendering' | 'documentOf' | 'summaryOf'>
  press: Pick<Press, 'print'>
  mailer: Pick<Mailer, 'send'>
  calendar: Calendar
  log: Logger
  now: () => number
}

const minute = 60_000
/** Milliseconds to the next try, after the first that failed, the second, and so on; after the last it is given up. */
export const pauses = [1, 5, 15, 60, 240, 720].map((minutes) => minutes * minute)

/** As many renderings and letters as one turn takes on, so that one full of them does not keep a shutdown waiting. */
const perTurn = 50
/** Milliseconds after which a turn begins no more letters: a mail server that says nothing must not hold up what is due. */
const letterTime = 45_000

/**
 * Renders reports when their schedules are due, and brings renderings to people by e-mail, each with the PDF.
 *
 * Whatever is about to be done is noted first, so that a process that ends in the middle is found out by the next: a run
 * that was noted is carried on; a letter that was being sent stands as `unsure`, and is sent again only by somebody's hand.
 */
export function openDeliveries({ db, reports, press, mailer, calendar, log, now }: Needs) {
  let turn: Promise<void> | null = null
  let stopped = false

  /** Notes each schedule that has become due. However often it was due while nothing ran, it runs once. */
  async function noteDue() {
    const at = now()
    const schedules = await db
      .selectFrom('report_schedules')
      .innerJoin('reports', 'reports.id', 'report_schedules.report_id')
      .selectAll('report_schedules')
      .select('definition')
      .select(({ selectFrom }) =>
        selectFrom('report_runs')
          .whereRef('report_runs.schedule_id', '=', 'report_schedules.id')
          .select(({ fn }) => fn.max<number | null>('due_at').as('last'))
          .as('last_due_at'),
      )
      .where('paused_at', 'is', null)
      .where('archived_at', 'is', null)
      .execute()
    for (const schedule of schedules) {
      const definition = definitionOf(schedule.definition)
      const sentAt = schedule.kind === 'after-mailing' ? await sentTimes(db, definition) : []
      const due = lastDue(clockCalendar(definition, calendar), schedule, { until: at, sentAt })
      if (due === null || due <= Math.max(schedule.since_at, schedule.last_due_at ?? 0)) continue
      await db
        .insertInto('report_runs')
        .values({
          schedule_id: schedule.id,
          report_id: schedule.report_id,
          due_at: due,
          recipients: schedule.recipients,
          state: 'waiting',
          next_try_at: at,
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    }
  }

  /** Renders what a run was noted for, or takes the rendering that an earlier process made of it. */
  async function renderingOf(run: Row<'report_runs'>): Promise<number> {
    if (run.render_at !== null) {
      const made = await db
        .selectFrom('report_renderings')
        .select('id')
        .where('report_id', '=', run.report_id)
        .where('rendered_at', '=', run.render_at)
        .where('made_by', '=', 'schedule')
        .executeTakeFirst()
      if (made) return made.id
    }
    // Two schedules of one report may be due at once; each rendering is known by an instant of its own.
    const { last } = await db
      .selectFrom('report_runs')
      .select(({ fn }) => fn.max<number | null>('render_at').as('last'))
      .where('report_id', '=', run.report_id)
      .executeTakeFirstOrThrow()
    const at = Math.max(now(), (last ?? 0) + 1)
    await db.updateTable('report_runs').set({ render_at: at }).where('id', '=', run.id).execute()
    return (await reports.render(run.report_id, { at })).id
  }

  async function performRun(run: Row<'report_runs'>) {
    try {
      const rendering = await renderingOf(run)
      await db.transaction().execute(async (tx) => {
        // Whoever is to get it may have changed, or it may have been called off, while it was rendered.
        const waiting = await tx
          .updateTable('report_runs')
          .set({ state: 'rendered', rendering_id: rendering, ended_at: now(), failure: '' })
          .where('id', '=', run.id)
          .where('state', '=', 'waiting')
          .returning('recipients')
          .executeTakeFirst()
        const recipients = addressesIn(waiting?.recipients ?? '')
        if (recipients.length > 0)
          await tx
            .insertInto('report_deliveries')
            .values(
              recipients.map((recipient) =>
                newDelivery({
                  report: run.report_id,
                  rendering,
                  run: run.id,
                  recipient,
                  by: null,
                  at: now(),
                }),
              ),
            )
            .execute()
      })
      log.info({ report: run.report_id, rendering }, 'report rendered on schedule')
    } catch (error) {
      if (stopped) return // the next process carries it on
      const failure = sentenceOf(error)
      const pause = pauses[run.tries]
      log.warn({ report: run.report_id, err: error }, 'report could not be rendered on schedule')
      await db
        .updateTable('report_runs')
        .set({
          tries: run.tries + 1,
          failure,
          ...(pause === undefined ? { state: 'failed', ended_at: now() } : { next_try_at: now() + pause }),
        })
        .where('id', '=', run.id)
        .where('state', '=', 'waiting')
        .execute()
    }
  }

  async function deliver(delivery: Row<'report_deliveries'>, letterOf: () => Promise<Printed>) {
    const { id, recipient } = delivery
    const tries = delivery.tries + 1
    const set = (change: Partial<Row<'report_deliveries'>>, was: 'waiting' | 'sending') =>
      db
        .updateTable('report_deliveries')
        .set({ ...change, tries })
        .where('id', '=', id)
        .where('state', '=', was)
        .executeTakeFirstOrThrow()
    let was: 'waiting' | 'sending' = 'waiting'
    try {
      // A PDF that cannot be printed is found out before anything is under way.
      const { subject, text, attachment } = await letterOf()
      if ((await set({ state: 'sending' }, was)).numUpdatedRows === 0n) return
      was = 'sending'
      await mailer.send({
        to: recipient,
        subject,
        text,
        attachments: [attachment],
        id: `report-delivery-${id}`,
      })
    } catch (error) {
      if (stopped && was === 'waiting') return // nothing was under way: the next process sends it
      const failure = sentenceOf(error)
      log.warn({ report: delivery.report_id, delivery: id, failure }, 'report could not be delivered')
      const isUnsure = error instanceof MailFailed && error.unsure
      const isLasting = error instanceof MailFailed && error.lasting
      const pause = isUnsure || isLasting ? undefined : pauses[delivery.tries]
      if (pause === undefined)
        await set({ state: isUnsure ? 'unsure' : 'failed', failure, ended_at: now() }, was)
      else await set({ state: 'waiting', failure, next_try_at: now() + pause }, was)
      return
    }
    // Should this not be noted any more, the next turn finds it as one that may have arrived.
    await set({ state: 'sent', failure: '', ended_at: now() }, was)
  }

  /** A rendering as a letter; it is printed once, whoever gets it. */
  function lettersOf(rendering: number) {
    let letter: Promise<Printed> | null = null
    return () => {
      letter ??= printed(rendering)
      return letter
    }
  }
  async function printed(id: number): Promise<Printed> {
    const rendering = await reports.rendering(id)
    const content = await press.print(() => reports.documentOf(rendering))
    return {
      subject: titleOf(rendering),
      text: `${reports.summaryOf(rendering)}\n\nThe whole report is attached as a PDF.\n`,
      attachment: { filename: `${fileNameOf(rendering)}.pdf`, contentType: 'application/pdf', content },
    }
  }

  /** What waits and may be tried now, of runs as of deliveries: the longest due first, as much as one turn takes on. */
  const due = <Of extends 'report_runs' | 'report_deliveries', Found>(
    query: SelectQueryBuilder<Tables, Of, Found>,
  ) =>
    query
      .where(sql.ref('state'), '=', 'waiting')
      .where(sql.ref('next_try_at'), '<=', now())
      .orderBy(sql.ref('next_try_at'))
      .orderBy(sql.ref('id'))
      .limit(perTurn)

  /** Has nobody called it off since the turn began? */
  async function stillWaits({ id }: Row<'report_runs'>) {
    const run = await db.selectFrom('report_runs').select('state').where('id', '=', id).executeTakeFirst()
    return run?.state === 'waiting'
  }

  async function performTurn() {
    // Only one turn runs in a process, so what is being sent now was begun by one that ended.
    await db
      .updateTable('report_deliveries')
      .set({
        state: 'unsure',
        ended_at: now(),
        failure: 'The server ended while this was being sent, so it may have arrived or not.',
      })
      .where('state', '=', 'sending')
      .execute()
    await noteDue()
    const runs = await due(db.selectFrom('report_runs').selectAll()).execute()
    for (const run of runs) {
      if (stopped) return
      if (await stillWaits(run)) await performRun(run)
    }
    const waiting = await due(db.selectFrom('report_deliveries').selectAll()).execute()
    const letters = new Map<number, () => Promise<Printed>>()
    const until = performance.now() + letterTime
    for (const delivery of waiting) {
      if (stopped || performance.now() > until) return
      const letter = letters.get(delivery.rendering_id) ?? lettersOf(delivery.rendering_id)
      letters.set(delivery.rendering_id, letter)
      await deliver(delivery, letter)
    }
  }

  /** Renders and sends all that is due; a call during a turn waits for that one. */
  function runDue(): Promise<void> {
    if (stopped) return Promise.resolve()
    turn ??= performTurn().finally(() => {
      turn = null
    })
    return turn
  }

  return {
    runDue,

    /**
     * Sends a rendering to some people, as soon as its turn comes.
     * @param by the account that asks for it
     */
    async send(rendering: Rendering, recipients: readonly string[], { by }: { by: number }) {
      const given = { report: rendering.reportId, rendering: rendering.id, run: null, by, at: now() }
      await db.transaction().execute(async (tx) => {
        const underWay = await tx
          .selectFrom('report_deliveries')
          .select('recipient')
          .where('rendering_id', '=', rendering.id)
          .where('state', 'in', ['waiting', 'sending'])
          .execute()
        // The same form sent twice is one letter.
        const missing = recipients.filter((each) => !underWay.some(({ recipient }) => recipient === each))
        if (missing.length > 0)
          await tx
            .insertInto('report_deliveries')
            .values(missing.map((recipient) => newDelivery({ ...given, recipient })))
            .execute()
      })
    },

    /** Gives up a letter that waits. @throws HttpError 409 where this report has none of this number that does */
    async callOff(reportId: number, id: string): Promise<void> {
      const { numUpdatedRows } = await db
        .updateTable('report_deliveries')
        .set({ state: 'failed', failure: `${calledOff}.`, ended_at: now() })
        .where('id', '=', /^[1-9]\d{0,14}$/.test(id) ? Number(id) : 0)
        .where('report_id', '=', reportId)
        .where('state', '=', 'waiting')
        .executeTakeFirstOrThrow()
      if (numUpdatedRows === 0n) throw new HttpError(409, 'This delivery does not wait any more.')
    },

    /**
     * Sends again what failed, or what nobody knows of how far it came.
     * @throws NotFound, or HttpError 409 for what was sent or is still on its way
     */
    async sendAgain(reportId: number, id: string): Promise<{ recipient: string }> {
      const row = /^[1-9]\d{0,14}$/.test(id)
        ? await db
            .selectFrom('report_deliveries')
            .select(['id', 'recipient', 'state'])
            .where('id', '=', Number(id))
            .where('report_id', '=', reportId)
            .executeTakeFirst()
        : undefined
      if (!row) throw new NotFound('This report has no such delivery.')
      if (row.recipient.startsWith(erasedRecipient))
        throw new HttpError(409, 'Whoever this delivery was for was erased.')
      if (row.state !== 'failed' && row.state !== 'unsure')
        throw new HttpError(409, `The delivery to ${row.recipient} was sent, or is still on its way.`)
      await db
        .updateTable('report_deliveries')
        .set({ state: 'waiting', tries: 0, next_try_at: now(), ended_at: null })
        .where('id', '=', row.id)
        .where('state', '=', row.state)
        .execute()
      return row
    },

    /** Lets what is under way come to its end, and begins nothing more. */
    async stop() {
      stopped = true
      await turn?.catch(() => undefined)
    },
  }
}
export type Deliveries = ReturnType<typeof openDeliveries>

interface Printed {
  subject: string
  text: string
  attachment: { filename: string; contentType: string; content: Buffer }
}

/**
 * Gives up what waits to be rendered by a schedule, and what waits to be sent: of a report that was archived, or of a
 * schedule that was paused or deleted.
 * @param given.why the end of a sentence, such as "its schedule was paused"
 * @param given.now milliseconds
 */
export async function callOffWaiting(
  db: Db,
  of: { report: number } | { schedule: number },
  { why, now }: { why: string; now: number },
) {
  const given = { state: 'failed' as const, failure: `${calledOff}: ${why}.`, ended_at: now }
  await db.transaction().execute(async (tx) => {
    await tx
      .updateTable('report_runs')
      .set(given)
      .where('state', '=', 'waiting')
      .where(({ eb }) =>
        'report' in of ? eb('report_id', '=', of.report) : eb('schedule_id', '=', of.schedule),
      )
      .execute()
    await tx
      .updateTable('report_deliveries')
      .set(given)
      .where('state', '=', 'waiting')
      .where(({ eb, selectFrom }) =>
        'report' in of
          ? eb('report_id', '=', of.report)
          : eb('run_id', 'in', selectFrom('report_runs').select('id').where('schedule_id', '=', of.schedule)),
      )
      .execute()
  })
}

/** Brings what waits of a schedule to those alone who are to get it now. @param now milliseconds */
export async function changeRecipients(
  db: Db,
  { schedule, recipients, now }: { schedule: number; recipients: readonly string[]; now: number },
) {
  await db.transaction().execute(async (tx) => {
    const runs = tx.selectFrom('report_runs').select('id').where('schedule_id', '=', schedule)
    await tx
      .updateTable('report_runs')
      .set({ recipients: recipients.join('\n') })
      .where('schedule_id', '=', schedule)
      .where('state', '=', 'waiting')
      .execute()
    await tx
      .updateTable('report_deliveries')
      .set({ state: 'failed', failure: `${calledOff}: its schedule goes to others now.`, ended_at: now })
      .where('run_id', 'in', runs)
      .where('state', '=', 'waiting')
      .$if(recipients.length > 0, (query) => query.where('recipient', 'not in', recipients))
      .execute()
  })
}

const newDelivery = (given: {
  report: number
  rendering: number
  run: number | null
  recipient: string
  by: number | null
  at: number
}) => ({
  report_id: given.report,
  rendering_id: given.rendering,
  run_id: given.run,
  recipient: given.recipient,
  state: 'waiting' as const,
  next_try_at: given.at,
  created_at: given.at,
  created_by: given.by,
})

const sentenceOf = (error: unknown) =>
  error instanceof HttpError
    ? error.message
    : 'Something went wrong on our side. The log of the server knows more.'

/** What became of the schedules and letters of a report, the newest first; and what of it needs somebody. */
export async function deliveriesOf(db: Db, reportId: number, { limit = 50 } = {}) {
  const deliveries = await db
    .selectFrom('report_deliveries')
    .innerJoin('report_renderings', 'report_renderings.id', 'report_deliveries.rendering_id')
    .selectAll('report_deliveries')
    .select('number')
    .where('report_deliveries.report_id', '=', reportId)
    .orderBy('report_deliveries.created_at', 'desc')
    .orderBy('report_deliveries.id', 'desc')
    .limit(limit)
    .execute()
  const runs = await db
    .selectFrom('report_runs')
    .selectAll()
    .where('report_id', '=', reportId)
    .where('failure', '<>', '')
    .orderBy('due_at', 'desc')
    .limit(5)
    .execute()
  const isErased = ({ recipient }: { recipient: string }) => recipient.startsWith(erasedRecipient)
  return { deliveries: deliveries.map((each) => ({ ...each, isErased: isErased(each) })), runs }
}

/** How many deliveries and runs of each report came to no good end in the last 30 days. */
export async function troubles(db: Db, now: number): Promise<Map<number, number>> {
  const since = now - 30 * 24 * 60 * minute
  const [deliveries, runs] = await Promise.all([
    db
      .selectFrom('report_deliveries')
      .select(({ fn }) => ['report_id', fn.countAll<number>().as('count')])
      .where('state', 'in', ['failed', 'unsure'])
      .where('failure', 'not like', `${calledOff}%`)
      .where('created_at', '>=', since)
      .groupBy('report_id')
      .execute(),
    db
      .selectFrom('report_runs')
      .select(({ fn }) => ['report_id', fn.countAll<number>().as('count')])
      .where('state', '=', 'failed')
      .where('failure', 'not like', `${calledOff}%`)
      .where('due_at', '>=', since)
      .groupBy('report_id')
      .execute(),
  ])
  const all = new Map<number, number>()
  for (const { report_id, count } of [...deliveries, ...runs])
    all.set(report_id, (all.get(report_id) ?? 0) + count)
  return all
}
