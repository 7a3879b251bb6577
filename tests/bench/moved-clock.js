// Loaded into a server ahead of its program, in each of its threads: its clock goes wrong by as many milliseconds as the
// file CLOCK_FILE says, from a tenth of a second after that is written. Timers are not concerned, as with a real clock.
import { readFileSync } from 'node:fs'

const Real = Date
let off = 0
const look = () => {
  try {
    off = Number(readFileSync(process.env.CLOCK_FILE ?? '', 'utf8')) || 0
  } catch {
    off = 0
  }
}
look()
setInterval(look, 100).unref()

const now = () => Real.now() + off
globalThis.Date = /** @type {DateConstructor} */ (
  new Proxy(Real, {
    get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length ? args : [now()], newTarget),
    apply: () => new Real(now()).toString(),
  })
)
