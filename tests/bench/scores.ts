import { scoringWatch } from './audience-database.js'
import { askForSync, signingKey, untilRun } from './backfill.js'
import type { Outcome } from './load.js'
import { client, type Running } from './processes.js'
import type { Mix } from './traffic.js'

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/**
 * Scores everybody in the running server, as it does at the end of a sync: one that brings nothing. The scores must
 * have been forgotten before.
 * @returns the milliseconds it took
 */
export async function scoreEverybody(dataDir: string) {
  const watch = scoringWatch(dataDir)
  const id = await askForSync(dataDir, 'manual')
  await untilRun(dataDir, id, ({ state }) => state === 'done')
  const from = performance.now()
  while (!watch.isDone()) await pause(5)
  const took = performance.now() - from
  watch.close()
  return took
}

interface Needs {
  dataDir: string
  server: Running
  mix: Omit<Mix, 'seed'>
  milliseconds: number
}

/** Both doors, two connections each, with nothing beside them and while everybody is scored. */
export async function scoreBesideDoors({ dataDir, server, mix, milliseconds }: Needs) {
  const [door, webhook] = [client(), client()]
  const { port } = server
  const newsletter = { subscribers: 10, mailings: 2, events: 0 }
  const spell = { port, connections: 2, milliseconds }
  const both = async () => {
    const [event, delivery] = await Promise.all([
      door.run({ ...spell, mix: { seed: 21, ...mix } }),
      webhook.run({ ...spell, mix: { seed: 22, key: signingKey, newsletter, unread: true } }),
    ])
    for (const { refused, requests } of [event, delivery])
      if (refused > 0) throw new Error(`${refused} of ${requests} requests were refused.`)
    return { event, delivery }
  }
  await both() // warms up
  server.longestWait()
  const alone = { ...(await both()), wait: server.longestWait() }

  let took: number | null = null
  const scored = scoreEverybody(dataDir).then((time) => {
    took = time
  })
  const spells: Awaited<ReturnType<typeof both>>[] = []
  while (took === null) spells.push(await both())
  await scored
  const beside = {
    event: longest(spells.map(({ event }) => event)),
    delivery: longest(spells.map(({ delivery }) => delivery)),
    wait: server.longestWait(),
  }
  door.stop()
  webhook.stop()
  return { took, alone, beside }
}

/** The worst of each: nothing that was slow is averaged away. */
function longest(outcomes: Outcome[]): Outcome {
  const worst = (name: keyof Outcome) => Math.max(...outcomes.map((outcome) => outcome[name]))
  return {
    requests: outcomes.reduce((sum, { requests }) => sum + requests, 0),
    refused: 0,
    perSecond: Math.min(...outcomes.map(({ perSecond }) => perSecond)),
    p50: worst('p50'),
    p99: worst('p99'),
    p999: worst('p999'),
    max: worst('max'),
  }
}
