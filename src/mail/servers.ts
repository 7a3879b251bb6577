import type { Config } from '../config.js'
import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'
import type { sealer } from '../secret.js'

/** How the connection is kept from listeners: TLS from the start, or begun by STARTTLS and insisted on, or not at all. */
export const securities = ['tls', 'starttls', 'none'] as const
export type Security = (typeof securities)[number]

/** Where mail is handed in. */
export interface MailServer {
  host: string
  port: number
  security: Security
  /** Empty: the server asks for no login. */
  user: string
  password: string
  /** Who writes: `Name <address>`, or an address. */
  from: string
}

/** Where the mail server was entered: the environment wins over the page. */
export type MailSource = 'environment' | 'page' | 'nowhere' | 'unreadable'

const setting = 'mail'
const passwordSetting = 'mail.password'

/** The mail server: from the environment, else from the settings, where its password lies sealed. */
export function mailServers({
  db,
  config,
  seal,
}: {
  db: Db
  config: Pick<Config, 'mailServer'>
  seal: ReturnType<typeof sealer>
}) {
  return {
    /** @returns `server` is null with the sources `nowhere` and `unreadable` (sealed under another secret) */
    async read(): Promise<{ server: MailServer | null; source: MailSource }> {
      if (config.mailServer) return { server: config.mailServer, source: 'environment' }
      const entered = await readSetting(db, setting)
      if (!entered) return { server: null, source: 'nowhere' }
      const sealed = await readSetting(db, passwordSetting)
      const password = sealed ? seal.open(sealed) : ''
      if (password === null) return { server: null, source: 'unreadable' }
      return {
        server: { ...(JSON.parse(entered) as Omit<MailServer, 'password'>), password },
        source: 'page',
      }
    },
    /** What was entered on the page, without the password; null when nothing was. */
    async entered(): Promise<Omit<MailServer, 'password'> | null> {
      const entered = await readSetting(db, setting)
      return entered ? (JSON.parse(entered) as Omit<MailServer, 'password'>) : null
    },
    async save({ password, ...server }: MailServer) {
      await db.transaction().execute(async (tx) => {
        await writeSetting(tx, setting, JSON.stringify(server))
        await writeSetting(tx, passwordSetting, password === '' ? '' : seal.seal(password))
      })
    },
    /** Takes away what was entered on the page. */
    async forget() {
      await db.transaction().execute(async (tx) => {
        await writeSetting(tx, setting, '')
        await writeSetting(tx, passwordSetting, '')
      })
    },
  }
}
export type MailServers = ReturnType<typeof mailServers>
