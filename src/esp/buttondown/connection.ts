import { randomBytes } from 'node:crypto'
import { findOrAddList } from '../../audience/people.js'
import type { Db } from '../../database/open.js'
import { readSetting, writeSetting } from '../../database/settings.js'
import type { ProviderKey } from '../keys.js'
import { ProviderError } from '../provider-error.js'
import { ButtondownClient } from './client.js'
import { provider, readTypes } from './reading.js'

/** What was last heard of our webhook at Buttondown. */
export interface WebhookState {
  id: string
  /** `enabled` or `disabled`; `missing` when it is not registered. */
  status: string
  /** Does it sign with our key? */
  signing: 'none' | 'ours' | 'other'
  checkedAt: number
}

interface Needs {
  db: Db
  apiKey: ProviderKey
  signingKey: ProviderKey
  apiUrl: string
  /** Null where the stand-in of a test knows no limit. */
  perMinute: number | null
  /** Where Buttondown finds us. */
  webhookUrl: string
  now: () => number
}

const webhookSetting = 'buttondown_webhook'
/** The list of a newsletter whose name nobody has told yet. */
const unnamed = 'newsletter'

/** The key, the list and the webhook: how this installation and one newsletter at Buttondown are tied together. */
export function buttondownConnection({ db, apiKey, signingKey, apiUrl, perMinute, webhookUrl, now }: Needs) {
  let client: { key: string; api: ButtondownClient } | null = null
  let list: number | null = null

  /** One client for one key, so that everything that calls shares one limit. */
  async function api(): Promise<ButtondownClient | null> {
    const key = await apiKey.read()
    if (!key) return null
    if (client?.key !== key) client = { key, api: new ButtondownClient({ key, baseUrl: apiUrl, perMinute }) }
    return client.api
  }

  async function listId(): Promise<number> {
    list ??=
      (
        await db
          .selectFrom('lists')
          .select('id')
          .where('provider', '=', provider)
          .orderBy('id')
          .executeTakeFirst()
      )?.id ?? (await findOrAddList(db, { provider, provider_id: unnamed, name: 'Buttondown', at: now() }))
    return list
  }

  /** The first that is heard of the newsletter's name goes to the list that was there before it. */
  async function nameList({ id, name }: { id: string; name: string }) {
    await db
      .updateTable('lists')
      .set({ provider_id: id, name: name || 'Buttondown' })
      .where('id', '=', await listId())
      .execute()
  }

  async function needApi() {
    const found = await api()
    if (!found) throw new ProviderError('refused-key', 'There is no API key for Buttondown yet.')
    return found
  }

  async function keepWebhook(state: WebhookState) {
    await writeSetting(db, webhookSetting, JSON.stringify(state))
    return state
  }

  /** Looks up whether our webhook is there and switched on. @throws ProviderError */
  async function checkWebhook(): Promise<WebhookState> {
    const hooks = await (await needApi()).webhooks(await signingKey.read())
    const ours = hooks.find(({ url }) => url === webhookUrl)
    if (!ours) return keepWebhook({ id: '', status: 'missing', signing: 'none', checkedAt: now() })
    return keepWebhook({ id: ours.id, status: ours.status, signing: ours.signing, checkedAt: now() })
  }

  /**
   * Registers our webhook for all that we read, or switches it on again with our signing key, which is made when there
   * is none. @throws ProviderError
   */
  async function registerWebhook(): Promise<WebhookState> {
    const caller = await needApi()
    let key = await signingKey.read()
    if (!key) {
      key = randomBytes(24).toString('base64url')
      await signingKey.save(key)
    }
    const wanted = {
      url: webhookUrl,
      eventTypes: [...readTypes],
      status: 'enabled' as const,
      description: 'Throughline',
      signingKey: key,
    }
    const ours = (await caller.webhooks(key)).find(({ url }) => url === webhookUrl)
    const hook = ours ? await caller.updateWebhook(ours.id, wanted) : await caller.createWebhook(wanted)
    return keepWebhook({ id: hook.id, status: hook.status, signing: 'ours', checkedAt: now() })
  }

  return {
    api,
    listId,
    nameList,
    checkWebhook,
    registerWebhook,
    async webhookState(): Promise<WebhookState | null> {
      const kept = await readSetting(db, webhookSetting)
      return kept ? JSON.parse(kept) : null
    },
    /** Asks Buttondown whose key this is. @throws ProviderError */
    async whose(): Promise<string | null> {
      try {
        return (await (await needApi()).account()).username
      } catch (error) {
        // A limited key may not read the account, and is right all the same.
        if (error instanceof ProviderError && error.kind === 'missing-permission') return null
        throw error
      }
    },
  }
}
export type ButtondownConnection = ReturnType<typeof buttondownConnection>
