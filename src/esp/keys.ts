import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'
import type { sealer } from '../secret.js'

/** Where a key comes from: the environment wins over what was entered on a page. */
export type KeySource = 'environment' | 'page' | 'nowhere' | 'unreadable'

/** One key of a provider: from an environment variable, else from the settings, where it lies sealed. */
export function providerKey({
  db,
  seal,
  setting,
  given,
}: {
  db: Db
  seal: ReturnType<typeof sealer>
  setting: string
  /** The environment's value. */
  given: string | undefined
}) {
  let known: { value: string | null; source: KeySource } | null = null

  async function load(): Promise<{ value: string | null; source: KeySource }> {
    if (given !== undefined) return { value: given, source: 'environment' }
    const sealed = await readSetting(db, setting)
    if (!sealed) return { value: null, source: 'nowhere' }
    const value = seal.open(sealed)
    return value === null ? { value, source: 'unreadable' } : { value, source: 'page' }
  }
  let saved = 0
  async function current() {
    if (known) return known
    const before = saved
    const loaded = await load()
    // A key that was saved while the old one was being read is not forgotten for it.
    if (before === saved) known = loaded
    return loaded
  }
  return {
    read: async () => (await current()).value,
    source: async () => (await current()).source,
    /** An empty text takes the key away. */
    async save(value: string) {
      await writeSetting(db, setting, value === '' ? '' : seal.seal(value))
      saved++
      known = null
    },
  }
}
export type ProviderKey = ReturnType<typeof providerKey>
