import { onTestFinished } from 'vitest'
import { EmailOctopusClient, type EmailOctopusOptions } from '../../../src/esp/emailoctopus/client.js'
import { type StandInOptions, startEmailOctopus } from '../../support/emailoctopus.js'
import { leapingClock } from '../../support/hand-clock.js'

/** A stand-in EmailOctopus that is gone when the test is over, and a client of it that waits for nothing. */
export async function anEmailOctopus({
  client: options = {},
  ...standIn
}: StandInOptions & { client?: Partial<EmailOctopusOptions> } = {}) {
  const clock = leapingClock()
  const octopus = await startEmailOctopus({ now: clock.now, ...standIn })
  onTestFinished(() => octopus.close())
  const client = new EmailOctopusClient({
    key: octopus.key,
    baseUrl: octopus.url,
    clock,
    limit: null,
    ...options,
  })
  return { octopus, world: octopus.world, client, clock }
}

/** Everything on all the pages of a list. */
export async function everything<Item>(pages: AsyncIterable<{ items: Item[] }>) {
  const items: Item[] = []
  for await (const page of pages) items.push(...page.items)
  return items
}
