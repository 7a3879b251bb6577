import { onTestFinished } from 'vitest'
import { ButtondownClient, type ButtondownOptions } from '../../../src/esp/buttondown/client.js'
import { type StandInOptions, startButtondown } from '../../support/buttondown.js'
import { leapingClock } from '../../support/hand-clock.js'

/** A stand-in Buttondown that is gone when the test is over, and a client of it that waits for nothing. */
export async function aButtondown({
  client: options = {},
  ...standIn
}: StandInOptions & { client?: Partial<ButtondownOptions> } = {}) {
  const clock = leapingClock()
  const buttondown = await startButtondown({ now: clock.now, ...standIn })
  onTestFinished(() => buttondown.close())
  const client = new ButtondownClient({ key: buttondown.key, baseUrl: buttondown.url, clock, ...options })
  return { buttondown, world: buttondown.world, client, clock }
}

/** Everything on all the pages of a list. */
export async function everything<Item>(pages: AsyncIterable<{ items: Item[] }>) {
  const items: Item[] = []
  for await (const page of pages) items.push(...page.items)
  return items
}
