// Loaded into a server ahead of its program: tells five times a second how long, in milliseconds, something that was
// due had to wait for its turn at the most.
import { isMainThread } from 'node:worker_threads'

const pace = 5
if (isMainThread) {
  let last = performance.now()
  let longest = 0
  setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last - pace)
    last = now
  }, pace).unref()
  setInterval(() => {
    console.log(JSON.stringify({ msg: 'event loop', longest }))
    longest = 0
  }, 200).unref()
}
