import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { type ParsedMail, simpleParser } from 'mailparser'
import { SMTPServer } from 'smtp-server'
import { onTestFinished } from 'vitest'

/** What a mail server answers with a code of its own. */
export const refusal = (code: number, message: string) =>
  Object.assign(new Error(message), { responseCode: code })

/**
 * A mail server on loopback that keeps what it is given, without TLS.
 * @param options.refuse what it says to a recipient instead of taking the letter; null takes it
 */
export async function aMailServer({
  login,
  refuse = () => null,
  silent = false,
}: {
  login?: { user: string; password: string }
  refuse?: (to: string) => Error | null
  /** It takes each letter and hangs up without a word. */
  silent?: boolean
} = {}) {
  const letters: (ParsedMail & { recipients: string[] })[] = []
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    authOptional: !login,
    allowInsecureAuth: true,
    logger: false,
    onAuth({ username, password }, _session, done) {
      if (login && username === login.user && password === login.password) done(null, { user: username })
      // A careless server repeats what it was told.
      else done(refusal(535, `Invalid login ${username} ${password}`))
    },
    onRcptTo({ address }, _session, done) {
      done(refuse(address))
    },
    onData(stream, { envelope }, done) {
      simpleParser(stream).then((letter) => {
        if (silent) return hangUp()
        letters.push(Object.assign(letter, { recipients: envelope.rcptTo.map(({ address }) => address) }))
        done()
      }, done)
    },
  })
  const sockets = new Set<Socket>()
  server.server.on('connection', (socket: Socket) => sockets.add(socket))
  const hangUp = () => {
    for (const socket of sockets) socket.destroy()
  }
  server.on('error', () => undefined) // a client that hangs up
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const stop = () => new Promise<void>((done) => server.close(() => done()))
  onTestFinished(stop)
  const { port } = server.server.address() as AddressInfo
  return { port, letters, stop, refuseWith: (other: typeof refuse) => (refuse = other) }
}
