import { describe, expect, it } from 'vitest'
import { signatureHeader } from '../../../src/esp/emailoctopus/webhook.js'
import { verifySignature } from '../../../src/esp/signature.js'

/** The test vector of our reference, computed there with two other implementations. */
const key = 'local-test-eo-secret-001'
const body = Buffer.from(
  '[{"id":"7c1b9e5e-3d0a-4a6e-9a53-0a1f6d2c8b11","type":"contact.opened","list_id":"0d5f8a52-6a0e-11ee-8c99-0242ac120002","contact_id":"1f0b7c3e-6a0e-11ee-8c99-0242ac120002","contact_email_address":"ada@example.com","campaign_id":"2b7d4e90-6a0e-11ee-8c99-0242ac120002","occurred_at":"2026-09-01T08:30:00+00:00"}]',
)
const header = 'sha256=764dfa42e1a9c43347a6bf8b25b9a8fb46adcbc19bcc84b6ce98499d9e531636'

describe('the signature of a delivery of EmailOctopus', () => {
  it('passes as EmailOctopus makes it, under its name', () => {
    expect(body.length).toBe(309)
    expect(verifySignature({ header, body, key })).toBe(true)
    expect(signatureHeader).toBe('EmailOctopus-Signature')
  })

  it('does not pass when it is missing, changed or of another key', () => {
    expect(verifySignature({ header: undefined, body, key })).toBe(false)
    expect(verifySignature({ header: header.slice(7), body, key })).toBe(false)
    expect(verifySignature({ header: header.replace('7', '8'), body, key })).toBe(false)
    expect(verifySignature({ header, body: Buffer.concat([body, Buffer.from('\n')]), key })).toBe(false)
    expect(verifySignature({ header, body, key: `${key} ` })).toBe(false)
    expect(verifySignature({ header, body, key: '' })).toBe(false)
  })
})
