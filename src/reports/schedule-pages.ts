import { type Response, Router } from 'express'
import type { Logger } from 'pino'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import type { Mailer } from '../mail/mailer.js'
import { textsOf } from '../partners/forms.js'
import type { Calendar } from '../web/calendar.js'
import { plural } from '../web/formats.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { getRendering } from './archive.js'
import { clockCalendar, definitionOf } from './definition.js'
import { callOffWaiting, changeRecipients, type Deliveries } from './deliveries.js'
import { getReport, type Report } from './queries.js'
import { addressesIn } from './recipients.js'
import { ScheduleForm, SendForm, weekdayChoices } from './schedule-forms.js'
import { clockWords, type Rule } from './schedule-rules.js'
import {
  createSchedule,
  deleteSchedule,
  editSchedule,
  getSchedule,
  pauseSchedule,
  type Schedule,
  scheduleWords,
} from './schedules.js'

interface Needs {
  db: Db
  deliveries: Deliveries
  mailer: Pick<Mailer, 'isSet'>
  calendar: Calendar
  log: Logger
  now: () => number
}

const noErrors: FormErrors = { first: '' }

/** Schedules of a report, sending one rendering by hand, and sending again what did not arrive. */
export function schedulePages({ db, deliveries, mailer, calendar, log, now }: Needs) {
  const routes = Router()

  /** The addresses of the partner's, as a start. */
  const partnersAddresses = async ({ partner_id }: Report) => {
    if (partner_id === null) return ''
    const row = await db
      .selectFrom('partners')
      .select('emails')
      .where('id', '=', partner_id)
      .executeTakeFirst()
    return row?.emails ?? ''
  }

  const wordsOf = ({ definition }: Report, rule: Rule) =>
    scheduleWords(rule, definitionOf(definition), calendar)

  async function showSchedule(
    res: Response,
    { report, schedule }: { report: Report; schedule: Schedule | null },
    given: { values?: object; errors?: FormErrors } = {},
  ) {
    const kind = schedule?.kind ?? 'weekly'
    const day = (of: Schedule['kind'], usual: number) => String(schedule?.kind === of ? schedule.day : usual)
    res.render('reports/schedule', {
      room: 'reports',
      report,
      schedule,
      weekdays: weekdayChoices,
      timeZone: clockCalendar(definitionOf(report.definition), calendar).timeZone,
      countedIn: calendar.timeZone,
      hasMailServer: await mailer.isSet(),
      values: {
        kind,
        weekday: day('weekly', 1),
        day_of_month: day('monthly', 1),
        days_after: day('after-mailing', 3),
        time: clockWords(schedule?.minute ?? 8 * 60),
        deliver: schedule && schedule.recipients === '' ? 'archive' : 'mail',
        recipients: schedule?.recipients || (await partnersAddresses(report)),
        ...given.values,
      },
      errors: given.errors ?? noErrors,
    })
  }

  routes.get('/reports/:id/schedules/new', async (req, res) => {
    await showSchedule(res, { report: await getReport(db, req.params.id), schedule: null })
  })
  routes.post('/reports/:id/schedules', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const form = ScheduleForm.safeParse(req.body ?? {})
    if (!form.success)
      return showSchedule(
        res.status(422),
        { report, schedule: null },
        { values: textsOf(req.body), errors: formErrors(form.error) },
      )
    await createSchedule(db, report.id, form.data, { by: accountOf(res).id, now: now() })
    tell(req, `${wordsOf(report, form.data)}: it is on.`)
    res.redirect(303, `/reports/${report.id}#schedules`)
  })

  routes.get('/reports/:id/schedules/:schedule', async (req, res) => {
    const report = await getReport(db, req.params.id)
    await showSchedule(res, { report, schedule: await getSchedule(db, report.id, req.params.schedule) })
  })
  routes.post('/reports/:id/schedules/:schedule', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const schedule = await getSchedule(db, report.id, req.params.schedule)
    const form = ScheduleForm.safeParse(req.body ?? {})
    if (!form.success)
      return showSchedule(
        res.status(422),
        { report, schedule },
        { values: textsOf(req.body), errors: formErrors(form.error) },
      )
    await editSchedule(db, schedule.id, form.data, now())
    await changeRecipients(db, { schedule: schedule.id, recipients: form.data.recipients, now: now() })
    tell(req, `${wordsOf(report, form.data)}: it is saved.`)
    res.redirect(303, `/reports/${report.id}#schedules`)
  })

  // Pausing is a thing of its own: `paused` says which way.
  routes.post('/reports/:id/schedules/:schedule/pausing', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const schedule = await getSchedule(db, report.id, req.params.schedule)
    const paused = (req.body as { paused?: unknown } | undefined)?.paused !== '0'
    await pauseSchedule(db, schedule.id, { paused, now: now() })
    if (paused)
      await callOffWaiting(db, { schedule: schedule.id }, { why: 'its schedule was paused', now: now() })
    tell(
      req,
      paused
        ? 'The schedule is paused; what waited to be sent is called off.'
        : 'The schedule is on again, from now.',
    )
    res.redirect(303, `/reports/${report.id}#schedules`)
  })
  routes.post('/reports/:id/schedules/:schedule/deletion', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const { id } = await getSchedule(db, report.id, req.params.schedule)
    await callOffWaiting(db, { schedule: id }, { why: 'its schedule was deleted', now: now() })
    await deleteSchedule(db, id)
    tell(
      req,
      'The schedule is deleted. What it rendered and sent stays; what waited to be sent is called off.',
    )
    res.redirect(303, `/reports/${report.id}#schedules`)
  })

  /** Sends what waits, without anybody waiting for it. */
  const beginSending = () => {
    deliveries.runDue().catch((error) => log.error({ err: error }, 'deliveries failed'))
  }

  const showSend = async (
    res: Response,
    { report, number }: { report: Report; number: string },
    given: { values?: object; errors?: FormErrors } = {},
  ) => {
    const rendering = await getRendering(db, { report: report.id, number })
    res.render('reports/send', {
      room: 'reports',
      report,
      rendering,
      hasMailServer: await mailer.isSet(),
      values: { recipients: addressesIn(await partnersAddresses(report)).join('\n'), ...given.values },
      errors: given.errors ?? noErrors,
    })
  }
  routes.get('/reports/:id/renderings/:number/send', async (req, res) => {
    await showSend(res, { report: await getReport(db, req.params.id), number: req.params.number })
  })
  routes.post('/reports/:id/renderings/:number/send', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const { number } = req.params
    const form = SendForm.safeParse(req.body ?? {})
    const refuse = (errors: FormErrors) =>
      showSend(res.status(422), { report, number }, { values: textsOf(req.body), errors })
    if (!form.success) return refuse(formErrors(form.error))
    const { recipients } = form.data
    if (!(await mailer.isSet()))
      return refuse({
        first: 'recipients',
        recipients: 'No mail server is known. Enter one in the settings, under Mail.',
      })
    await deliveries.send(await getRendering(db, { report: report.id, number }), recipients, {
      by: accountOf(res).id,
    })
    beginSending()
    tell(req, `It is on its way to ${plural(recipients.length, 'address', 'addresses')}.`)
    res.redirect(303, `/reports/${report.id}#deliveries`)
  })

  routes.post('/reports/:id/deliveries/:delivery/sending', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const { recipient } = await deliveries.sendAgain(report.id, req.params.delivery)
    beginSending()
    tell(req, `It is on its way to ${recipient} again.`)
    res.redirect(303, `/reports/${report.id}#deliveries`)
  })
  routes.post('/reports/:id/deliveries/:delivery/calling-off', async (req, res) => {
    const report = await getReport(db, req.params.id)
    await deliveries.callOff(report.id, req.params.delivery)
    tell(req, 'The delivery is called off.')
    res.redirect(303, `/reports/${report.id}#deliveries`)
  })

  return routes
}
