import type { Db } from '../database/open.js'

export interface Addressee {
  id: number
  name: string
  needsKey: boolean
  writeKey: string
}

/**
 * The campaigns as the event door knows them: from memory, since each event asks. Whoever changes a campaign calls
 * `forget`.
 */
export function campaignDirectory(db: Db) {
  const known = new Map<number, Addressee>()
  return {
    /** @returns null for an id that is not there, or no longer */
    async find(id: number): Promise<Addressee | null> {
      const remembered = known.get(id)
      if (remembered) return remembered
      const row = await db
        .selectFrom('campaigns')
        .select(['id', 'name', 'needs_key', 'write_key'])
        .where('id', '=', id)
        .where('deleted_at', 'is', null)
        .executeTakeFirst()
      if (!row) return null
      const campaign = { id: row.id, name: row.name, needsKey: row.needs_key === 1, writeKey: row.write_key }
      known.set(id, campaign)
      return campaign
    },
    forget: (id: number) => known.delete(id),
  }
}
export type CampaignDirectory = ReturnType<typeof campaignDirectory>
