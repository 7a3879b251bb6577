import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Outcome } from './load.js'
import { type Client, start } from './processes.js'
import type { Mix } from './traffic.js'

const here = dirname(fileURLToPath(import.meta.url))

/**
 * Events a second on a busy day, all day long: a campaign to 60,000 people of whom each tells of one thing within ten
 * minutes. Half of what the door takes, and as much as it takes, is measured beside it.
 */
export const busyDay = 100

interface Needs {
  client: Client
  /** Where the event door listens. */
  port: number
  mix: Mix
  rounds: number
  milliseconds: number
}

/**
 * The event door against a bare Express route, in turns, so that whatever else the machine does falls on both. The
 * first turn of each warms it up and is not counted.
 * @returns medians over the rounds, and `told`: all events that the door acknowledged
 */
export async function compareIngestion({ client, port, mix, rounds, milliseconds }: Needs) {
  const bare = await start(join(here, 'bare.js'))
  const spells: Record<'bare' | 'door', Outcome[]> = { bare: [], door: [] }
  let told = 0
  try {
    for (let round = 0; round <= rounds; round++)
      for (const [name, target] of [
        ['bare', bare.port],
        ['door', port],
      ] as const) {
        const spell = {
          port: target,
          connections: 32,
          milliseconds,
          mix: { ...mix, seed: name === 'bare' ? 1 : 2 },
        }
        const outcome = await client.run(spell)
        if (outcome.refused > 0)
          throw new Error(`${outcome.refused} of ${outcome.requests} requests were refused.`)
        if (name === 'door') told += outcome.requests
        if (round > 0) spells[name].push(outcome)
      }
  } finally {
    await bare.stop()
  }
  const ratios = spells.door.map((outcome, round) => outcome.perSecond / spells.bare[round]!.perSecond)
  return { bare: together(spells.bare), door: together(spells.door), ratio: median(ratios), told }
}

/** Medians over the rounds; the largest of the maxima. */
export function together(outcomes: Outcome[]): Outcome {
  const middle = (name: keyof Outcome) => median(outcomes.map((outcome) => outcome[name]))
  return {
    requests: outcomes.reduce((sum, outcome) => sum + outcome.requests, 0),
    refused: 0,
    perSecond: middle('perSecond'),
    p50: middle('p50'),
    p99: middle('p99'),
    p999: middle('p999'),
    max: Math.max(...outcomes.map((outcome) => outcome.max)),
  }
}

export function median(values: number[]) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}
