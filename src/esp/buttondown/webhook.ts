import { hash } from 'node:crypto'
import { type WebhookNeeds, webhookDoor } from '../webhook-door.js'
import { canonicalId } from './ids.js'
import { envelopeIn, isRead, provider } from './reading.js'

/** `POST /webhooks/buttondown`: one event in each delivery. */
export const buttondownWebhook = (needs: WebhookNeeds) =>
  webhookDoor({
    ...needs,
    provider,
    name: 'Buttondown',
    signatureHeader: 'X-Buttondown-Signature',
    expected: 'a JSON object with event_type and data',
    read(body, receivedAt) {
      const envelope = envelopeIn(body)
      if (!envelope) return null
      const { id, event_type: eventType } = envelope
      const key = (id === undefined ? null : (canonicalId(id) ?? id)) ?? hash('sha256', body)
      return [{ provider, key, eventType, body, receivedAt, kept: !isRead(eventType) }]
    },
    typeIn(body) {
      const type = envelopeIn(body)?.event_type ?? ''
      return /^[a-z_.]{1,60}$/.test(type) ? type : null
    },
  })
