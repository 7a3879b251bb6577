import { hash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Config } from '../config.js'
import type { Db } from '../database/open.js'
import { installationSecret, sealer } from '../secret.js'
import { isMailAddress, readSender } from './addresses.js'
import { MailFailed, MailNotSet } from './errors.js'
import type { Letter } from './letter.js'
import { type MailServer, mailServers } from './servers.js'
import { mailSection } from './settings-section.js'

interface Needs {
  db: Db
  config: Pick<Config, 'DATA_DIR' | 'mailServer'>
  log: Logger
  now: () => number
}

/** Milliseconds until a mail server that says nothing is given up. */
const patience = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 60_000 }

/** Sends e-mail through the mail server of the environment or of the settings. */
export function openMailer({ db, config, log, now }: Needs) {
  const servers = mailServers({ db, config, seal: sealer(installationSecret(config.DATA_DIR)) })

  /**
   * Hands one letter in.
   * @throws MailNotSet, or MailFailed with what the mail server said
   */
  async function send(letter: Letter): Promise<void> {
    const { server, source } = await servers.read()
    if (!server)
      throw new MailNotSet(
        source === 'unreadable'
          ? 'The password of the mail server was sealed under another secret. Enter it again in the settings, under Mail.'
          : 'No mail server is known. Enter one in the settings, under Mail, or set SMTP_URL and MAIL_FROM.',
      )
    if (!isMailAddress(letter.to))
      throw new MailFailed(`“${letter.to}” is no e-mail address.`, { lasting: true })
    await handIn(server, letter)
    log.info({ subject: letter.subject, attachments: letter.attachments?.length ?? 0 }, 'e-mail sent')
  }

  async function handIn(server: MailServer, { to, subject, text, attachments = [], id }: Letter) {
    // Only whoever sends pays for the library.
    const { default: nodemailer } = await import('nodemailer')
    // Only the library's log tells when the last of a letter has gone to the server. (The letter itself is read to its end
    // also where the connection broke before.)
    let handedOver = false
    const note = (entry: { tnx?: string } | undefined) => {
      handedOver ||= entry?.tnx === 'message'
    }
    const transport = nodemailer.createTransport({
      host: server.host,
      port: server.port,
      secure: server.security === 'tls',
      requireTLS: server.security === 'starttls',
      ignoreTLS: server.security === 'none',
      ...(server.user ? { auth: { user: server.user, pass: server.password } } : {}),
      ...patience,
      logger: { level: note, trace: note, debug: note, info: note, warn: note, error: note, fatal: note },
      disableFileAccess: true,
      disableUrlAccess: true,
    })
    const from = readSender(server.from)!
    try {
      await transport.sendMail({
        from,
        to: { name: '', address: to },
        subject,
        text,
        attachments,
        date: new Date(now()),
        // A program writes here; nobody's holiday notice should answer it (RFC 3834).
        headers: { 'Auto-Submitted': 'auto-generated' },
        ...(id ? { messageId: messageId(id, to, from.address) } : {}),
      })
    } catch (error) {
      throw failure(error as SmtpError, server, handedOver)
    } finally {
      transport.close()
    }
  }

  return {
    send,
    /** Is a mail server known, with a password that can be read? */
    isSet: async () => (await servers.read()).server !== null,
    /** The page of the settings: /settings/mail. */
    section: mailSection({ servers, send, environment: config.mailServer }),
  }
}
export type Mailer = ReturnType<typeof openMailer>

/** The same for the same letter, and never the address of whoever gets it. */
const messageId = (id: string, to: string, from: string) =>
  `<${id}.${hash('sha256', `${id} ${to}`).slice(0, 16)}@${from.split('@').at(-1)}>`

interface SmtpError extends Error {
  code?: string
  response?: string
  responseCode?: number
}

/** What went wrong as a sentence, with the mail server's own words, from which the password is taken out. */
function failure(error: SmtpError, server: MailServer, handedOver: boolean) {
  const { code = '', response, responseCode = 0, message } = error
  const at = `${server.host}:${server.port}`
  const said = withoutPassword(response ?? '', server.password)
  const words = said ? ` It said: ${said.slice(0, 300)}` : ''
  if (code === 'EAUTH')
    return new MailFailed(`The mail server ${at} did not take the user name and the password.${words}`)
  if (code === 'ETLS')
    return new MailFailed(
      `The mail server ${at} offers no TLS by STARTTLS. Choose another way to secure the connection.`,
    )
  if (responseCode >= 400)
    return new MailFailed(`The mail server ${at} refused the e-mail.${words}`, {
      lasting: responseCode >= 500,
    })
  if (handedOver)
    return new MailFailed(
      `The mail server ${at} broke off after it was handed the e-mail, and did not say that it took it. It may have arrived or not.`,
      { unsure: true },
    )
  if (code === 'EDNS' || /ENOTFOUND|EAI_AGAIN/.test(message))
    return new MailFailed(`There is no machine named ${server.host}, or its name cannot be looked up.`)
  if (code === 'ETIMEDOUT')
    return new MailFailed(`The mail server ${at} did not answer in time. Check the port and a firewall.`)
  if (/certificate|self.signed/i.test(message))
    return new MailFailed(`The certificate of the mail server ${at} does not hold.`)
  if (/wrong version number|packet length/i.test(message))
    return new MailFailed(
      `The mail server ${at} does not begin with TLS. Choose STARTTLS, or the port for TLS.`,
    )
  if (/ECONNREFUSED/.test(message))
    return new MailFailed(`Nothing listens at ${at}. Check the host and the port.`)
  return new MailFailed(`The connection to the mail server ${at} broke off.${words}`)
}

/** A server that repeats what it was told must not bring the password onto a page or into the log. */
function withoutPassword(text: string, password: string) {
  if (password === '') return text
  const spellings = [password, Buffer.from(password).toString('base64')]
  return spellings.reduce((shown, spelling) => shown.replaceAll(spelling, '…'), text)
}
