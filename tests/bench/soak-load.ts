import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { promoRequests } from './promos.js'
import {
  deliveryId,
  type Kind,
  kinds,
  type Message,
  type Orders,
  type Report,
  type Told,
} from './soak-facts.js'
import { deliveries, traffic } from './traffic.js'

// The client of the soak, in a process of its own: it tells facts at a steady pace, keeps what was acknowledged, and tells
// again what was not, as a sender does that wants nothing to be lost.

interface Fact {
  kind: Kind
  /** From 0, of its kind. */
  n: number
  bytes: Buffer
  tries: number
}

const tick = 5
const longest = 2_000

function soak(orders: Orders) {
  const { port, folder, pace } = orders
  const began = performance.now()
  const next: Record<Kind, () => Buffer> = {
    event: traffic(orders.mix),
    delivery: deliveries(orders.deliveries, deliveryId),
    impression: promoRequests({ ...orders.promos, seed: 1, door: 'impression' }),
  }
  const zero = () => ({
    sent: 0,
    acknowledged: 0,
    refused: 0,
    wrong: 0,
    broken: 0,
    lost: 0,
    again: 0,
    late: 0,
  })
  const told = { event: zero(), delivery: zero(), impression: zero() }
  const latencies: Record<Kind, number[]> = { event: [], delivery: [], impression: [] }
  /** By number: the id that an event was acknowledged with, 1 for others, 0 for what is not acknowledged. */
  const receipts: Record<Kind, number[]> = { event: [], delivery: [], impression: [] }
  const again: Record<Kind, Fact[]> = { event: [], delivery: [], impression: [] }
  const credit: Record<Kind, number> = { event: 0, delivery: 0, impression: 0 }
  const samples: string[] = []
  const idle: Line[] = []
  let isDown = false
  let isOver = false
  let isFinishing: (() => void) | null = null

  class Line {
    #socket: Socket | null = null
    #fact: Fact | null = null
    #at = 0
    #rest = ''

    open() {
      const socket = connect(port, '127.0.0.1')
      socket.setNoDelay(true)
      socket.on('connect', () => {
        this.#socket = socket
        idle.push(this)
      })
      socket.on('data', (part) => this.#read(part.toString('latin1')))
      socket.on('error', () => {})
      socket.on('close', () => {
        const fact = this.#fact
        if (idle.includes(this)) idle.splice(idle.indexOf(this), 1)
        this.#socket = null
        this.#fact = null
        this.#rest = ''
        if (fact) {
          told[fact.kind][isDown ? 'broken' : 'lost']++
          again[fact.kind].push(fact)
        }
        setTimeout(() => this.open(), 50)
      })
    }

    send(fact: Fact) {
      this.#fact = fact
      this.#at = performance.now()
      this.#socket!.write(fact.bytes)
    }

    #read(part: string) {
      this.#rest += part
      const end = this.#rest.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = this.#rest.slice(0, end)
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (this.#rest.length < end + 4 + length) return
      const body = this.#rest.slice(end + 4)
      this.#rest = ''
      const fact = this.#fact
      this.#fact = null
      if (!fact) return // a server that has waited long for a request says so
      this.#settle(fact, Number(head.slice(9, 12)), body, performance.now() - this.#at)
      if (this.#socket && !/connection: close/i.test(head)) idle.push(this)
    }

    #settle(fact: Fact, status: number, body: string, took: number) {
      const { kind, n } = fact
      const isSpooled = kind === 'impression' && status === 503 && body.includes('"spooled":true')
      if (status === 503 && !isSpooled) {
        told[kind].refused++
        again[kind].push(fact)
        return
      }
      latencies[kind].push(took)
      if (took > longest) {
        told[kind].late++
        if (samples.length < 20)
          samples.push(
            `${kind} ${n} took ${Math.round(took)} ms (${status}), ${Math.round((performance.now() - began) / 1000)} s after the first`,
          )
      }
      if (status !== 200 && status !== 204 && !isSpooled) {
        told[kind].wrong++
        if (samples.length < 20) samples.push(`${kind} ${n}: ${status} ${body.slice(0, 200)}`)
        return
      }
      if (fact.tries > 1) told[kind].again++
      told[kind].acknowledged++
      receipts[kind][n] = kind === 'event' ? Number(/"event_id":(\d+)/.exec(body)?.[1] ?? 0) : 1
    }
  }

  let last = performance.now()
  const pump = () => {
    const now = performance.now()
    const passed = Math.min(250, now - last) / 1000
    last = now
    for (const kind of kinds) {
      credit[kind] = Math.min(credit[kind] + passed * pace[kind], Math.max(1, pace[kind] / 4))
      while (credit[kind] >= 1 && idle.length > 0) {
        let fact = again[kind].shift()
        if (!fact) {
          if (isOver) break
          fact = { kind, n: told[kind].sent++, bytes: next[kind](), tries: 0 }
        }
        fact.tries++
        credit[kind]--
        idle.shift()!.send(fact)
      }
    }
    const isWhole = (kind: Kind) => told[kind].acknowledged + told[kind].wrong === told[kind].sent
    if (isFinishing && kinds.every(isWhole)) {
      for (const kind of kinds)
        writeFileSync(
          join(folder, `${kind}.acknowledged`),
          Float64Array.from(receipts[kind], (id) => id ?? 0),
        )
      isFinishing()
      isFinishing = null
    }
  }
  for (let line = 0; line < orders.connections; line++) new Line().open()
  setInterval(pump, tick)

  return {
    down(is: boolean) {
      isDown = is
    },
    report(): Report {
      const of = (kind: Kind): Told => {
        const sorted = Float64Array.from(latencies[kind]).sort()
        const at = (share: number) =>
          sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
        return { ...told[kind], p50: at(0.5), p99: at(0.99), max: at(1) }
      }
      return { event: of('event'), delivery: of('delivery'), impression: of('impression'), samples }
    },
    finish: () =>
      new Promise<void>((done) => {
        isOver = true
        isFinishing = done
      }),
  }
}

let running: ReturnType<typeof soak> | null = null
process.on('message', async (message: Message) => {
  if (message.ask === 'begin') running = soak(message)
  if (message.ask === 'down' || message.ask === 'up') running!.down(message.ask === 'down')
  if (message.ask === 'finish') await running!.finish()
  process.send!(message.ask === 'tell' || message.ask === 'finish' ? running!.report() : null)
})
process.on('disconnect', () => process.exit(0))
