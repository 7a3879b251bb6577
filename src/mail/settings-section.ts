import * as z from 'zod'
import type { SettingsSection } from '../accounts/settings.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { isMailAddress, readSender } from './addresses.js'
import { MailFailed, MailNotSet } from './errors.js'
import type { Letter } from './letter.js'
import { type MailServer, type MailServers, securities } from './servers.js'

const line = (most: number, what: string) =>
  z.string().trim().max(most, `Keep ${what} under ${most} letters.`).default('')

const ServerForm = z.object({
  host: line(253, 'the host').refine(
    (host) => /^[\w.:-]+$/.test(host),
    'Write the name of the mail server, such as smtp.example.com.',
  ),
  port: z
    .string()
    .trim()
    .regex(/^\d{1,5}$/, 'The port is a number, usually 587 or 465.')
    .transform(Number)
    .refine((port) => port > 0 && port <= 65535, 'The port is a number from 1 to 65535.'),
  security: z.enum(securities, 'Choose how the connection is secured.'),
  user: line(255, 'the user name'),
  password: z.string().max(255, 'Keep the password under 255 letters.').default(''),
  from: line(255, 'the sender').refine(
    (from) => readSender(from) !== null,
    'Write an e-mail address such as reports@example.com, or Name <reports@example.com>.',
  ),
})

const TestForm = z.object({
  test_to: z
    .string()
    .trim()
    .refine(isMailAddress, 'Write the e-mail address that gets the test, such as ada@example.com.'),
})

const wantsTest = (body: unknown) => (body as { action?: unknown }).action === 'test'
const wantsNone = (body: unknown) => (body as { host?: unknown }).host === ''

/**
 * The page of the settings about mail: the server, and a letter to try it. The password never leaves the server again.
 */
export function mailSection({
  servers,
  send,
  environment,
}: {
  servers: MailServers
  send: (letter: Letter) => Promise<void>
  /** The mail server of the environment, which then holds. */
  environment: MailServer | null
}): SettingsSection {
  async function sendTest(to: string): Promise<string | null> {
    try {
      await send({
        to,
        subject: 'A test from Throughline',
        text: 'This is the test you asked for. Throughline can send e-mail to this address.\n',
      })
      return null
    } catch (error) {
      if (error instanceof MailFailed || error instanceof MailNotSet) return error.message
      throw error
    }
  }

  /** Keeps what was entered: null, or what is wrong with it. */
  async function keep(body: unknown): Promise<FormErrors | null> {
    const form = ServerForm.safeParse(body)
    if (!form.success) return formErrors(form.error)
    const { password, ...server } = form.data
    const [before, { server: known }] = await Promise.all([servers.entered(), servers.read()])
    const same = before?.host === server.host && before.user === server.user
    if (server.user !== '' && password === '' && !(same && known?.password))
      return { first: 'password', password: 'Enter the password that goes with this server and user name.' }
    // A kept password goes to the server it was entered for, and to no other.
    const kept = server.user === '' ? '' : password || known!.password
    await servers.save({ ...server, password: kept })
    return null
  }

  return {
    id: 'mail',
    title: 'Mail',
    fragment: 'mail/_settings.njk',
    actions: [{ name: 'action', value: 'test', label: 'Save and send a test' }],
    async about() {
      const { source, server } = await servers.read()
      return {
        source,
        environment: environment && {
          host: environment.host,
          port: environment.port,
          from: environment.from,
        },
        keepsPassword: Boolean(server?.password),
      }
    },
    async load() {
      const entered = await servers.entered()
      return {
        host: entered?.host ?? '',
        port: String(entered?.port ?? 587),
        security: entered?.security ?? 'starttls',
        user: entered?.user ?? '',
        from: entered?.from ?? '',
        test_to: '',
      }
    },
    async save(body) {
      const test = wantsTest(body) ? TestForm.safeParse(body) : null
      if (!environment) {
        if (wantsNone(body) && !test) {
          await servers.forget()
          return { told: 'No mail server is known now, so nothing is sent by e-mail.' }
        }
        const errors = await keep(body)
        if (errors) return { errors }
      }
      if (!test) return { told: environment ? 'The environment says it all.' : 'The mail server is saved.' }
      if (!test.success) return { errors: formErrors(test.error) }
      const wrong = await sendTest(test.data.test_to)
      const saved = environment ? '' : 'The mail server is saved. '
      if (wrong) return { errors: { first: 'test_to', test_to: `${saved}The test failed. ${wrong}` } }
      return { told: `${saved}A test is on its way to ${test.data.test_to}.` }
    },
  }
}
