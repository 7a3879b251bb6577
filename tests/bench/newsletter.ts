import { ButtondownWorld } from '../support/buttondown-world.js'

/** How much a newsletter at the stand-in holds. */
export interface NewsletterSize {
  subscribers: number
  mailings: number
  events: number
}

const week = 7 * 86_400_000
const links = [
  'https://longline.example/tide',
  'https://longline.example/nets',
  'https://knots.example/bowline',
]

/**
 * A newsletter with a weekly mailing: six events of ten are deliveries, in a row after each sending; opens and clicks
 * come in the two days after it. The ids hang on the size alone, and are the same without events.
 * @param until the instant of its last event, at the latest
 */
export function makeNewsletter({ subscribers, mailings, events }: NewsletterSize, until: number) {
  const world = new ButtondownWorld({ seed: 3 })
  const begin = until - mailings * week
  const people = Array.from({ length: subscribers }, (_, index) =>
    world.addSubscriber({
      email: `reader${index}@mail${index % 23}.example`,
      at: begin - week + index,
      metadata: index % 2 === 0 ? { first_name: `Reader ${index}` } : {},
      tags: index % 3 === 0 ? ['early reader'] : index % 5 === 0 ? ['press', 'early reader'] : [],
    }),
  )
  world.addTag({ name: 'early reader', at: begin })
  world.addTag({ name: 'press', at: begin })
  const sent = Array.from({ length: mailings }, (_, index) =>
    world.addEmail({ subject: `Letter ${index + 1}`, at: begin + index * week }),
  )

  const each = Math.floor(events / mailings)
  for (let event = 0; event < events; event++) {
    const mailing = sent[Math.min(mailings - 1, Math.floor(event / each))]!
    const turn = event % each
    const deliveries = Math.floor(each * 0.6)
    if (turn < deliveries) {
      const subscriber = people[turn % subscribers]!
      world.addEvent({ type: 'delivered', subscriber, email: mailing, at: mailing.at + 60_000 + turn * 20 })
      continue
    }
    // Some read every mailing, and read it twice; their deeds come in no order of people.
    const deed = turn - deliveries
    const subscriber = people[((deed * 7919) % Math.max(1, Math.floor(subscribers * 0.7))) % subscribers]!
    const clicked = deed % 10 < 3
    const spread = (2 * 86_400_000) / (each - deliveries)
    world.addEvent({
      type: clicked ? 'clicked' : 'opened',
      subscriber,
      email: mailing,
      at: Math.floor(mailing.at + 600_000 + deed * spread),
      metadata: {
        ip_address: `${11 + (deed % 150)}.${deed % 251}.${event % 241}.7`,
        ...(deed % 3 > 0 ? { os: 'iOS', browser: 'Safari' } : {}),
        ...(clicked ? { url: links[deed % links.length]! } : {}),
      },
    })
  }
  return world
}
