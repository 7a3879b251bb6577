// A letter's addresses, as people write them. Whether somebody reads there only the mail server finds out.

const mailbox = /^[^\s@<>(),;:"[\]\\]+@[^\s@<>(),;:"[\]\\]+\.[^\s@<>(),;:"[\]\\.]{2,}$/

/** `ada@example.com`, of at most 254 characters (RFC 5321, § 4.5.3.1.3). */
export const isMailAddress = (text: string) => text.length <= 254 && mailbox.test(text)

/** `Paperboat reports <reports@example.com>`, or the address alone; null for anything else. */
export function readSender(text: string): { name: string; address: string } | null {
  const [, name = '', inBrackets, alone] = /^(?:([^<>\p{Cc}]*)<([^<>]+)>|([^<>]+))$/u.exec(text.trim()) ?? []
  const address = (inBrackets ?? alone ?? '').trim()
  return isMailAddress(address) ? { name: name.trim().replace(/^"(.*)"$/, '$1'), address } : null
}
