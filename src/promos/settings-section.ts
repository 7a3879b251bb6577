import * as z from 'zod'
import type { SettingsSection } from '../accounts/settings.js'
import type { Db } from '../database/open.js'
import { formErrors } from '../web/forms.js'
import { impressionMeanings, readPromoSettings, writePromoSettings } from './settings.js'

const Form = z.object({
  impression_meaning: z.enum(impressionMeanings, 'Choose what an impression means.'),
  click_metadata: z.string().optional(),
})

/**
 * The page of the settings about promos.
 * @param changed called after saving: doors remember the settings
 */
export function promoSettingsSection({
  db,
  changed,
}: {
  db: Db
  changed: () => Promise<void>
}): SettingsSection {
  return {
    id: 'promos',
    title: 'Promos',
    fragment: 'promos/_settings.njk',
    async load() {
      const { meaning, keepsMetadata } = await readPromoSettings(db)
      return { impression_meaning: meaning, click_metadata: keepsMetadata ? '1' : '' }
    },
    async save(body) {
      const form = Form.safeParse(body)
      if (!form.success) return { errors: formErrors(form.error) }
      const keepsMetadata = form.data.click_metadata === '1'
      await writePromoSettings(db, { meaning: form.data.impression_meaning, keepsMetadata })
      await changed()
      return {
        told: keepsMetadata
          ? 'The settings hold from now on.'
          : 'From now on nothing is kept of a click but that it was there.',
      }
    },
  }
}
