// What Express alone can serve: the same answers as the doors', as anybody would write it, with nothing read and
// nothing stored.
import express from 'express'

const app = express()

let id = 0
app.get('/api/event', (_req, res) => {
  res.json({ status: 'ok', event_id: ++id })
})

// The same for what comes as JSON and is answered with nothing.
app.post('/api/v1/promo/:what', express.json(), (_req, res) => {
  res.status(204).end()
})

const server = app.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(JSON.stringify({ port, msg: 'listening' }))
})
process.on('SIGTERM', () => process.exit(0))
