import * as z from 'zod'
import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'
import { isMailAddress } from '../mail/addresses.js'
import type { sealer } from '../secret.js'

const percent = (sentence: string) => z.coerce.number(sentence).min(0.1, sentence).max(100, sentence)

/** What the page Alerts may send. Recipients are one to a line. */
export const AlertForm = z.object({
  recipients: z
    .string()
    .default('')
    .transform((text) => [...new Set(text.split(/[\s,;]+/).filter(Boolean))])
    .pipe(
      z
        .array(
          z.string().refine(isMailAddress, 'Write e-mail addresses such as ada@example.com, one to a line.'),
        )
        .max(20, 'Twenty recipients at most.'),
    ),
  webhook: z
    .string()
    .trim()
    .max(2000, 'The address is too long.')
    .default('')
    .refine(
      (text) => text === '' || isWebAddress(text),
      'Write an address that begins with https:// or http://, without a name or a password in it.',
    ),
  disk_percent: percent('Write a share from 0.1 to 100 per cent.').default(10),
  error_percent: percent('Write a share from 0.1 to 100 per cent.').default(5),
  backup_hours: z.coerce
    .number('Write a number of hours from 1 to 720.')
    .min(1, 'Write a number of hours from 1 to 720.')
    .max(720, 'Write a number of hours from 1 to 720.')
    .default(26),
})
export type AlertSettings = z.output<typeof AlertForm>

/** http or https, and nobody's credentials in it. */
export function isWebAddress(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return /^https?:$/.test(protocol) && username === '' && password === ''
}

/** Who is told, and of what. The webhook's address is a key to a chat room, and lies sealed. */
export function alertSettings({ db, seal }: { db: Db; seal: ReturnType<typeof sealer> }) {
  return {
    async read(): Promise<AlertSettings> {
      const [kept, sealed] = await Promise.all([readSetting(db, 'alerts'), readSetting(db, 'alerts_webhook')])
      const settings = AlertForm.parse({})
      if (kept) Object.assign(settings, JSON.parse(kept))
      return { ...settings, webhook: (sealed && seal.open(sealed)) || '' }
    },
    /** There is an address, sealed under another secret: as after a restore without the secret. */
    async isWebhookLost(): Promise<boolean> {
      const sealed = await readSetting(db, 'alerts_webhook')
      return Boolean(sealed) && seal.open(sealed!) === null
    },
    async save({ webhook, ...settings }: AlertSettings) {
      await db.transaction().execute(async (tx) => {
        await writeSetting(tx, 'alerts', JSON.stringify(settings))
        await writeSetting(tx, 'alerts_webhook', webhook && seal.seal(webhook))
      })
    },
  }
}
export type AlertSettingsKeeper = ReturnType<typeof alertSettings>
