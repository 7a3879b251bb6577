import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from '../../src/config.js'
import { openMailer } from '../../src/mail/mailer.js'
import { testApp } from '../support/app.js'
import { aMailServer, refusal } from '../support/mail.js'
import { aPerson } from '../support/person.js'

const password = 'correct horse & battery'

async function aMailer(env: Record<string, string>) {
  const app = await testApp()
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const config = readConfig({
    DATA_DIR: app.dataDir,
    MAIL_FROM: 'Paperboat reports <reports@paperboat.example>',
    ...env,
  })
  return { ...openMailer({ db: app.db, config, log, now: app.clock.now }), lines, app }
}
const letter = { to: 'ada@fernmail.example', subject: 'Autumn – “results”', text: 'Grüße, 日本.\n' }

describe('the mailer', () => {
  it('hands a letter in, with its attachment', async () => {
    const server = await aMailServer({ login: { user: 'paperboat', password } })
    const url = `smtp://paperboat:${encodeURIComponent(password)}@127.0.0.1:${server.port}`
    const { send, isSet, app, lines } = await aMailer({ SMTP_URL: url })
    expect(await isSet()).toBe(true)
    const content = Buffer.from('%PDF-1.4 of a kind')
    await send({
      ...letter,
      attachments: [{ filename: 'Autumn results – November.pdf', contentType: 'application/pdf', content }],
      id: 'report-delivery-12',
    })
    const [got] = server.letters
    expect(server.letters).toHaveLength(1)
    expect(got).toMatchObject({ subject: letter.subject, text: letter.text, recipients: [letter.to] })
    expect(got!.from!.value).toEqual([{ name: 'Paperboat reports', address: 'reports@paperboat.example' }])
    expect(got!.date!.getTime()).toBe(app.clock.now())
    expect(got!.headers.get('auto-submitted')).toBe('auto-generated')
    expect(got!.attachments[0]).toMatchObject({
      filename: 'Autumn results – November.pdf',
      contentType: 'application/pdf',
      content,
    })
    expect(got!.messageId).toMatch(/^<report-delivery-12\.[0-9a-f]{16}@paperboat\.example>$/)
    expect(lines.join()).toContain('e-mail sent')
    expect(lines.join()).not.toContain(password)
  })

  it('gives the same letter the same name, and another one another', async () => {
    const server = await aMailServer()
    const { send } = await aMailer({ SMTP_HOST: '127.0.0.1', SMTP_PORT: String(server.port) })
    await send({ ...letter, id: 'a' })
    await send({ ...letter, id: 'a' })
    await send({ ...letter, to: 'bela@fernmail.example', id: 'a' })
    const [first, again, other] = server.letters.map(({ messageId }) => messageId)
    expect(again).toBe(first)
    expect(other).not.toBe(first)
  })

  it('adds no header and no recipient that somebody typed into a field', async () => {
    const server = await aMailServer()
    const { send } = await aMailer({ SMTP_HOST: '127.0.0.1', SMTP_PORT: String(server.port) })
    await send({ ...letter, subject: 'Hello\r\nBcc: eve@elsewhere.example\r\n\r\nbody' })
    expect(server.letters[0]!.recipients).toEqual([letter.to])
    expect(server.letters[0]!.bcc).toBeUndefined()
    for (const to of ['a@b.example, c@d.example', 'a@b.example\r\nBcc: c@d.example', 'nobody', ''])
      await expect(send({ ...letter, to })).rejects.toMatchObject({ status: 502, lasting: true })
    expect(server.letters).toHaveLength(1)
  })

  it('says what is wrong, and never the password', async () => {
    const server = await aMailServer({
      login: { user: 'paperboat', password },
      refuse: (to) =>
        to.startsWith('gone') ? refusal(550, 'No such mailbox') : refusal(450, 'Try again later'),
    })
    const wrong = await aMailer({
      SMTP_HOST: '127.0.0.1',
      SMTP_PORT: String(server.port),
      SMTP_USER: 'paperboat',
      SMTP_PASSWORD: 'open sesame 42',
    })
    const refused = await wrong.send(letter).catch((error) => error)
    expect(refused.message).toContain('did not take the user name and the password')
    expect(refused.message).toContain('Invalid login paperboat …')
    expect(JSON.stringify(refused) + refused.stack + wrong.lines.join()).not.toContain('open sesame 42')

    const right = await aMailer({
      SMTP_HOST: '127.0.0.1',
      SMTP_PORT: String(server.port),
      SMTP_USER: 'paperboat',
      SMTP_PASSWORD: password,
    })
    await expect(right.send({ ...letter, to: 'gone@fernmail.example' })).rejects.toMatchObject({
      message: expect.stringContaining('No such mailbox'),
      lasting: true,
    })
    await expect(right.send(letter)).rejects.toMatchObject({
      message: expect.stringContaining('Try again later'),
      lasting: false,
    })
    await server.stop()
    await expect(right.send(letter)).rejects.toMatchObject({
      message: expect.stringContaining('Nothing listens at 127.0.0.1'),
      lasting: false,
    })
  })

  it('says when nobody knows whether a letter was taken', async () => {
    const server = await aMailServer({ silent: true })
    const { send } = await aMailer({ SMTP_HOST: '127.0.0.1', SMTP_PORT: String(server.port) })
    await expect(send(letter)).rejects.toMatchObject({
      message: expect.stringContaining('It may have arrived or not.'),
      unsure: true,
      lasting: false,
    })
  })

  it('knows that a letter was not taken of which only a part had gone', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.write('220 here\r\n')
      socket.on('data', (data) => {
        const text = data.toString('latin1')
        if (text.startsWith('EHLO')) socket.write('250 here\r\n')
        else if (/^(MAIL|RCPT)/.test(text)) socket.write('250 ok\r\n')
        else if (text.startsWith('DATA')) socket.write('354 go on\r\n')
        else socket.destroy()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { send } = await aMailer({
      SMTP_HOST: '127.0.0.1',
      SMTP_PORT: String((server.address() as AddressInfo).port),
    })
    const attachments = [
      { filename: 'report.pdf', contentType: 'application/pdf', content: Buffer.alloc(5_000_000) },
    ]
    await expect(send({ ...letter, attachments })).rejects.toMatchObject({
      message: expect.stringContaining('broke off'),
      unsure: false,
      lasting: false,
    })
  })

  it('insists on STARTTLS where that was chosen', async () => {
    const server = await aMailServer()
    const { send } = await aMailer({
      SMTP_HOST: '127.0.0.1',
      SMTP_PORT: String(server.port),
      SMTP_SECURITY: 'starttls',
    })
    await expect(send(letter)).rejects.toMatchObject({ message: expect.stringContaining('offers no TLS') })
    expect(server.letters).toHaveLength(0)
  })

  it('says so where no mail server is known', async () => {
    const { send, isSet } = await aMailer({})
    expect(await isSet()).toBe(false)
    await expect(send(letter)).rejects.toMatchObject({
      status: 409,
      message: expect.stringContaining('No mail server is known.'),
    })
  })
})

describe('the settings about mail', () => {
  const typed = (port: number, more: Record<string, string> = {}) => ({
    host: '127.0.0.1',
    port: String(port),
    security: 'none',
    user: 'paperboat',
    password,
    from: 'reports@paperboat.example',
    test_to: 'ada@fernmail.example',
    ...more,
  })

  it('keep the mail server with its password sealed, and send a test', async () => {
    const server = await aMailServer({ login: { user: 'paperboat', password } })
    const app = await testApp()
    const { http, send } = await aPerson(app)
    await send('/settings/mail', { ...typed(server.port), action: 'test' }).expect(303)
    const page = await http.get('/settings/mail').expect(200)
    expect(page.text).toContain('A test is on its way to ada@fernmail.example.')
    expect(page.text).not.toContain(password)
    expect(server.letters[0]).toMatchObject({ subject: 'A test from Throughline' })
    const kept = await app.db.selectFrom('settings').selectAll().where('name', 'like', 'mail%').execute()
    expect(kept).toHaveLength(2)
    expect(JSON.stringify(kept)).not.toContain(password)

    // The kept password goes on, for this server and this user name alone.
    await send('/settings/mail', { ...typed(server.port, { password: '' }), action: 'test' }).expect(303)
    expect(server.letters).toHaveLength(2)
    for (const other of [{ host: 'elsewhere.example' }, { user: 'eve' }] as Record<string, string>[]) {
      const refused = await send('/settings/mail', typed(server.port, { password: '', ...other })).expect(422)
      expect(refused.text).toContain('Enter the password that goes with this server and user name.')
    }
  })

  it('keep what was typed when the test fails, and say why', async () => {
    const server = await aMailServer({ login: { user: 'paperboat', password } })
    const { http, send } = await aPerson(await testApp())
    const failed = await send('/settings/mail', {
      ...typed(server.port, { password: 'wrong one' }),
      action: 'test',
    }).expect(422)
    expect(failed.text).toContain('The mail server is saved. The test failed.')
    expect(failed.text).toContain('did not take the user name and the password')
    expect(failed.text).not.toContain('wrong one')
    expect((await http.get('/settings/mail')).text).toContain(`value="${server.port}"`)
  })

  it('refuse what cannot be meant', async () => {
    const { send } = await aPerson(await testApp())
    const bad = await send(
      '/settings/mail',
      typed(587, { port: '99999', from: 'somebody', host: 'a b' }),
    ).expect(422)
    expect(bad.text).toContain('The port is a number from 1 to 65535.')
    expect(bad.text).toContain('Write the name of the mail server')
    expect(bad.text).toContain('Write an e-mail address such as reports@example.com')
    expect(bad.text).toContain('value="somebody"')
    const nobody = await send('/settings/mail', { ...typed(587, { test_to: 'nobody' }), action: 'test' })
    expect(nobody.status).toBe(422)
    expect(nobody.text).toContain('Write the e-mail address that gets the test')
  })

  it('forget the mail server with an empty host', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    await send('/settings/mail', typed(587)).expect(303)
    await send('/settings/mail', typed(587, { host: '' })).expect(303)
    expect((await http.get('/settings/mail')).text).toContain('No mail server is known now')
    expect(
      await app.db.selectFrom('settings').selectAll().where('value', 'like', '%paperboat%').execute(),
    ).toEqual([])
  })

  it('show what the environment says, and try it', async () => {
    const server = await aMailServer()
    const app = await testApp({
      env: { SMTP_URL: `smtp://127.0.0.1:${server.port}`, MAIL_FROM: 'reports@paperboat.example' },
    })
    const { http, send } = await aPerson(app)
    const page = await http.get('/settings/mail').expect(200)
    expect(page.text).toContain('The environment names the mail server')
    expect(page.text).not.toContain('name="password"')
    await send('/settings/mail', { test_to: 'ada@fernmail.example', action: 'test' }).expect(303)
    expect(server.letters).toHaveLength(1)
  })
})
