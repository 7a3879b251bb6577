// What Express alone can serve: the same answer as the event door's, as anybody would write it, with nothing read and
// nothing stored.
import express from 'express'

const app = express()

let id = 0
app.get('/api/event', (_req, res) => {
  res.json({ status: 'ok', event_id: ++id })
})

const server = app.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(JSON.stringify({ port, msg: 'listening' }))
})
process.on('SIGTERM', () => process.exit(0))
