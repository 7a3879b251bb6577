import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * The installation's own secret, made at the first start and kept in the data folder for its owner alone.
 * Sessions are signed with it, and whatever else must be kept from readers of a copied database.
 */
export function installationSecret(dataDir: string): string {
  const path = join(dataDir, 'secret')
  if (existsSync(path)) {
    chmodSync(path, 0o600)
    const kept = readFileSync(path, 'utf8').trim()
    if (kept.length >= 32) return kept
  }
  const secret = randomBytes(32).toString('hex')
  // Written aside and then renamed: a crash never leaves half a secret.
  writeFileSync(`${path}.new`, `${secret}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
  return secret
}

/** Makes the data folder for its owner alone. (Node's own `recursive` never returns where nothing can be made, in /proc.) */
export function makeDataFolder(dataDir: string) {
  if (existsSync(dataDir)) return
  makeDataFolder(dirname(dataDir))
  mkdirSync(dataDir, { mode: 0o700 })
}
