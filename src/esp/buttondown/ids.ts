const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const prefix = /^[a-z](?:[a-z0-9_]{0,61}[a-z0-9])?$/
/** 26 digits hold 130 bits: the first may only be 0 to 7, or the number would not fit in a UUID. */
const suffix = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/

const digits = '0123456789abcdefghjkmnpqrstvwxyz'
const digitValues = new Uint8Array(128)
for (let value = 0; value < digits.length; value++) digitValues[digits.charCodeAt(value)] = value

/**
 * Buttondown spells one id in several ways: as a UUID, as a TypeID (`sub_` and the UUID as 26 digits of Crockford's
 * base32), and as `sub_` and the UUID. Webhooks and REST answers differ in it, so ids are only ever compared in this
 * form. The prefix is not looked at, as it differs between Buttondown's own documents.
 * @returns the UUID in lower case, or null for anything else
 */
export function canonicalId(text: string): string | null {
  const id = text.toLowerCase()
  if (id.length === 36 && uuid.test(id)) return id
  const end = id.lastIndexOf('_')
  if (end < 1 || !prefix.test(id.slice(0, end))) return null
  const rest = id.slice(end + 1)
  if (uuid.test(rest)) return rest
  return suffix.test(rest) ? decode(rest) : null
}

/**
 * What a text that names this UUID holds, in lower case: the UUID itself, or its 26 digits of base32.
 * @returns nothing for what is no UUID
 */
export function spellingsOf(id: string): string[] {
  if (!uuid.test(id)) return []
  const hex = id.replaceAll('-', '')
  let text = ''
  for (let number = BigInt(`0x${hex}`), at = 0; at < 26; at++, number >>= 5n)
    text = digits[Number(number & 31n)]! + text
  return [id, text]
}

/** Five bits in, four bits out. The first digit brings three, which makes 128. */
function decode(text: string) {
  let bits = digitValues[text.charCodeAt(0)]!
  let held = 3
  let hex = ''
  for (let at = 1; at < 26; at++) {
    bits = (bits << 5) | digitValues[text.charCodeAt(at)]!
    held += 5
    while (held >= 4) {
      held -= 4
      hex += (bits >> held).toString(16)
      bits &= (1 << held) - 1
    }
  }
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
