import { createHmac, randomUUID } from 'node:crypto'
import { makeNewsletter, type NewsletterSize } from './newsletter.js'

/** Requests as landing pages and senders' servers make them, the same for the same seed. */
export interface Mix {
  /** Makes every person of this client a stranger to those of another. */
  seed: number
  campaigns: number[]
  domains: number
  /** Each event has an eid (`<seed>-<number>`, from 1), so that it can be told again where nobody answered. */
  repeatable?: boolean
}

const browsers = (() => {
  const texts: string[] = []
  for (let version = 118; version < 140; version++) {
    texts.push(
      `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`,
      `Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Mobile Safari/537.36`,
      `Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`,
      `Mozilla/5.0 (iPhone; CPU iPhone OS 17_${version % 7} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.${version % 7} Mobile/15E148 Safari/604.1`,
    )
  }
  return texts.map((text) => ({ text, encoded: encodeURIComponent(text) }))
})()

/** Landings and conversions come this many requests after the click: later than any reader's haste. */
const later = 20_000

/**
 * @returns a function that writes the next request: two thirds are clicks of strangers, a quarter landings and the
 *   rest conversions of people who clicked before; half is told by a server script that passes the recipient's
 *   address and user agent, half comes from browsers through a proxy.
 */
export function traffic({ seed, campaigns, domains, repeatable = false }: Mix): () => Buffer {
  let people = 0
  let count = 0
  let state = seed * 2_654_435_761 + 1
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
  return () => {
    const kindOf = count < later ? 0 : random()
    count++
    const known = kindOf >= 0.66
    const person = known ? Math.floor(random() * Math.max(1, people - later * 0.66)) : people++
    const event = !known ? 'email_click' : kindOf < 0.92 ? 'landing_click' : 'conversion'
    const campaign = campaigns[person % campaigns.length]!
    const domain = (person * 7 + (person >> 5)) % domains
    const address = `${11 + (seed % 80)}.${(person >> 16) & 255}.${(person >> 8) & 255}.${person & 255}`
    const browser = browsers[(person * 31) % browsers.length]!
    const query =
      `cid=${campaign}&event=${event}&email=reader${seed}.${person}%40mail${person % 23}.example` +
      `&domain=news${domain}.sender.example&link=${1 + (person % 4)}`
    return Buffer.from(
      person % 2 === 0
        ? `GET /api/event?${query}${repeatable ? `&eid=${seed}-${count}` : ''}&ip=${address}&ua=${browser.encoded} HTTP/1.1\r\nHost: track.example\r\n` +
            'User-Agent: PHP/8.3\r\nAccept: */*\r\n\r\n'
        : `GET /api/event?${query}&eid=${seed}-${count}&utm_content=hero HTTP/1.1\r\nHost: track.example\r\n` +
            `User-Agent: ${browser.text}\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.9\r\n` +
            `Referer: https://news${domain}.sender.example/\r\nX-Forwarded-For: ${address}\r\n\r\n`,
    )
  }
}

/** Deliveries of Buttondown's webhook about the subscribers of a newsletter. */
export interface Deliveries {
  seed: number
  /** The signing key. */
  key: string
  newsletter: NewsletterSize
  /** Of a type that is kept and not read: the door alone is at work. */
  unread?: boolean
}

/**
 * @param idOf what the delivery of this number, from 0, is called
 * @returns a function that writes the next delivery: signed, of an event of its own, with all that Buttondown could tell
 */
export function deliveries(
  { key, newsletter, unread = false }: Deliveries,
  idOf: (turn: number) => string = () => randomUUID(),
): () => Buffer {
  const world = makeNewsletter({ ...newsletter, events: 0 }, Date.now())
  const [people, sent] = [world.subscribers.rows, world.emails.rows]
  let count = 0
  return () => {
    const turn = count++
    const type = turn % 10 < 2 ? 'subscriber.clicked' : 'subscriber.opened'
    const body = JSON.stringify({
      id: idOf(turn),
      event_type: unread ? 'form.submitted' : type,
      data: {
        newsletter: world.newsletter.id,
        subscriber: people[(turn * 7919) % people.length]!.id,
        email: sent[(turn * 31) % sent.length]!.id,
        creation_date: new Date().toISOString(),
        metadata: {
          ip_address: `12.${turn % 251}.${turn % 241}.9`,
          os: 'Windows',
          browser: 'Firefox',
          ...(type === 'subscriber.clicked' ? { url: 'https://longline.example/tide' } : {}),
        },
      },
    })
    const signature = createHmac('sha256', key).update(body).digest('hex')
    return Buffer.from(
      'POST /webhooks/buttondown HTTP/1.1\r\nHost: track.example\r\nContent-Type: application/json\r\n' +
        `X-Buttondown-Signature: sha256=${signature}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  }
}
