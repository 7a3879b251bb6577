// `npm run stand-in`: a made-up newsletter at a made-up Buttondown on this machine, to try Throughline with. It answers
// as Buttondown's API does, delivers signed webhooks to whatever is registered, and its readers go on reading.
import { parseArgs } from 'node:util'
import { startButtondown } from '../support/buttondown.js'
import {
  ButtondownWorld,
  seededRandom,
  type WorldEmail,
  type WorldSubscriber,
} from '../support/buttondown-world.js'

const { values: options } = parseArgs({
  options: { port: { type: 'string', default: '4010' }, subscribers: { type: 'string', default: '2000' } },
})

const day = 86_400_000
const random = seededRandom(20)
const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]!
const firstNames = [
  'Inés',
  'Tomasz',
  'Hanne',
  'Wren',
  'Ada',
  'Mateo',
  'Noor',
  'Elif',
  'Jonas',
  'Priya',
  'Sorcha',
  'Luca',
]
const lastNames = [
  'Carrasco',
  'Wierzba',
  'Vestergaard',
  'Alderton',
  'Okonkwo',
  'Silvestri',
  'Haddad',
  'Yıldız',
  'Brandt',
]
const domains = ['fernmail.example', 'posteo.example', 'lente.example', 'littlewren.example']
const links = [
  'https://bindery.example/notebooks',
  'https://paperboat.example/autumn',
  'https://quiet.example/desk',
]
const devices = [
  { os: 'iOS', browser: 'Safari', ip_address: '203.0.113.9' },
  { os: 'Windows', browser: 'Firefox', ip_address: '198.51.100.23' },
  { os: 'macOS', browser: 'Apple Mail', ip_address: '17.58.97.4' },
  { os: 'Android', browser: 'Chrome', ip_address: '192.0.2.80' },
]

const world = new ButtondownWorld({ seed: 20 })
for (const [name, description] of [
  ['reader', 'Opens nearly everything'],
  ['press', 'Writes about us'],
  ['beta', null],
] as const)
  world.addTag({ name, description })

interface Reader {
  subscriber: WorldSubscriber
  /** From 0 to 1: how much of what comes is opened. */
  fond: number
}
const readers: Reader[] = []
for (let number = 1; number <= Number(options.subscribers); number++) {
  const [first, last] = [pick(firstNames), pick(lastNames)]
  const plain = `${first}.${last}`.normalize('NFD').replace(/[^\w.]/g, '')
  const at = Date.now() - Math.floor(random() * 300) * day
  const subscriber = world.addSubscriber({
    email: `${plain}${number}@${pick(domains)}`.toLowerCase(),
    at,
    type: random() < 0.03 ? 'unactivated' : 'regular',
    source: pick(['embedded_form', 'form', 'import']),
    metadata: random() < 0.7 ? { first_name: first, last_name: last } : {},
    tags: random() < 0.2 ? [pick(['reader', 'press', 'beta'])] : [],
  })
  if (subscriber.type === 'regular') readers.push({ subscriber, fond: random() ** 1.5 })
}

function happenTo({ subscriber, fond }: Reader, email: WorldEmail, at: number, until: number) {
  if (subscriber.at > at || subscriber.unsubscribedAt !== null) return
  if (random() < 0.01)
    return world.addEvent({ type: 'bounced', subscriber, email, at, metadata: { code: 'transient' } })
  world.addEvent({ type: 'delivered', subscriber, email, at })
  const device = pick(devices)
  const tell = (type: 'opened' | 'clicked' | 'replied', after: number, more: Record<string, string> = {}) => {
    if (at + after < until)
      world.addEvent({ type, subscriber, email, at: at + after, metadata: { ...device, ...more } })
  }
  if (random() > fond) return
  const after = Math.floor(random() ** 3 * 3 * day) + 90_000
  tell('opened', after)
  if (random() < fond * 0.4) tell('clicked', after + 30_000, { url: pick(links) })
  if (random() < fond * 0.02) tell('replied', after + 600_000)
  if (random() < 0.004 && at + after < until)
    world.unsubscribe(subscriber, { at: at + after + 60_000, email })
}

for (let week = 30; week >= 1; week--) {
  const at = Date.now() - week * 7 * day
  const email = world.addEmail({ subject: `Letter ${31 - week}`, at })
  for (const reader of readers) happenTo(reader, email, at, Date.now())
}

const standIn = await startButtondown({ port: Number(options.port), world, key: 'stand-in-key-0001' })
console.log(`A made-up newsletter with ${readers.length} readers and ${world.events.rows.length} events.

In a second terminal:

  BUTTONDOWN_API_URL=${standIn.url} npm start

and enter this API key on the page "Buttondown" of Throughline:

  ${standIn.key}

Once a webhook is registered, somebody reads something every few seconds. Ctrl-C ends it.`)

standIn.skipNews()
const news = setInterval(() => {
  const last = world.emails.rows.at(-1)!
  const { subscriber } = pick(readers)
  const metadata = { ...pick(devices), ...(random() < 0.3 ? { url: pick(links) } : {}) }
  world.addEvent({ type: 'url' in metadata ? 'clicked' : 'opened', subscriber, email: last, metadata })
  standIn.deliverNews({ email: true, metadata: 'nested' }).catch((error) => console.error(String(error)))
}, 3_000)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    clearInterval(news)
    void standIn.close().then(() => process.exit(0))
  })
