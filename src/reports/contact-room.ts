import type { ContactRoom } from '../audience/rooms.js'
import { eraseRecipient } from './recipients.js'

/**
 * What reports hold of a contact: where the archive names it among the most engaged, and its address among those to whom
 * reports are sent.
 */
export function reportRoom({ now }: { now: () => number }): ContactRoom {
  return {
    name: 'reports',
    async export(db, contact) {
      const rows = await db
        .selectFrom('report_people')
        .innerJoin('report_renderings', 'report_renderings.id', 'report_people.rendering_id')
        .select(['report_renderings.title', 'report_renderings.rendered_at', 'name', 'email'])
        .where('contact_id', '=', contact)
        .orderBy('rendered_at')
        .execute()
      return rows.map(({ title, rendered_at, ...named }) => ({
        report: title,
        rendered_at: new Date(rendered_at).toISOString(),
        ...named,
      }))
    },
    async erase(tx, contact, names) {
      await tx.deleteFrom('report_people').where('contact_id', '=', contact).execute()
      await eraseRecipient(tx, { contact, names, at: now() })
    },
    async merge(tx, from, into) {
      await tx.updateTable('report_people').set({ contact_id: into }).where('contact_id', '=', from).execute()
    },
  }
}
