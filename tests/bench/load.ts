import { connect, type Socket } from 'node:net'
import { type PromoMix, promoRequests } from './promos.js'
import { type Deliveries, deliveries, type Mix, traffic } from './traffic.js'

/** One spell of load: how hard, how long, on whom. */
export interface Spell {
  port: number
  connections: number
  /** Ends after so many milliseconds or, when given, so many requests. */
  milliseconds: number
  requests?: number
  /**
   * How many requests come each second, whatever becomes of those before, as readers come; each is timed from the moment
   * at which it should have been sent. Without it every connection asks again as soon as it is answered.
   */
  pace?: number
  /** What is asked: events told to the door, or deliveries of a provider. */
  mix: Mix | Deliveries | PromoMix
  /** The class of the status that is right; 2 when nothing is said. */
  right?: 2 | 3
}
/** What came of it; latencies in milliseconds. */
export interface Outcome {
  requests: number
  refused: number
  perSecond: number
  p50: number
  p99: number
  p999: number
  max: number
}

/**
 * The client. It speaks HTTP over bare sockets, since Node's own client costs as much as the server it would
 * measure: on two cores it would be the bottleneck, and hide the difference.
 */
async function run({
  port,
  connections,
  milliseconds,
  requests = Number.POSITIVE_INFINITY,
  pace,
  mix,
  right = 2,
}: Spell): Promise<Outcome> {
  const next = mixes.get(mix.seed) ?? requestsOf(mix)
  mixes.set(mix.seed, next)
  const latencies: number[] = []
  let refused = 0
  let sent = 0
  const from = performance.now()
  const until = from + milliseconds

  await Promise.all(
    Array.from(
      { length: connections },
      () =>
        new Promise<void>((done, fail) => {
          const socket: Socket = connect(port, '127.0.0.1')
          socket.setNoDelay(true)
          let at = 0
          let rest: Buffer | null = null
          const send = () => {
            const now = performance.now()
            at = pace === undefined ? now : from + (sent / pace) * 1000
            if (now >= until || at >= until || sent >= requests) return void socket.end()
            sent++
            if (at <= now) socket.write(next())
            else setTimeout(() => socket.write(next()), Math.ceil(at - now))
          }
          socket.on('connect', send)
          socket.on('data', (part: Buffer) => {
            const answer: Buffer = rest ? Buffer.concat([rest, part]) : part
            if (!isWhole(answer)) {
              rest = answer
              return
            }
            rest = null
            latencies.push(performance.now() - at)
            // "HTTP/1.1 200": the tenth byte is the class of the status.
            if (answer[9] !== 0x30 + right) refused++
            send()
          })
          socket.on('close', () => done())
          socket.on('error', fail)
        }),
    ),
  )
  const seconds = (performance.now() - from) / 1000
  latencies.sort((a, b) => a - b)
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  return {
    requests: latencies.length,
    refused,
    perSecond: latencies.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    max: at(1),
  }
}
const requestsOf = (mix: Spell['mix']) =>
  'door' in mix ? promoRequests(mix) : 'newsletter' in mix ? deliveries(mix) : traffic(mix)

/** A client that is asked again goes on with people it has not been yet. */
const mixes = new Map<number, () => Buffer>()

function isWhole(answer: Buffer) {
  const end = answer.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /content-length: (\d+)/i.exec(answer.toString('latin1', 0, end))
  return answer.length >= end + 4 + Number(length?.[1] ?? 0)
}

process.on('message', (spell: Spell) => {
  run(spell).then(
    (outcome) => process.send?.(outcome),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))
