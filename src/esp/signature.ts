import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * Was this body signed with our key? Buttondown and EmailOctopus both send, each in a header of its own, `sha256=` and the
 * HMAC-SHA256 of the raw body in 64 lower-case hex digits. There is no time in it: a replay is caught by the delivery's
 * id alone.
 * @param header as it came; undefined when there was none
 * @param body the bytes as they came, before any parsing
 * @param key the webhook's signing key; an empty one signs nothing, so nothing passes
 */
export function verifySignature({
  header,
  body,
  key,
}: {
  header: string | undefined
  body: Buffer
  key: string
}): boolean {
  if (key === '' || header === undefined) return false
  const expected = Buffer.from(`sha256=${createHmac('sha256', key).update(body).digest('hex')}`)
  const given = Buffer.from(header)
  // timingSafeEqual throws on unequal lengths, and the length of a right signature is no secret.
  return given.length === expected.length && timingSafeEqual(given, expected)
}
