import * as z from 'zod'
import { peopleSteps } from '../campaigns/metrics.js'
import type { Db } from '../database/open.js'

/** The tracker's campaign that follows a mailing's readers further. */
export interface FollowingCampaign {
  id: number
  name: string
  /** Unique people of the whole campaign. */
  landed: number
  converted: number
  /** How many mailings are tied to it, this one included: the people are those of all of them. */
  mailings: number
}

/**
 * The campaign a mailing is tied to, with its people from the counts; null for none, or for one that was deleted since.
 * @param options.machines counts in those for whom only a machine acted
 */
export async function campaignOf(
  db: Db,
  mailing: number,
  { machines }: { machines: boolean },
): Promise<FollowingCampaign | null> {
  const row = await db
    .selectFrom('mailings')
    .innerJoin('campaigns', 'campaigns.id', 'mailings.campaign_id')
    .leftJoin('campaign_counts as counts', 'counts.campaign_id', 'campaigns.id')
    .select(['campaigns.id', 'campaigns.name'])
    .select(['counts.people_email_clicks', 'counts.people_landing_clicks', 'counts.people_conversions'])
    .select(['counts.all_people_email_clicks', 'counts.all_people_landing_clicks'])
    .select('counts.all_people_conversions')
    .select((eb) =>
      eb
        .selectFrom('mailings as others')
        .whereRef('others.campaign_id', '=', 'campaigns.id')
        .select(({ fn }) => fn.countAll<number>().as('mailings'))
        .as('mailings'),
    )
    .where('mailings.id', '=', mailing)
    .where('campaigns.deleted_at', 'is', null)
    .executeTakeFirst()
  if (!row) return null
  const people = peopleSteps(
    {
      people_email_clicks: row.people_email_clicks ?? 0,
      people_landing_clicks: row.people_landing_clicks ?? 0,
      people_conversions: row.people_conversions ?? 0,
      all_people_email_clicks: row.all_people_email_clicks ?? 0,
      all_people_landing_clicks: row.all_people_landing_clicks ?? 0,
      all_people_conversions: row.all_people_conversions ?? 0,
    },
    { machines },
  )
  return {
    id: row.id,
    name: row.name,
    landed: people.landing_clicks,
    converted: people.conversions,
    mailings: row.mailings ?? 1,
  }
}

/** The campaigns a mailing can be tied to, by name: all that are not archived, and the one it is tied to. */
export const campaignChoices = (db: Db, current: number | null) =>
  db
    .selectFrom('campaigns')
    .select(['id', 'name'])
    .where('deleted_at', 'is', null)
    .where(({ eb, or }) => or([eb('archived_at', 'is', null), eb('id', '=', current ?? 0)]))
    .orderBy('name')
    .orderBy('id')
    .execute()

/** What a person may send to tie a mailing: the number of a campaign, or nothing to untie it. */
export const CampaignTie = z.object({
  campaign: z
    .string('Choose a campaign, or none.')
    .trim()
    .regex(/^\d{0,15}$/, 'Choose a campaign, or none.')
    .transform((text) => (text === '' ? null : Number(text))),
})

/**
 * Ties a mailing to a campaign, or (null) to none.
 * @returns the name of the campaign, or null for none; undefined where there is no such campaign, and nothing changed
 */
export async function tieCampaign(
  db: Db,
  mailing: number,
  campaign: number | null,
): Promise<string | null | undefined> {
  return db.transaction().execute(async (tx) => {
    const found =
      campaign === null
        ? null
        : await tx
            .selectFrom('campaigns')
            .select(['id', 'name'])
            .where('id', '=', campaign)
            .where('deleted_at', 'is', null)
            .executeTakeFirst()
    if (found === undefined) return undefined
    await tx
      .updateTable('mailings')
      .set({ campaign_id: found?.id ?? null })
      .where('id', '=', mailing)
      .execute()
    return found?.name ?? null
  })
}
