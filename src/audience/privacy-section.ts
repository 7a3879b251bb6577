import * as z from 'zod'
import type { SettingsSection } from '../accounts/settings.js'
import type { Db } from '../database/open.js'
import { formErrors } from '../web/forms.js'
import { addressPrivacies, addressPrivacy, setAddressPrivacy } from './internet-addresses.js'

const PrivacyForm = z.object({
  address_privacy: z.enum(addressPrivacies, 'Choose what to keep of an address.'),
})

const told = {
  hashed: 'Addresses are kept as hashes from now on.',
  raw: 'Addresses are kept as they are from now on.',
  none: 'Addresses are not kept from now on.',
}

/**
 * The privacy page of the settings.
 * @param changed called after saving: recorders remember the setting
 */
export function privacySection({ db, changed }: { db: Db; changed: () => void }): SettingsSection {
  return {
    id: 'privacy',
    title: 'Privacy',
    fragment: 'audience/_privacy.njk',
    load: async () => ({ address_privacy: await addressPrivacy(db) }),
    async save(body) {
      const form = PrivacyForm.safeParse(body)
      if (!form.success) return { errors: formErrors(form.error) }
      await setAddressPrivacy(db, form.data.address_privacy)
      changed()
      return { told: told[form.data.address_privacy] }
    },
  }
}
