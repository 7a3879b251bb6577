import { onTestFinished, vi } from 'vitest'
import { realClock } from '../../../src/esp/clock.js'
import { aFolder, testApp } from '../../support/app.js'
import { type StandInOptions, startButtondown } from '../../support/buttondown.js'

export const signingKey = 'local-test-signing-key-001'

/** Milliseconds that a request may take, as the client says: in a run, and while somebody waits for a page. */
const timeouts = [20_000, 8_000]

/** From now on what a client waits for between two tries is over at once; the time that a request may take is not. */
export function skipBackoff() {
  const after = realClock.after
  vi.spyOn(realClock, 'after').mockImplementation((milliseconds, run) =>
    after(timeouts.includes(milliseconds) ? milliseconds : 0, run),
  )
  onTestFinished(() => void vi.restoreAllMocks())
}

/** An application that is connected to a stand-in Buttondown. */
export async function aConnectedApp({
  standIn,
  env = {},
  dataDir = aFolder(),
  ...options
}: {
  standIn?: Awaited<ReturnType<typeof startButtondown>>
  env?: Record<string, string>
  dataDir?: string
} & StandInOptions = {}) {
  const buttondown = standIn ?? (await startButtondown(options))
  if (!standIn) onTestFinished(() => buttondown.close())
  const app = await testApp({
    dataDir,
    env: {
      BUTTONDOWN_API_URL: buttondown.url,
      BUTTONDOWN_API_KEY: buttondown.key,
      BUTTONDOWN_WEBHOOK_SIGNING_KEY: signingKey,
      BUTTONDOWN_REQUESTS_PER_MINUTE: '0',
      ...env,
    },
  })
  return {
    ...app,
    standIn: buttondown,
    world: buttondown.world,
    /** A delivery through the front door, as Buttondown sends it. */
    deliver(
      happening: Parameters<typeof buttondown.body>[0],
      shape: Parameters<typeof buttondown.body>[1] = {},
    ) {
      const body = buttondown.body(happening, shape)
      return app.http
        .post('/webhooks/buttondown')
        .set('Content-Type', 'application/json')
        .set(buttondown.signature(body, signingKey))
        .send(body)
    },
    /** Everything that is due is read. */
    read: () => app.buttondown.deliveries.run(),
    /** A sync from beginning to end. */
    async sync(kind?: 'first' | 'nightly' | 'manual') {
      await app.buttondown.sync.ask('the test', kind)
      await app.buttondown.sync.performWaiting()
    },
  }
}
export type ConnectedApp = Awaited<ReturnType<typeof aConnectedApp>>
