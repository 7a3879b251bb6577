import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'dotenv'
import * as z from 'zod'

/** The folder that holds package.json, views/ and static/, whether the code runs from src/ or from dist/src/. */
export const projectRoot = (() => {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
})()

/** This release, as package.json says. */
export const version: string = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')).version

/** A configuration that cannot be used; its message is one sentence fit for the operator. */
export class ConfigError extends Error {}

/** Is this the name of a time zone, such as `UTC` or `Europe/Berlin`? */
export const isTimeZone = (name: string) => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

const BaseUrl = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== '/' ||
    url.username ||
    url.search ||
    url.hash
  ) {
    context.addIssue('an address without a path, such as https://track.example.com')
    return z.NEVER
  }
  return url.origin
})

/** Where a provider's API answers; keys travel there, so beyond this machine only under TLS. */
const ApiUrl = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null
  const isHere = url && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)
  if (url && (url.protocol === 'https:' || (url.protocol === 'http:' && isHere)) && !url.search && !url.hash)
    return text.replace(/\/+$/, '')
  context.addIssue('an https address, such as https://api.buttondown.com/v1')
  return z.NEVER
})

/** `10.0.0.1`, `10.0.0.0/8`, or one of Express's names for private networks. */
function isProxyAddress(text: string) {
  if (/^(loopback|linklocal|uniquelocal)$/.test(text)) return true
  const [, address = '', bits] = /^([^/%]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  return (
    version !== 0 && (bits === undefined || (Number(bits) > 0 && Number(bits) <= (version === 4 ? 32 : 128)))
  )
}

/** `TRUST_PROXY` as Express reads it: off, the number of proxies in front, or their addresses. */
const TrustProxy = z.string().transform((text, context): false | number | string[] => {
  if (/^(off|false|no|0)$/i.test(text)) return false
  if (/^\d{1,2}$/.test(text)) return Number(text)
  const addresses = text.split(',').map((part) => part.trim())
  if (addresses.every(isProxyAddress)) return addresses
  context.addIssue('"off", the number of proxies in front (1), or their addresses (10.0.0.1, loopback)')
  return z.NEVER
})

const perMinute = (usual: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/, 'a number of requests, or 0 for no limit')
    .transform(Number)
    .default(usual)

const flag = z.enum(['0', '1'], '0 or 1').transform((value) => value === '1')

const Environment = z.object({
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'a port from 0 to 65535')
    .transform(Number)
    .refine((port) => port <= 65535, 'a port from 0 to 65535')
    .default(3000),
  HOST: z
    .string()
    .regex(/^[\w.:-]+$/, 'an address to listen on, such as 127.0.0.1 or 0.0.0.0')
    .default('127.0.0.1'),
  DATA_DIR: z.string().default(join(projectRoot, 'data')),
  BASE_URL: BaseUrl.optional(),
  TRUST_PROXY: TrustProxy.default(false),
  SESSION_SECRET: z.string().min(32, 'at least 32 characters').optional(),
  TIME_ZONE: z
    .string()
    .refine(isTimeZone, 'the name of a time zone, such as UTC or Europe/Berlin')
    .default('UTC'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'fatal, error, warn, info, debug, trace or silent',
    })
    .default('info'),
  LOG_REQUESTS: z.enum(['all', 'pages', 'none'], { error: 'all, pages or none' }).default('pages'),
  METRICS_TOKEN: z.string().min(16, 'at least 16 characters').optional(),
  ADMIN_USERNAME: z.string().optional(),
  ADMIN_PASSWORD: z.string().optional(),
  EXPECT_EXISTING_DATA: flag.default(false),
  BUTTONDOWN_API_URL: ApiUrl.default('https://api.buttondown.com/v1'),
  BUTTONDOWN_API_KEY: z.string().optional(),
  BUTTONDOWN_WEBHOOK_SIGNING_KEY: z.string().max(255, 'at most 255 characters').optional(),
  BUTTONDOWN_REQUESTS_PER_MINUTE: z
    .string()
    .regex(/^\d{1,6}$/, 'a number of requests, or 0 for no limit')
    .transform(Number)
    .default(600),
  EMAILOCTOPUS_API_URL: ApiUrl.default('https://api.emailoctopus.com'),
  EMAILOCTOPUS_API_KEY: z.string().optional(),
  EMAILOCTOPUS_WEBHOOK_SECRET: z.string().max(255, 'at most 255 characters').optional(),
  EMAILOCTOPUS_REQUESTS_PER_SECOND: z
    .string()
    .regex(/^\d{1,6}$/, 'a number of requests, or 0 for no limit')
    .transform(Number)
    .default(10),
  PROMO_IMPRESSIONS_PER_MINUTE: perMinute(200),
  PROMO_CLICKS_PER_MINUTE: perMinute(500),
  PROMO_ANALYTICS_PER_MINUTE: perMinute(60),
  PROMO_SPOOL_MB: z
    .string()
    .regex(/^[1-9]\d{0,4}$/, 'a number of megabytes from 1 to 99999')
    .transform(Number)
    .default(64),
  ACCESS_TOKEN_ALGORITHM: z.enum(['HS256', 'EdDSA'], { error: 'HS256 or EdDSA' }).default('HS256'),
  SMTP_URL: z
    .string()
    .refine((text) => readSmtpUrl(text) !== null, 'an address such as smtps://user:password@smtp.example.com')
    .optional(),
  SMTP_HOST: z
    .string()
    .regex(/^[\w.:-]+$/, 'the name of a mail server, such as smtp.example.com')
    .optional(),
  SMTP_PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'a port from 1 to 65535')
    .transform(Number)
    .refine((port) => port > 0 && port <= 65535, 'a port from 1 to 65535')
    .optional(),
  SMTP_USER: z.string().optional(),
  SMTP_PASSWORD: z.string().optional(),
  SMTP_SECURITY: z.enum(['tls', 'starttls', 'none'], { error: 'tls, starttls or none' }).optional(),
  MAIL_FROM: z
    .string()
    .regex(
      /^(?:[^<>\p{Cc}]*<[^\s@<>(),;:"]+@[^\s@<>(),;:"]+\.[^\s@<>(),;:".]{2,}>|[^\s@<>(),;:"]+@[^\s@<>(),;:"]+\.[^\s@<>(),;:".]{2,})$/u,
      'an e-mail address such as reports@example.com, or Name <reports@example.com>',
    )
    .optional(),
  PUPPETEER_EXECUTABLE_PATH: z.string().optional(),
  PDF_SANDBOX: z.enum(['required', 'if-possible'], { error: 'required or if-possible' }).default('required'),
  BACKUP_DIR: z.string().optional(),
  BACKUP_S3_ENDPOINT: ApiUrl.optional(),
  BACKUP_S3_REGION: z.string().default('us-east-1'),
  BACKUP_S3_BUCKET: z.string().optional(),
  BACKUP_S3_PREFIX: z
    .string()
    .regex(/^[\w!.*'()/-]*$/, 'the beginning of names, such as throughline/')
    .default(''),
  BACKUP_S3_ACCESS_KEY_ID: z.string().optional(),
  BACKUP_S3_SECRET_ACCESS_KEY: z.string().optional(),
  BACKUP_PASSPHRASE: z.string().min(12, 'at least 12 characters').optional(),
  BACKUP_SEGMENT_SECONDS: z
    .string()
    .regex(/^\d{1,3}$/, 'a number of seconds from 5 to 300')
    .transform(Number)
    .refine((seconds) => seconds >= 5 && seconds <= 300, 'a number of seconds from 5 to 300')
    .default(60),
  BACKUP_INCLUDE_SECRETS: flag.default(false),
  NODE_ENV: z.string().optional(),
})

export type Config = Omit<z.infer<typeof Environment>, 'BASE_URL' | 'BACKUP_DIR'> & {
  BASE_URL: string
  BACKUP_DIR: string
  /** Where mail is handed in, as SMTP_URL or SMTP_HOST say; null where neither is set. */
  mailServer: {
    host: string
    port: number
    security: 'tls' | 'starttls' | 'none'
    user: string
    password: string
    from: string
  } | null
}

/**
 * Reads every environment variable once. An empty variable counts as not set.
 * @throws ConfigError with one sentence that names the variable and what it may be.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.entries(env)
      .map(([name, value]) => [name, value?.trim()])
      .filter(([, value]) => value),
  )
  const read = Environment.safeParse(given)
  if (!read.success) {
    const issue = read.error.issues[0]!
    throw new ConfigError(`${String(issue.path[0])} must be ${issue.message}.`)
  }
  const config = read.data
  if (Boolean(config.ADMIN_USERNAME) !== Boolean(config.ADMIN_PASSWORD))
    throw new ConfigError('ADMIN_USERNAME and ADMIN_PASSWORD must be set together, or neither.')
  if (Boolean(config.BACKUP_S3_ACCESS_KEY_ID) !== Boolean(config.BACKUP_S3_SECRET_ACCESS_KEY))
    throw new ConfigError(
      'BACKUP_S3_ACCESS_KEY_ID and BACKUP_S3_SECRET_ACCESS_KEY must be set together, or neither.',
    )
  const dataDir = resolve(projectRoot, config.DATA_DIR)
  return {
    ...config,
    DATA_DIR: dataDir,
    BACKUP_DIR: config.BACKUP_DIR ? resolve(projectRoot, config.BACKUP_DIR) : join(dataDir, 'backups'),
    BASE_URL: config.BASE_URL ?? `http://localhost:${config.PORT}`,
    mailServer: mailServerOf(config),
  }
}

/** @returns null for what is no address of a mail server */
function readSmtpUrl(text: string) {
  if (!URL.canParse(text)) return null
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text)
  if (!/^smtps?:$/.test(protocol) || hostname === '' || !/^\/?$/.test(pathname) || search || hash) return null
  try {
    return {
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? undefined : Number(port),
      tls: protocol === 'smtps:',
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
    }
  } catch {
    return null
  }
}

/** TLS from the start on port 465, STARTTLS on the others; a server on this very machine may do without. */
function mailServerOf({
  SMTP_URL,
  SMTP_HOST,
  SMTP_PORT,
  SMTP_USER,
  SMTP_PASSWORD,
  SMTP_SECURITY,
  MAIL_FROM,
}: z.infer<typeof Environment>): Config['mailServer'] {
  if (SMTP_URL && SMTP_HOST)
    throw new ConfigError(
      'SMTP_HOST must be left out where SMTP_URL is set: one of them names the mail server.',
    )
  const url = SMTP_URL ? readSmtpUrl(SMTP_URL)! : null
  const host = url?.host ?? SMTP_HOST
  if (!host) return null
  if (!MAIL_FROM)
    throw new ConfigError(
      'MAIL_FROM must be an e-mail address such as reports@example.com where SMTP_URL or SMTP_HOST is set.',
    )
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host)
  const tls = url?.tls || SMTP_PORT === 465 || url?.port === 465
  const security = SMTP_SECURITY ?? (tls ? 'tls' : isHere ? 'none' : 'starttls')
  return {
    host,
    port: url?.port ?? SMTP_PORT ?? (security === 'tls' ? 465 : isHere ? 25 : 587),
    security,
    user: url?.user || SMTP_USER || '',
    password: url?.password || SMTP_PASSWORD || '',
    from: MAIL_FROM,
  }
}

/** The process environment, with `.env` of the project folder filling what is not set. */
export function environment(): Record<string, string | undefined> {
  const file = join(projectRoot, '.env')
  const set = Object.entries(process.env).filter(([, value]) => value?.trim())
  return { ...(existsSync(file) ? parse(readFileSync(file)) : {}), ...Object.fromEntries(set) }
}
