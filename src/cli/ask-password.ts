import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Refusal } from '../accounts/terminal.js'

interface Streams {
  input: NodeJS.ReadableStream & { isTTY?: boolean }
  output: NodeJS.WritableStream
}

/**
 * A new password: typed twice without an echo, or the first line of what is piped in.
 * @throws Refusal
 */
export async function askPassword(
  { input, output }: Streams = { input: process.stdin, output: process.stderr },
) {
  if (!input.isTTY) return (await text(input)).split(/\r?\n/, 1)[0]!
  const password = await askUnseen('Password: ', { input, output })
  if ((await askUnseen('Once more: ', { input, output })) !== password)
    throw new Refusal('The two passwords differ. Nothing is changed.')
  return password
}

async function askUnseen(question: string, { input, output }: Streams) {
  output.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input, output: nowhere, terminal: true, historySize: 0 })
  const stopped = new Promise<never>((_resolve, reject) => {
    const stop = () => reject(new Refusal('Stopped. Nothing is changed.'))
    terminal.once('SIGINT', stop)
    terminal.once('close', stop)
  })
  try {
    return await Promise.race([terminal.question(''), stopped])
  } finally {
    terminal.close()
    output.write('\n')
  }
}
