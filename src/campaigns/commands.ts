import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { isBusy, isReferred } from '../database/errors.js'
import type { Db } from '../database/open.js'
import { untie } from '../partners/ties.js'
import type { CampaignForm } from './forms.js'
import { getCampaign } from './queries.js'

/** A key that a landing script says when the campaign asks for one: 24 characters that fit a URL. */
const randomKey = () => randomBytes(18).toString('base64url')

/**
 * Makes a campaign, with its offer as the first entry of the offer's history.
 * @param by the account that made it; null for one nobody stands for
 * @param now milliseconds
 */
export async function createCampaign(
  db: Db,
  form: CampaignForm,
  { by, now }: { by: number | null; now: number },
) {
  return db.transaction().execute(async (tx) => {
    const { id } = await tx
      .insertInto('campaigns')
      .values({
        name: form.name,
        offer_url: form.offer_url,
        needs_key: form.needs_key ? 1 : 0,
        write_key: randomKey(),
        created_at: now,
        created_by: by,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    await tx
      .insertInto('campaign_offers')
      .values({ campaign_id: id, since_at: now, offer_url: form.offer_url })
      .execute()
    return { id }
  })
}

/**
 * Changes a campaign. Another offer URL goes into the history with the instant from which it holds.
 *
 * This and all that follow throw NotFound for a campaign that is not there. The event door answers from memory: call
 * `directory.forget(id)` after each of them.
 */
export async function editCampaign(db: Db, id: number, form: CampaignForm, now: number) {
  await db.transaction().execute(async (tx) => {
    const before = await getCampaign(tx, id)
    await tx
      .updateTable('campaigns')
      .set({ name: form.name, offer_url: form.offer_url, needs_key: form.needs_key ? 1 : 0 })
      .where('id', '=', id)
      .execute()
    if (before.offer_url === form.offer_url) return
    await tx
      .insertInto('campaign_offers')
      .values({ campaign_id: id, since_at: now, offer_url: form.offer_url })
      .onConflict((conflict) =>
        conflict.columns(['campaign_id', 'since_at']).doUpdateSet({ offer_url: form.offer_url }),
      )
      .execute()
  })
}

/** Gives the campaign another write key; the old one holds no longer. */
export async function changeWriteKey(db: Db, id: number) {
  await getCampaign(db, id)
  await db.updateTable('campaigns').set({ write_key: randomKey() }).where('id', '=', id).execute()
}

/** Puts a campaign out of sight. Its numbers stay, and events still count. */
export async function archiveCampaign(db: Db, id: number, now: number) {
  const { archived_at } = await getCampaign(db, id)
  if (archived_at !== null) return
  await db.updateTable('campaigns').set({ archived_at: now }).where('id', '=', id).execute()
}

export async function restoreCampaign(db: Db, id: number) {
  await getCampaign(db, id)
  await db.updateTable('campaigns').set({ archived_at: null }).where('id', '=', id).execute()
}

/**
 * The campaign is gone for everybody at once, and from its project; its facts follow bit by bit, see
 * `campaignRemover`.
 */
export async function deleteCampaign(db: Db, id: number, now: number) {
  await db.transaction().execute(async (tx) => {
    await getCampaign(tx, id)
    await tx.updateTable('campaigns').set({ deleted_at: now }).where('id', '=', id).execute()
    await untie(tx, 'campaign', id)
  })
}

/** Milliseconds: a piece of the removal that takes longer is made smaller the next time, so that no event waits. */
const longestPiece = 10

/**
 * Removes the facts of deleted campaigns in the background: events, journeys, counts, and last the campaign itself.
 * Each piece is a statement of some hundred rows, so the ledger's next transaction never waits long; after it the
 * writer is left alone for twice as long as it took. What a stop interrupts is taken up by the next `run`.
 */
export function campaignRemover({ db, log }: { db: Db; log: Logger }) {
  let rows = 200
  let running: Promise<void> | null = null
  let again = false
  let stopped = false

  async function removeAll() {
    for (;;) {
      again = false
      const deleted = await db
        .selectFrom('campaigns')
        .select('id')
        .where('deleted_at', 'is not', null)
        .execute()
      for (const { id } of deleted) await removeCampaign(id)
      if (stopped) return
      if (deleted.length > 0)
        log.info({ campaigns: deleted.map(({ id }) => id) }, 'deleted campaigns removed')
      if (!again) return
    }
  }

  async function removeCampaign(id: number) {
    for (const remove of pieces(db, id)) {
      while (!stopped) {
        const began = performance.now()
        const gone = await remove(rows).catch((error) => {
          if (isBusy(error)) return null // another process writes; come back in a moment
          if (!isReferred(error)) throw error
          // An event that was on its way through the ledger came in after the others had gone: once more.
          again = true
          return 0
        })
        const took = performance.now() - began
        if (took > longestPiece) rows = Math.max(50, Math.floor(rows / 2))
        else if (took < longestPiece / 4) rows = Math.min(400, rows + 50)
        if (gone === 0) break
        await pause(Math.max(2 * took, 2), undefined, { ref: false })
      }
    }
  }

  return {
    /** Answers, and never fails, when nothing deleted is left, or when stopped. Calls while it runs join it. */
    run(): Promise<void> {
      again = true
      running ??= removeAll()
        .catch((error) => log.error({ err: error }, 'deleted campaigns could not be removed'))
        .finally(() => {
          running = null
        })
      return running
    },
    /** Answers when the piece at hand is done; call it before the database closes. */
    async stop() {
      stopped = true
      await running
    },
  }
}
export type CampaignRemover = ReturnType<typeof campaignRemover>

/** What there is to remove, in the order that foreign keys allow. Each takes at most so many rows, and says how many. */
function pieces(db: Db, id: number): ((rows: number) => Promise<number>)[] {
  const affected = async (query: { executeTakeFirst(): Promise<{ numDeletedRows: bigint }> }) =>
    Number((await query.executeTakeFirst()).numDeletedRows)
  const byId = (table: 'events' | 'journeys') => (rows: number) =>
    affected(
      db
        .deleteFrom(table)
        .where('id', 'in', (query) =>
          query.selectFrom(table).select('id').where('campaign_id', '=', id).limit(rows),
        ),
    )
  const byKey =
    (
      table:
        | 'domain_counts'
        | 'journey_counts'
        | 'campaign_hours'
        | 'campaign_days'
        | 'sealed_journeys'
        | 'sealed_events'
        | 'sealed_places',
      key: string,
    ) =>
    (rows: number) =>
      affected(
        db
          .deleteFrom(table)
          .where('campaign_id', '=', id)
          .where(
            sql.ref(key),
            'in',
            sql`(select ${sql.ref(key)} from ${sql.table(table)} where campaign_id = ${id} limit ${rows})`,
          ),
      )
  return [
    byId('events'),
    byKey('sealed_journeys', 'contact_id'),
    byKey('sealed_events', 'quarter_at'),
    byKey('sealed_places', 'country'),
    byId('journeys'),
    byKey('journey_counts', 'domain_id'),
    byKey('domain_counts', 'domain_id'),
    byKey('campaign_hours', 'hour_at'),
    byKey('campaign_days', 'day_on'),
    () => affected(db.deleteFrom('campaign_counts').where('campaign_id', '=', id)),
    () => affected(db.deleteFrom('campaigns').where('id', '=', id)),
  ]
}
