import type { ContactRoom } from '../audience/rooms.js'

/** What providers delivered about a contact, as it came. */
export function deliveriesRoom(): ContactRoom {
  return {
    name: 'deliveries',
    async export(db, contact) {
      const rows = await db
        .selectFrom('inbox')
        .select(['provider', 'event_type', 'received_at', 'state', 'body'])
        .where('contact_id', '=', contact)
        .orderBy('id')
        .execute()
      return rows.map(({ body, ...row }) => ({
        ...row,
        body: body === null ? null : Buffer.from(body).toString('utf8'),
      }))
    },
    async erase(tx, contact) {
      await tx.updateTable('inbox').set({ body: null }).where('contact_id', '=', contact).execute()
    },
    async merge(tx, from, into) {
      await tx.updateTable('inbox').set({ contact_id: into }).where('contact_id', '=', from).execute()
    },
  }
}
