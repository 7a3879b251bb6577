import type { Db } from '../database/open.js'

/** Addresses as the database keeps them: one a line. */
export const addressesIn = (lines: string) => lines.split('\n').filter((line) => line !== '')

/** Addresses that a person wrote, each once: no server tells capitals in them apart. */
export function eachOnce(addresses: readonly string[]): string[] {
  const known = new Map<string, string>()
  for (const address of addresses)
    if (!known.has(address.toLowerCase())) known.set(address.toLowerCase(), address)
  return [...known.values()]
}

/** What a delivery to somebody who was erased says instead of the address, with the contact's number behind it. */
export const erasedRecipient = 'erased:'

/** How the failure of what was called off begins: somebody wanted that, so it is nobody's trouble. */
export const calledOff = 'Called off'

/**
 * Takes an erased contact out of all that is sent by e-mail: schedules, runs and the addresses of partners forget it, and
 * what waits for it is called off. What was sent stays as something that was sent to somebody.
 * @param given.names the addresses that the contact had
 * @param given.at milliseconds
 */
export async function eraseRecipient(
  tx: Db,
  { contact, names, at }: { contact: number; names: readonly string[]; at: number },
) {
  const erased = new Set(names.map((name) => name.toLowerCase()))
  const isErased = (address: string) => erased.has(address.toLowerCase())
  const without = (lines: string) => {
    const addresses = addressesIn(lines)
    const kept = addresses.filter((address) => !isErased(address))
    return kept.length < addresses.length ? kept.join('\n') : null
  }
  for (const table of ['report_schedules', 'report_runs'] as const) {
    const rows = await tx
      .selectFrom(table)
      .select(['id', 'recipients'])
      .where('recipients', '<>', '')
      .execute()
    for (const { id, recipients } of rows) {
      const kept = without(recipients)
      if (kept !== null) await tx.updateTable(table).set({ recipients: kept }).where('id', '=', id).execute()
    }
  }
  for (const { id, emails } of await tx.selectFrom('partners').select(['id', 'emails']).execute()) {
    const kept = without(emails)
    if (kept !== null) await tx.updateTable('partners').set({ emails: kept }).where('id', '=', id).execute()
  }
  const deliveries = await tx
    .selectFrom('report_deliveries')
    .select(['id', 'state'])
    .where(({ eb, fn }) => eb(fn<string>('lower', ['recipient']), 'in', [...erased]))
    .execute()
  for (const { id, state } of deliveries)
    await tx
      .updateTable('report_deliveries')
      .set({
        recipient: `${erasedRecipient}${contact}`,
        ...(state === 'waiting'
          ? {
              state: 'failed' as const,
              failure: `${calledOff}: whoever it was for was erased.`,
              ended_at: at,
            }
          : {}),
      })
      .where('id', '=', id)
      .execute()
}
