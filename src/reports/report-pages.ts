import { type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { textsOf } from '../partners/forms.js'
import type { sealer } from '../secret.js'
import type { Calendar } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { findPicture, getRendering, listRenderings, type Rendering } from './archive.js'
import { createReport, deleteReport, saveTemplate, setReportArchived } from './commands.js'
import { definitionOf } from './definition.js'
import { callOffWaiting, deliveriesOf, troubles } from './deliveries.js'
import { drawReport } from './drawing.js'
import { createLink, LinkForm, linkDays, listLinks, revokeLink } from './live-links.js'
import type { Press } from './pdf/press.js'
import { pdfShelf } from './pdf-shelf.js'
import { getReport, listReports, type Report } from './queries.js'
import { fileNameOf, lookOf, type Reports, titleOf } from './reports.js'
import { listSchedules } from './schedules.js'
import { templateLabel } from './templates.js'

interface Needs {
  db: Db
  reports: Reports
  press: Pick<Press, 'print' | 'load'>
  /** Keeps the addresses of live links. */
  seals: ReturnType<typeof sealer>
  baseUrl: string
  calendar: Calendar
  now: () => number
}

/** `/reports`: all reports; one of them with what was rendered of it; and each rendering as a page. */
export function reportPages({ db, reports, press, seals, baseUrl, calendar, now }: Needs) {
  const routes = Router()
  const shelf = pdfShelf({ reports, press })

  routes.get('/reports', async (_req, res) => {
    const [all, schedules, trouble] = await Promise.all([
      listReports(db),
      listSchedules({ db, calendar, now }),
      troubles(db, now()),
    ])
    const lines = all.map((line) => ({
      ...line,
      templateLabel: templateLabel(line.template),
      schedules: schedules.filter((schedule) => schedule.report_id === line.id),
      trouble: trouble.get(line.id) ?? 0,
    }))
    res.render('reports/index', {
      room: 'reports',
      reports: lines.filter(({ archived_at }) => archived_at === null),
      archived: lines.filter(({ archived_at }) => archived_at !== null),
    })
  })

  routes.get('/reports/:id', async (req, res) => {
    await showReport(res, await getReport(db, req.params.id), {}, { first: '' })
  })

  async function showReport(
    res: Response,
    report: Report,
    typed: Record<string, string>,
    errors: FormErrors,
  ) {
    const [renderings, schedules, delivered, links] = await Promise.all([
      listRenderings(db, report.id),
      listSchedules({ db, calendar, now }, report.id),
      deliveriesOf(db, report.id),
      listLinks({ db, seals, baseUrl }, report.id, now()),
    ])
    res.set('Cache-Control', 'no-store').render('reports/report', {
      room: 'reports',
      report,
      templateLabel: templateLabel(report.template),
      renderings,
      schedules,
      ...delivered,
      links,
      linkDays,
      values: { rendering: '0', days: '30', password: '', name: '', ...typed },
      errors,
    })
  }

  routes.post('/reports/:id/links', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const form = LinkForm.safeParse(req.body ?? {})
    if (!form.success) return showReport(res.status(422), report, textsOf(req.body), formErrors(form.error))
    const { days, password, rendering } = form.data
    const shown =
      rendering === 0 ? null : (await getRendering(db, { report: report.id, number: rendering })).id
    await createLink(
      { db, seals },
      { report: report.id, rendering: shown, days, password },
      { by: accountOf(res).id, now: now() },
    )
    tell(
      req,
      `The link is made. It holds for ${days} days${password === '' ? '' : ', and asks for the password'}.`,
    )
    res.redirect(303, `/reports/${report.id}#links`)
  })

  routes.post('/reports/:id/links/:link/revoking', async (req, res) => {
    const report = await getReport(db, req.params.id)
    await revokeLink(db, { report: report.id, id: req.params.link }, now())
    tell(req, 'The link is taken back. Whoever opens it is told so.')
    res.redirect(303, `/reports/${report.id}#links`)
  })

  const TemplateForm = z.object({
    name: z
      .string('Give the template a name.')
      .trim()
      .min(1, 'Give the template a name.')
      .max(80, 'Keep the name under 80 letters.'),
  })
  routes.post('/reports/:id/template', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const refuse = (errors: FormErrors) => showReport(res.status(422), report, textsOf(req.body), errors)
    const form = TemplateForm.safeParse(req.body ?? {})
    if (!form.success) return refuse(formErrors(form.error))
    const { name } = form.data
    const made = await saveTemplate(db, name, definitionOf(report.definition), {
      by: accountOf(res).id,
      now: now(),
    })
    if (!made)
      return refuse({ first: 'name', name: `There is a template ${name} already. Choose another name.` })
    tell(req, `${name} is a template now: New report offers it.`)
    res.redirect(303, `/reports/${report.id}`)
  })

  // Rendering computes and archives; a GET never does.
  routes.post('/reports/:id/renderings', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const rendering = await reports.render(report.id, { at: now(), by: accountOf(res).id })
    res.redirect(303, addressOf(rendering))
  })

  routes.post('/reports/:id/duplicate', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const definition = definitionOf(report.definition)
    const title = `${definition.title} (copy)`.slice(0, 160)
    const copy = await createReport(db, { ...definition, title }, { by: accountOf(res).id, now: now() })
    tell(req, `This is a copy of ${report.title}. Change what differs, and save.`)
    res.redirect(303, `/reports/${copy.id}/edit`)
  })

  // Archiving is a thing of its own: `archived` says which way.
  routes.post('/reports/:id/archiving', async (req, res) => {
    const { id, title } = await getReport(db, req.params.id)
    const restoring = (req.body as { archived?: unknown } | undefined)?.archived === '0'
    await setReportArchived(db, id, restoring ? null : now())
    if (!restoring) await callOffWaiting(db, { report: id }, { why: 'the report was archived', now: now() })
    tell(
      req,
      restoring
        ? `${title} is back.`
        : `${title} is archived. What was rendered stays, and so do its live links.`,
    )
    res.redirect(303, restoring ? `/reports/${id}` : '/reports')
  })

  routes.post('/reports/:id/deletion', async (req, res) => {
    const { id, title } = await getReport(db, req.params.id)
    await deleteReport(db, id)
    tell(req, `The report ${title} is deleted.`)
    res.redirect(303, '/reports')
  })

  const read = async (req: Request<{ id: string; number: string }>) => {
    const { id } = await getReport(db, req.params.id)
    return getRendering(db, { report: id, number: req.params.number })
  }

  routes.get('/reports/:id/renderings/:number', async (req, res) => {
    const rendering = await read(req)
    const here = addressOf(rendering)
    res.set('Cache-Control', 'no-store').render('reports/rendering', {
      ...drawReport(rendering),
      reference: rendering.reference,
      logo: rendering.hasLogo ? `${here}/logo` : '',
      isPrint: false,
      title: titleOf(rendering),
      here,
      back: `/reports/${rendering.reportId}`,
      backWords: 'the report',
    })
  })

  routes.get('/reports/:id/renderings/:number/look.css', async (req, res) => {
    res
      .type('css')
      .set('Cache-Control', 'private, max-age=3600')
      .send(lookOf(await read(req)))
  })

  routes.get('/reports/:id/renderings/:number/logo', async (req, res) => {
    const picture = await findPicture(db, (await read(req)).id)
    if (!picture) throw new NotFound('This report has no logo.')
    res.set(pictureHeaders(picture)).send(picture.bytes)
  })

  routes.get('/reports/:id/renderings/:number/data.csv', async (req, res) => {
    const rendering = await read(req)
    res
      .set({
        'Content-Type': 'text/csv; charset=utf-8',
        'Content-Disposition': dispositionOf(`${fileNameOf(rendering)}.csv`),
        'Cache-Control': 'no-store',
      })
      .send(reports.csvOf(rendering))
  })

  /** A browser waits so long for a file before it is shown a page that says how far it is: milliseconds. */
  const patience = 2_000

  routes.get('/reports/:id/renderings/:number/report.pdf', async (req, res) => {
    const rendering = await read(req)
    const pdf = await shelf.within(rendering, patience)
    if (pdf === null) return res.redirect(303, `${addressOf(rendering)}/printing`)
    res
      .set({
        'Content-Type': 'application/pdf',
        'Content-Disposition': dispositionOf(`${fileNameOf(rendering)}.pdf`),
        'Cache-Control': 'no-store',
      })
      .send(pdf)
  })

  routes.get('/reports/:id/renderings/:number/printing', async (req, res) => {
    const rendering = await read(req)
    const pdf = await shelf.within(rendering, 500)
    res.set('Cache-Control', 'no-store').render('reports/printing', {
      here: addressOf(rendering),
      reference: rendering.reference,
      isReady: pdf !== null,
      ...press.load(),
    })
  })

  return routes
}

export const addressOf = ({ reportId, number }: Pick<Rendering, 'reportId' | 'number'>) =>
  `/reports/${reportId}/renderings/${number}`

/** A file with a name in any script, as RFC 6266 and RFC 8187 write it. */
const dispositionOf = (name: string) =>
  `attachment; filename="${name.replace(/[^\w.-]/g, '_')}"; filename*=UTF-8''${encodeURIComponent(name)}`

/** Bytes that somebody uploaded: whatever is in them, a browser takes them for a picture, or for nothing. */
export const pictureHeaders = ({ type, hash }: { type: string; hash: string }) => ({
  'Content-Type': type,
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; sandbox",
  'Content-Disposition': 'inline',
  'Cache-Control': 'private, no-cache',
  ETag: `"${hash.slice(0, 22)}"`,
})
