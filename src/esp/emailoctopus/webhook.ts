import type { DeliveryFact } from '../inbox.js'
import { type WebhookNeeds, webhookDoor } from '../webhook-door.js'
import { elementsIn, eventIn, isRead, keyOf, mostEvents } from './events.js'
import { provider } from './mapping.js'

export const signatureHeader = 'EmailOctopus-Signature'

/**
 * `POST /webhooks/emailoctopus`: a delivery is an array of events, and each of them goes into the inbox by itself: one
 * that is wrong keeps none of the others up, and one that is sent again is known by its own id.
 */
export const emailOctopusWebhook = (needs: WebhookNeeds) =>
  webhookDoor({
    ...needs,
    provider,
    name: 'EmailOctopus',
    signatureHeader,
    expected: `a JSON array of at most ${mostEvents} events`,
    read(body, receivedAt) {
      const elements = elementsIn(body)
      if (!elements || elements.length > mostEvents) return null
      return elements.map((element): DeliveryFact => {
        const text = JSON.stringify(element)
        const event = eventIn(element)
        return {
          provider,
          key: keyOf(event, text),
          eventType: event?.type ?? 'unreadable',
          body: Buffer.from(text),
          receivedAt,
          kept: !isRead(event),
        }
      })
    },
    typeIn(body) {
      const type = eventIn(elementsIn(body)?.[0])?.type ?? ''
      return /^[a-z_.]{1,60}$/.test(type) ? type : null
    },
  })
