import { setTimeout as pause } from 'node:timers/promises'
import { traces } from './engagements.js'
import type { Dice, Reader } from './readers.js'
import { type Told, toldAs } from './record-provider.js'
import { publishers, type Story } from './stories.js'
import { type Subscriber, uuid } from './subscribers.js'

interface Needs {
  stories: Story[]
  /** Ids of the stories' campaigns. */
  campaigns: number[]
  readers: Reader[]
  dice: Dice
  /** Everybody who ever subscribed to the newsletter, and the issue that they read now. */
  subscribers: Subscriber[]
  issue: { id: string; links: string[] }
  /** Puts what the provider's webhook would bring where the webhook puts it. */
  deliver: (told: Told) => Promise<unknown>
  now: () => number
  /** Where the server listens, such as `http://127.0.0.1:3000`. */
  origin: string
  /** Waits so many milliseconds. By default it keeps no process alive. */
  sleep?: (milliseconds: number) => Promise<unknown>
}

const unheld = (milliseconds: number) => pause(milliseconds, undefined, { ref: false })

/**
 * Goes on telling a few events a minute through the event door, as a landing page's server would, and now and then of
 * an open or a click of the newsletter, for as long as the process lives, so that the pages move.
 */
export async function trickle({
  stories,
  campaigns,
  readers,
  dice,
  origin,
  sleep = unheld,
  ...letter
}: Needs) {
  const { pick, below, chance } = dice
  const live = stories
    .map((story, index) => ({ story, cid: campaigns[index]! }))
    .filter(({ story }) => story.archivedDaysAgo === undefined && story.domains.length > 0 && !story.needsKey)
  let order = 90_000

  async function tell(parameters: Record<string, string>) {
    await fetch(`${origin}/api/event?${new URLSearchParams(parameters)}`).catch(() => null) // shutting down
  }

  async function visit() {
    const { story, cid } = pick(live)
    const domain = pick(story.domains.filter((name) => name !== story.silent?.domain))
    const publisher = publishers.findIndex((one) => one.domain === domain)
    const reader = pick(readers.filter(({ reads, scanned }) => !scanned && reads.includes(publisher)))
    const who = { cid: String(cid), email: reader.email, domain }
    const seen = { ip: reader.address, ua: pick(reader.userAgents) }
    await tell({
      ...who,
      ...seen,
      event: 'email_click',
      link: String(1 + below(4)),
      utm_source: 'newsletter',
    })
    if (!chance(story.lands)) return
    await sleep(2_000 + below(20_000))
    await tell({ ...who, ...seen, event: 'landing_click' })
    if (!chance(story.buys * 2)) return
    await sleep(10_000 + below(40_000))
    await tell({ ...who, event: 'conversion', order: `A-${++order}`, value: '39.00', currency: 'EUR' })
  }

  const reading = letter.subscribers.filter(
    ({ manner, mail, status, reader }) =>
      status === 'subscribed' &&
      mail === 'own' &&
      !reader.scanned &&
      (manner === 'champion' || manner === 'active' || manner === 'rising'),
  )
  async function read() {
    const subscriber = pick(reading)
    const told = { subscriber: subscriber.id, email: letter.issue.id }
    const seen = traces(subscriber)
    await letter.deliver(
      toldAs({ ...seen, id: uuid(dice), kind: 'opened', at: letter.now(), url: null }, told),
    )
    if (!chance(0.4)) return
    await sleep(6_000 + below(30_000))
    const url = pick(letter.issue.links)
    await letter.deliver(toldAs({ ...seen, id: uuid(dice), kind: 'clicked', at: letter.now(), url }, told))
  }

  // The empty campaign's integration page has something to explain: a mailing tool that did not know a field.
  const empty = stories.findIndex((story) => story.domains.length === 0)
  await tell({
    cid: String(campaigns[empty]),
    event: 'email_click',
    email: '{email}',
    domain: publishers[3]!.domain,
  })
  for (;;) {
    void visit()
    if (reading.length > 0 && chance(0.5)) void read()
    await sleep(4_000 + below(12_000))
  }
}
