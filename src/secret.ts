import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
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

/**
 * Makes the data folder for its owner alone, and closes to others one that is there: where it is empty or holds an
 * installation, and so belongs to it, and the files of that. What is somebody else's, as on a volume, stays as it is.
 */
export function makeDataFolder(dataDir: string) {
  if (!existsSync(dataDir)) return makePrivate(dataDir)
  const names = readdirSync(dataDir)
  const isShared = (statSync(dataDir).mode & 0o1000) !== 0 // such as /tmp
  if (!isShared && (names.length === 0 || names.includes('throughline.db'))) closeToOthers(dataDir)
  for (const name of names) if (ownFiles.test(name)) closeToOthers(join(dataDir, name))
}
const ownFiles = /^(throughline\.db(-wal|-shm)?|server\.lock|secret|erasures)$/

/** (Node's own `recursive` never returns where nothing can be made, in /proc.) */
function makePrivate(folder: string) {
  if (existsSync(folder)) return
  makePrivate(dirname(folder))
  mkdirSync(folder, { mode: 0o700 })
}

function closeToOthers(path: string) {
  const { mode } = statSync(path)
  if ((mode & 0o077) === 0) return
  try {
    chmodSync(path, mode & 0o7700)
  } catch (error) {
    if (!['EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/**
 * Keeps other people's keys from readers of a copied database: AES-256-GCM under a key derived from the installation's
 * secret (HKDF, RFC 5869). Without that secret nothing can be opened, and the keys have to be entered again.
 */
export function sealer(secret: string) {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'throughline sealed settings', 32))
  return {
    seal(text: string): string {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
    },
    /** @returns null for what was sealed under another secret, or is damaged */
    open(sealed: string): string | null {
      try {
        const bytes = Buffer.from(sealed, 'base64url')
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
        decipher.setAuthTag(bytes.subarray(12, 28))
        return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8')
      } catch {
        return null
      }
    },
  }
}
