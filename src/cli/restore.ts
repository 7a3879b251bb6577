// `npm run restore -- --from FILE|FOLDER|latest [--at INSTANT] [--force]`: puts a backup in the place of the database.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Refusal } from '../accounts/terminal.js'
import { environment, readConfig } from '../config.js'
import { lockDataFolder } from '../database/lock.js'
import { factsInWords, RestoreRefused, restore } from '../operations/restore.js'
import { makeDataFolder } from '../secret.js'
import { command } from './installation.js'

const usage = `Usage:
  npm run restore -- --from latest                 the newest backup, here or in the remote store
  npm run restore -- --from bucket                 the newest backup in the remote store alone
  npm run restore -- --from FOLDER                 the newest backup of a folder
  npm run restore -- --from FILE                   this one, packed (.db.gz) or bare (.db)
  … --at 2026-11-20T10:35                          the newest state up to that instant (UTC, or with +02:00)
  … --without NAME                                 not this backup, but the one before; may be said more than once
  … --force                                        even where the database that is here is newer
Stop the server first. The database that is here is kept aside.`

await command(async () => {
  const { from, at, without, force } = options()
  const config = readConfig(environment())
  process.umask(0o077)
  makeDataFolder(config.DATA_DIR)
  const unlock = lockDataFolder(config.DATA_DIR)
  if (!unlock) throw new Refusal('A server is running on this data. Stop it first.')
  try {
    const hadSecret = existsSync(join(config.DATA_DIR, 'secret'))
    const restored = await restore({ config, from, at, without, force, now: Date.now, say: console.log })
    console.log(
      `Restored as it was at ${new Date(restored.asOf).toISOString()}: ${factsInWords(restored.facts)}.`,
    )
    if (!hadSecret && !existsSync(join(config.DATA_DIR, 'secret')))
      console.log(
        'The secret of the installation is not in the backup. Accounts and API tokens work; people log in again, with recovery codes where they have two factors. The keys of providers, the password of the mail server and the address of the alerts’ webhook must be entered again: until then no alert goes there.',
      )
  } catch (error) {
    if (error instanceof RestoreRefused) throw new Refusal(error.message)
    throw error
  } finally {
    unlock()
  }
})

function options() {
  let values: { from?: string; at?: string; without?: string[]; force?: boolean }
  try {
    ;({ values } = parseArgs({
      options: {
        from: { type: 'string' },
        at: { type: 'string' },
        without: { type: 'string', multiple: true },
        force: { type: 'boolean' },
      },
    }))
  } catch {
    throw new Refusal(usage)
  }
  if (!values.from) throw new Refusal(usage)
  return {
    from: values.from,
    at: values.at === undefined ? null : instantOf(values.at),
    without: values.without ?? [],
    force: values.force ?? false,
  }
}

/** An instant as people write it; without a zone it is in UTC. */
function instantOf(text: string): number {
  const [, day = '', time = '00:00', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d:?\d\d)?)?$/i.exec(text.trim()) ??
    []
  const instant = Date.parse(`${day}T${time}${zone.toUpperCase().replace(/(\d\d)(\d\d)$/, '$1:$2')}`)
  // A day that no month has is read as one of the next month.
  const midnight = new Date(`${day}T00:00Z`)
  if (Number.isNaN(instant) || midnight.toISOString().slice(0, 10) !== day)
    throw new Refusal('--at is an instant such as 2026-11-20T10:35, in UTC unless it says otherwise.')
  return instant
}
