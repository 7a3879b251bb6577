import { type Response, Router } from 'express'
import { tell } from '../accounts/sessions.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { AlertForm, type AlertSettingsKeeper } from './alert-settings.js'
import type { Alerts } from './alerts.js'

interface Needs {
  alerts: Alerts
  settings: AlertSettingsKeeper
  /** Whether a mail server is known. */
  mailIsSet: () => Promise<boolean>
}

const page = '/operations/alerts'

/** /operations/alerts: what is wrong now, who is told, and from when on. */
export function alertPage({ alerts, settings, mailIsSet }: Needs) {
  const routes = Router()

  async function show(res: Response, given: { values?: object; errors?: FormErrors } = {}) {
    const kept = await settings.read()
    res.render('operations/alerts', {
      room: 'operations',
      tab: 'alerts',
      states: await alerts.list(),
      webhookIsLost: await settings.isWebhookLost(),
      channels: kept.recipients.length + (kept.webhook ? 1 : 0),
      mailIsSet: await mailIsSet(),
      values: { ...kept, recipients: kept.recipients.join('\n') },
      errors: { first: '' },
      ...given,
    })
  }
  routes.get(page, (_req, res) => show(res))
  routes.post(page, async (req, res) => {
    const typed = req.body as Record<string, unknown>
    const form = AlertForm.safeParse(typed)
    if (!form.success)
      return show(res.status(422), {
        values: Object.fromEntries(
          Object.keys(AlertForm.shape).map((name) => [name, String(typed?.[name] ?? '')]),
        ),
        errors: formErrors(form.error),
      })
    await settings.save(form.data)
    tell(req, 'The alerts are saved.')
    res.redirect(303, page)
  })
  routes.post(`${page}/test`, async (req, res) => {
    const told = await alerts.test()
    const reached = told.filter(({ failure }) => failure === null)
    const sentences = told.flatMap(({ name, failure }) =>
      failure === null ? [] : [`${name} was not: ${failure}`],
    )
    tell(
      req,
      told.length === 0
        ? 'Nobody is to be told. Save a recipient or a webhook first.'
        : [
            reached.length === 0
              ? 'Nobody was reached.'
              : `Reached: ${reached.map(({ name }) => name).join(', ')}.`,
            ...sentences,
          ].join(' '),
    )
    res.redirect(303, page)
  })
  return routes
}
