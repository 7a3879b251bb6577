import { hash } from 'node:crypto'
import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express'
import { isUnavailable } from '../../database/errors.js'
import { LedgerFull, LedgerUnavailable } from '../../ledger/ledger.js'
import type { DeliveryFact, DeliveryReceipt } from '../inbox.js'
import type { ProviderKey } from '../keys.js'
import type { WebhookRefusals } from '../refusals.js'
import { canonicalId } from './ids.js'
import { envelopeIn, isRead, provider } from './reading.js'
import { verifySignature } from './signature.js'

interface Needs {
  /** Puts a delivery into the inbox; answers once it is on disk. */
  receive: (delivery: DeliveryFact) => Promise<DeliveryReceipt>
  signingKey: ProviderKey
  refusals: WebhookRefusals
  /** Something new is in the inbox. */
  arrived: () => void
  now: () => number
}

/** Buttondown's own limit. */
const bodyLimit = 10 * 1024 * 1024

/**
 * `POST /webhooks/buttondown`: a delivery that is signed with our key is written to the inbox, acknowledged, and read
 * afterwards. Refused ones are shown on the integration page.
 */
export function buttondownWebhook({ receive, signingKey, refusals, arrived, now }: Needs) {
  const answer: RequestHandler = async (req, res) => {
    const body: Buffer = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
    const at = now()
    const header = req.get('X-Buttondown-Signature')
    const key = await signingKey.read()
    if (key === null || !verifySignature({ header, body, key })) {
      const reason =
        key === null
          ? 'no signing key is configured here'
          : header === undefined
            ? 'it was not signed'
            : 'its signature is not made with our signing key'
      refusals.add({ at, provider, reason, signed: header !== undefined, type: typeIn(body) })
      return void res.status(401).json({
        error: 'unauthorized',
        message: `This delivery was refused: ${reason}.`,
      })
    }
    const envelope = envelopeIn(body)
    if (!envelope) {
      const reason = 'it is not JSON with event_type and data'
      refusals.add({ at, provider, reason, signed: true, type: null })
      return void res.status(400).json({
        error: 'validation_error',
        details: { body: 'The body is a JSON object with event_type and data, as Buttondown sends it.' },
      })
    }
    const { id, event_type: eventType } = envelope
    try {
      await receive({
        provider,
        key: (id === undefined ? null : (canonicalId(id) ?? id)) ?? hash('sha256', body),
        eventType,
        body,
        receivedAt: at,
        kept: !isRead(eventType),
      })
    } catch (error) {
      if (!(error instanceof LedgerFull || error instanceof LedgerUnavailable || isUnavailable(error)))
        throw error
      return void res.status(503).set('Retry-After', '5').json({
        error: 'unavailable',
        message: 'The delivery cannot be written at the moment. Send it again.',
      })
    }
    res.json({ status: 'ok' })
    arrived()
  }

  const unreadable: ErrorRequestHandler = (error, _req, res, next) => {
    const { status } = error as { status?: number }
    if (!status || status >= 500) return next(error)
    const message = status === 413 ? 'A delivery is 10 MB at the most.' : 'The body cannot be read.'
    res.status(status).json({ error: 'validation_error', details: { body: message } })
  }

  const routes = Router()
  routes.use((_req, res, next) => {
    res.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
    next()
  })
  routes.post('/', express.raw({ type: () => true, limit: bodyLimit }), answer)
  // Nobody has documented a handshake, and some senders look whether anybody is there.
  routes.get('/', (_req, res) =>
    res.json({ status: 'ok', message: 'Deliveries of Buttondown come here by POST.' }),
  )
  routes.all('/', (_req, res) =>
    res
      .status(405)
      .set('Allow', 'POST, GET, HEAD')
      .json({ error: 'method_not_allowed', message: 'Deliveries come by POST.' }),
  )
  routes.use(unreadable)
  return routes
}

/** What a refused delivery says it is: shown to people, believed by nobody. */
function typeIn(body: Buffer): string | null {
  if (body.length > 64 * 1024) return null
  const type = envelopeIn(body)?.event_type ?? ''
  return /^[a-z_.]{1,60}$/.test(type) ? type : null
}
