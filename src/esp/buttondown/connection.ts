import { randomBytes } from 'node:crypto'
import { findOrAddList } from '../../audience/people.js'
import type { Db } from '../../database/open.js'
import { readSetting, writeSetting } from '../../database/settings.js'
import type { ProviderKey } from '../keys.js'
import { ProviderError } from '../provider-error.js'
import { ButtondownClient, type Newsletter } from './client.js'
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

/** What was last heard of the newsletter itself. */
export interface NewsletterState {
  id: string
  name: string
  /** All mail goes to the author while this is on, and the counts are the author's. */
  testMode: boolean
  /** Does it follow opens and clicks at all? Null when Buttondown does not say. */
  tracking: boolean | null
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
const newsletterSetting = 'buttondown_newsletter'
/** How often, and for how many milliseconds each, a key is tried while somebody waits for the page. */
const whileSomebodyWaits = { tries: 2, timeout: 8_000 }
/** A backfill at the limit of requests does not hold up what somebody waits for. */
const urgent = { priority: 'urgent' as const }
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
  async function nameList({ id, name, testMode, enabledFeatures }: Newsletter) {
    await db
      .updateTable('lists')
      .set({ provider_id: id, name: name || 'Buttondown' })
      .where('id', '=', await listId())
      .execute()
    // A list of features that is empty may as well be one that could not be read.
    const tracking = enabledFeatures.length === 0 ? null : enabledFeatures.includes('tracking')
    const state: NewsletterState = { id, name, testMode, tracking, checkedAt: now() }
    await writeSetting(db, newsletterSetting, JSON.stringify(state))
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
    const hooks = await (await needApi()).webhooks(await signingKey.read(), urgent)
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
    const ours = (await caller.webhooks(key, urgent)).find(({ url }) => url === webhookUrl)
    const hook = ours
      ? await caller.updateWebhook(ours.id, wanted, urgent)
      : await caller.createWebhook(wanted, urgent)
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
    async newsletterState(): Promise<NewsletterState | null> {
      const kept = await readSetting(db, newsletterSetting)
      return kept ? JSON.parse(kept) : null
    },
    /**
     * Asks Buttondown whose key this is, without keeping it.
     * @returns null for what the key may not tell: a limited key is right all the same
     * @throws ProviderError
     */
    async whose(key: string): Promise<{ username: string | null; newsletter: Newsletter | null }> {
      const caller = new ButtondownClient({ key, baseUrl: apiUrl, perMinute, ...whileSomebodyWaits })
      const account = await caller.account().catch(nullIfNotPermitted)
      const newsletters = await caller.newsletters().catch(nullIfNotPermitted)
      return { username: account?.username || null, newsletter: newsletters?.[0] ?? null }
    },
  }
}

function nullIfNotPermitted(error: unknown) {
  if (error instanceof ProviderError && error.kind === 'missing-permission') return null
  throw error
}
