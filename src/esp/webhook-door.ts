import express, { type ErrorRequestHandler, type RequestHandler, Router } from 'express'
import { isUnavailable } from '../database/errors.js'
import { LedgerFull, LedgerUnavailable } from '../ledger/ledger.js'
import { plainBody } from '../web/plain-body.js'
import type { DeliveryFact, DeliveryReceipt } from './inbox.js'
import type { ProviderKey } from './keys.js'
import type { WebhookRefusals } from './refusals.js'
import { verifySignature } from './signature.js'

interface Needs {
  provider: string
  /** As people call it. */
  name: string
  /** The header that holds the signature. */
  signatureHeader: string
  signingKey: ProviderKey
  /**
   * What is in a body whose signature is right.
   * @returns null when the body is not what the provider sends
   */
  read: (body: Buffer, receivedAt: number) => DeliveryFact[] | null
  /** What the provider sends: "a JSON array of events". */
  expected: string
  /** What a refused body says it is: shown to people, believed by nobody. */
  typeIn: (body: Buffer) => string | null
  /** Puts a delivery into the inbox; answers once it is on disk. */
  receive: (delivery: DeliveryFact) => Promise<DeliveryReceipt>
  refusals: WebhookRefusals
  /** Something new is in the inbox. */
  arrived: () => void
  now: () => number
}

/** Bytes of a body: Buttondown's own limit, and many times what a thousand events of EmailOctopus take. */
const bodyLimit = 10 * 1024 * 1024

/**
 * `POST /webhooks/<provider>`: a delivery that is signed with our key is written to the inbox, acknowledged, and read
 * afterwards. Refused ones are shown on the provider's page.
 */
export function webhookDoor({
  provider,
  name,
  signatureHeader,
  signingKey,
  read,
  expected,
  typeIn,
  receive,
  refusals,
  arrived,
  now,
}: Needs) {
  const answer: RequestHandler = async (req, res) => {
    const body: Buffer = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
    const at = now()
    const header = req.get(signatureHeader)
    const key = await signingKey.read()
    if (key === null || !verifySignature({ header, body, key })) {
      const reason =
        key === null
          ? 'no signing key is configured here'
          : header === undefined
            ? 'it was not signed'
            : 'its signature is not made with our signing key'
      const type = body.length > 64 * 1024 ? null : typeIn(body)
      refusals.add({ at, provider, reason, signed: header !== undefined, type })
      return void res.status(401).json({
        error: 'unauthorized',
        message: `This delivery was refused: ${reason}.`,
      })
    }
    const deliveries = read(body, at)
    if (!deliveries) {
      refusals.add({ at, provider, reason: `it is not ${expected}`, signed: true, type: null })
      return void res.status(400).json({
        error: 'validation_error',
        details: { body: `The body is ${expected}, as ${name} sends it.` },
      })
    }
    try {
      await Promise.all(deliveries.map(receive))
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
  const readBytes = plainBody(
    bodyLimit,
    (bytes) => bytes,
    express.raw({ type: () => true, limit: bodyLimit }),
  )
  routes.post('/', readBytes, answer)
  // Nobody has documented a handshake, and some senders look whether anybody is there.
  routes.get('/', (_req, res) =>
    res.json({ status: 'ok', message: `Deliveries of ${name} come here by POST.` }),
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
export type WebhookNeeds = Pick<Needs, 'receive' | 'signingKey' | 'refusals' | 'arrived' | 'now'>
