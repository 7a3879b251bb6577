import argon2 from 'argon2'
import { commonPasswords, commonWords } from './common-passwords.js'

/** argon2id with the least that OWASP asks for: 19 MiB, two passes. Some 40 ms on a small machine. */
const cost = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

const shortestPassword = 10
const longestPassword = 200

/** The same characters may arrive composed or not, depending on the keyboard. */
const normalised = (password: string) => password.normalize('NFKC')

export const hashPassword = (password: string) => argon2.hash(normalised(password), cost)

/** Costs as much to check as any other, and belongs to no password. */
const nobody = `$argon2id$v=19$m=${cost.memoryCost},t=${cost.timeCost},p=${cost.parallelism}$${'A'.repeat(22)}$${'A'.repeat(43)}`

/**
 * Does the password belong to the hash? Without a hash it takes as long and says no, so that time does not tell
 * which names exist.
 */
export async function checkPassword(hash: string | undefined, password: string): Promise<boolean> {
  const correct = await argon2.verify(hash ?? nobody, normalised(password))
  return hash !== undefined && correct
}

const rowsOfKeys = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890123456789',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  'azertyuiopqsdfghjklmwxcvbn',
  '1234567890qwertyuiop',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
].flatMap((row) => [row, [...row].reverse().join('')])

const disguises: Record<string, string> = {
  '@': 'a',
  '4': 'a',
  '0': 'o',
  '1': 'i',
  '!': 'i',
  '3': 'e',
  $: 's',
  '5': 's',
  '7': 't',
}

/**
 * Why this password will not do, in one sentence, or null when it will. Long and not easily guessed is all that is
 * asked for; signs and capitals are nobody's business (NIST SP 800-63B).
 */
export function passwordComplaint(password: string, { username }: { username: string }): string | null {
  const plain = normalised(password).toLowerCase()
  const length = [...plain].length
  if (length < shortestPassword) return `The password needs at least ${shortestPassword} characters.`
  if (length > longestPassword) return `Keep the password under ${longestPassword + 1} characters.`
  const name = username.trim().toLowerCase()
  if (name.length >= 4 && plain.includes(name)) return 'The password contains the name. Choose another one.'
  if (repeats(plain)) return 'The password repeats the same few characters. Choose another one.'
  if (rowsOfKeys.some((row) => row.includes(plain)))
    return 'The password is a row of keys or letters. Choose another one.'
  if (isCommon(plain)) return 'The password is among the first that others would guess. Choose another one.'
  return null
}

/** "aaaaaaaaaa", "abababababab", "ada1ada1ada1": a piece of up to half the length, again and again. */
function repeats(text: string) {
  if (new Set(text).size <= 3) return true
  for (let piece = 1; piece <= text.length / 2; piece++)
    if (
      text ===
      text
        .slice(0, piece)
        .repeat(Math.ceil(text.length / piece))
        .slice(0, text.length)
    )
      return true
  return false
}

function isCommon(plain: string) {
  if (commonPasswords.has(plain) || commonPasswords.has(plain.replace(/[\s\p{P}]/gu, ''))) return true
  const core = plain.replace(/^[^\p{L}]+|[\d\p{P}\p{S}\s]+$/gu, '')
  const undisguised = [...core].map((sign) => disguises[sign] ?? sign).join('')
  return [core, undisguised].some(
    (word) => commonPasswords.has(word) || commonWords.has(word) || isTwoCommonWords(word),
  )
}

function isTwoCommonWords(text: string) {
  for (let at = 2; at < text.length - 1; at++)
    if (commonWords.has(text.slice(0, at)) && commonWords.has(text.slice(at).replace(/^[^\p{L}]+/u, '')))
      return true
  return false
}
