import { onTestFinished } from 'vitest'
import { aFolder, stoppedClock, testApp } from '../../support/app.js'
import {
  type EmailOctopusStandIn,
  type StandInOptions,
  startEmailOctopus,
} from '../../support/emailoctopus.js'
import type { Happening } from '../../support/emailoctopus-world.js'

export const webhookSecret = 'local-test-eo-secret-001'

/** An application that is connected to a stand-in EmailOctopus with the same clock. */
export async function aConnectedOctopus({
  standIn,
  env = {},
  dataDir = aFolder(),
  clock = stoppedClock(),
  ...options
}: {
  standIn?: EmailOctopusStandIn
  env?: Record<string, string>
  dataDir?: string
  clock?: ReturnType<typeof stoppedClock>
} & StandInOptions = {}) {
  const octopus = standIn ?? (await startEmailOctopus({ now: clock.now, ...options }))
  if (!standIn) onTestFinished(() => octopus.close())
  const app = await testApp({
    dataDir,
    clock,
    env: {
      EMAILOCTOPUS_API_URL: octopus.url,
      EMAILOCTOPUS_API_KEY: octopus.key,
      EMAILOCTOPUS_WEBHOOK_SECRET: webhookSecret,
      EMAILOCTOPUS_REQUESTS_PER_SECOND: '0',
      ...env,
    },
  })
  return {
    ...app,
    standIn: octopus,
    world: octopus.world,
    /** A delivery through the front door, as EmailOctopus sends it. */
    deliver(happenings: Happening[], body = octopus.body(happenings)) {
      return app.http
        .post('/webhooks/emailoctopus')
        .set('Content-Type', 'application/json')
        .set(octopus.signature(body, webhookSecret))
        .send(body)
    },
    /** Everything that is due is read. */
    read: () => app.emailOctopus.deliveries.run(),
    /** A sync from beginning to end. */
    async sync(kind?: 'first' | 'nightly' | 'manual') {
      const { run } = await app.emailOctopus.sync.ask('the test', kind)
      await app.emailOctopus.sync.performWaiting()
      return run
    },
  }
}
export type ConnectedOctopus = Awaited<ReturnType<typeof aConnectedOctopus>>
