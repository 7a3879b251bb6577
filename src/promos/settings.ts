import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'

/** What one reported impression stands for: a text in an issue that many get, or one message that was rendered. */
export const impressionMeanings = ['issue', 'message'] as const
export type ImpressionMeaning = (typeof impressionMeanings)[number]

export interface PromoSettings {
  meaning: ImpressionMeaning
  /** Are referrer, device, user agent and hashed address of a click kept? */
  keepsMetadata: boolean
}

const names = { meaning: 'promo_impression_meaning', metadata: 'promo_click_metadata' }

/** Once per issue, and with metadata, until somebody decides otherwise. */
export async function readPromoSettings(db: Db): Promise<PromoSettings> {
  const [meaning, metadata] = [await readSetting(db, names.meaning), await readSetting(db, names.metadata)]
  return {
    meaning: impressionMeanings.find((known) => known === meaning) ?? 'issue',
    keepsMetadata: metadata !== '0',
  }
}

export async function writePromoSettings(db: Db, { meaning, keepsMetadata }: PromoSettings) {
  await db.transaction().execute(async (tx) => {
    await writeSetting(tx, names.meaning, meaning)
    await writeSetting(tx, names.metadata, keepsMetadata ? '1' : '0')
  })
}
