import { isWebAddress } from './alert-settings.js'

/** What is told, to people and to chat tools. */
export interface Message {
  /** The alert's name; `test` for a test. */
  alert: string
  state: 'trouble' | 'over' | 'test'
  subject: string
  text: string
  /** The same for the same message sent again. */
  id: string
}

/** Whatever sends an e-mail. */
export interface Postman {
  send(letter: { to: string; subject: string; text: string; id: string }): Promise<void>
}

/** One way to one recipient. */
export interface Channel {
  /** Such as `mail ada@example.com` or `webhook`. */
  key: string
  /** As people read it; of a webhook no more than the host. */
  name: string
  /** @throws an error whose message is a sentence for people */
  tell(message: Message): Promise<void>
}

/** Milliseconds that a webhook has to answer. */
const patience = 10_000

/**
 * Posts a message as JSON: `text` is what Slack, Mattermost and Teams show, `content` what Discord does. An address that
 * redirects is not followed: it was not the one that was entered.
 */
export function webhookChannel(address: string, { installation }: { installation: string }): Channel {
  return {
    key: 'webhook',
    name: `the webhook at ${URL.canParse(address) ? new URL(address).host : 'an address'}`,
    async tell({ alert, state, text }) {
      if (!isWebAddress(address)) throw new Error('The address of the webhook is neither http nor https.')
      const body = JSON.stringify({ text, content: text, alert, state, installation })
      let answer: Response
      try {
        answer = await fetch(address, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', 'User-Agent': 'Throughline' },
          body,
          redirect: 'manual',
          signal: AbortSignal.timeout(patience),
        })
      } catch (error) {
        const isLate = (error as Error).name === 'TimeoutError'
        throw new Error(
          isLate ? 'The webhook did not answer within ten seconds.' : 'The webhook cannot be reached.',
        )
      }
      await answer.body?.cancel()
      if (!answer.ok) throw new Error(`The webhook answered ${answer.status}.`)
    },
  }
}

/** Sends messages to one address by e-mail. */
export function mailChannel(to: string, { postman }: { postman: Postman }): Channel {
  return {
    key: `mail ${to}`,
    name: to,
    tell: ({ subject, text, id }) => postman.send({ to, subject, text, id }),
  }
}
