import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { LRUCache } from 'lru-cache'
import * as z from 'zod'
import { EmailAddress } from '../audience/contacts.js'
import { eventKinds } from './kinds.js'

/**
 * What mailing tools leave behind when they do not know a field: `{email}`, `{{{ email }}}`, `%EMAIL%`, `%%email%%`,
 * `*|EMAIL|*`, `[[email]]`, `<<email>>`, `${email}`, `##email##`.
 */
const placeholder =
  /^(?:\{{1,3}[^{}]*\}{1,3}|%%?[A-Za-z_][\w.-]*%%?|\*\|.*\|\*|\[\[?[^[\]]*\]\]?|<<?[^<>]*>>?|\$\{[^{}]*\}|##[\w-]+##)$/
const notReplaced = (text: string) => `The placeholder ${text} was not replaced by your mailing tool.`
/** A placeholder inside an address, such as `https://{domain}/`. */
const placeholderWithin = /\{{1,3}[^{}]*\}{1,3}|\*\|[^|]*\|\*|%%?[A-Z_]{3,}%%?/

const word = (name: string) =>
  z
    .string({
      error: (issue) => (issue.input === undefined ? `The ${name} is missing.` : `The ${name} is text.`),
    })
    .trim()
    .min(1, `The ${name} is missing.`)
    .refine((text) => !placeholder.test(text), {
      error: (issue) => notReplaced(String(issue.input)),
      abort: true,
    })

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/**
 * The one spelling of a sending domain: lower case and, for international names, the ASCII form of UTS 46.
 * A URL gives its host.
 * @returns null when no valid host of at most 253 characters is in the text
 */
export function hostOf(text: string): string | null {
  let host = text.trim().toLowerCase()
  if (/^[a-z][a-z0-9+.-]*:\/\//.test(host) || host.startsWith('//')) {
    const url = host.startsWith('//') ? `http:${host}` : host
    if (!URL.canParse(url)) return null
    host = new URL(url).hostname
  } else if (!isIP(host)) host = host.replace(/[/?#].*$/s, '').replace(/:\d+$/, '')
  host = host.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  if (isIP(host)) return host
  const ascii = domainToASCII(host)
  if (isIP(ascii)) return null // "1.2.3", which browsers would read as an address
  return ascii.length > 0 && ascii.length <= 253 && ascii.split('.').every((part) => label.test(part))
    ? ascii
    : null
}

/** An IPv4 address on a dual-stack socket shows as `::ffff:192.0.2.1`. */
export const plainAddress = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '')

/** The same few domains send nearly all events, and Unicode's rules for names take their time. */
const hosts = new LRUCache<string, { host: string | null }>({ max: 1_000 })
function knownHostOf(text: string) {
  let known = hosts.get(text)
  if (!known) {
    known = { host: hostOf(text) }
    hosts.set(text, known)
  }
  return known.host
}

const Domain = word('domain').transform((text, context) => {
  const host = knownHostOf(text)
  if (host !== null) return host
  const left = placeholderWithin.exec(text)?.[0]
  context.addIssue(left ? notReplaced(left) : 'The domain is no valid host name, such as news.example.com.')
  return z.NEVER
})

const CampaignId = word('cid').transform((text, context) => {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  context.addIssue(`The cid is the number of a campaign, not "${text.slice(0, 40)}".`)
  return z.NEVER
})

/** Empty parameters count as left out: senders' templates often leave them so. */
const optional = <T extends z.ZodType>(type: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), type.optional())

/** The parameters of `GET /api/event` that mean something; all others are kept as the event's extra. */
export const EventParameters = z.object({
  cid: CampaignId.meta({ description: 'Id of an existing campaign.', example: 5 }),
  event: word('event')
    .pipe(z.enum(eventKinds, 'The event is email_click, landing_click or conversion.'))
    .meta({ description: 'What happened.' }),
  email: optional(word('email').pipe(EmailAddress)).meta({
    description: 'The recipient. Required unless `sub` is given.',
    example: 'anna@example.com',
  }),
  domain: optional(Domain).meta({
    description: 'The sending domain, or a URL on it. Required unless `sub` is given.',
    example: 'news.example.com',
  }),
  eid: optional(word('eid').max(255, 'The eid is longer than 255 characters.')).meta({
    description: "The caller's own id of this event: told again, it counts nothing.",
  }),
  sub: optional(word('sub').max(255, 'The sub is longer than 255 characters.')).meta({
    description: 'The `eid` of an earlier event of the campaign: stands for its email and domain.',
  }),
  ip: optional(
    word('ip').transform((text, context) => {
      // As proxies pass them on: the first of a list is the reader's, and some add the port.
      const [first = ''] = text.split(',')
      const plain = plainAddress(first.trim().replace(/^(\d+(?:\.\d+){3}):\d+$/, '$1'))
      if (isIP(plain)) return plain.toLowerCase()
      context.addIssue(`The ip is no internet address: "${text.slice(0, 60)}".`)
      return z.NEVER
    }),
  ).meta({ description: "The recipient's address, when a server reports on their behalf." }),
  ua: optional(word('ua').max(2000, 'The ua is longer than 2000 characters.')).meta({
    description: "The recipient's user agent, when a server reports on their behalf.",
  }),
  link: optional(word('link').max(2000, 'The link is longer than 2000 characters.')).meta({
    description: 'Which link of the message it was: an id or a URL.',
  }),
  key: optional(z.string('The key is text.').trim().max(200, 'The key is longer than 200 characters.')).meta({
    description: "The campaign's write key, when it asks for one.",
  }),
})
export type EventParameters = z.infer<typeof EventParameters>

/** What a person may send us. They read the messages, so the messages are sentences. */
export const CampaignForm = z.object({
  name: z
    .string('Give the campaign a name.')
    .trim()
    .min(1, 'Give the campaign a name.')
    .max(80, 'Keep the name under 80 letters.'),
  offer_url: z
    .string('Say where your readers can buy.')
    .trim()
    .min(1, 'Say where your readers can buy.')
    .max(2000, 'Keep the address under 2,000 characters.')
    .transform((text, context) => {
      const url = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : null
      // What is plain ASCII stays as it was typed; the rest goes into every link as browsers would write it.
      if (url?.hostname) return /^[!-~]+$/.test(text) && !text.includes('\\') ? text : url.href
      const guess = `https://${text.replace(/^(?:[a-z]+:(?=[/\\])|https?:)?[/\\]*/i, '')}`
      const likely = URL.canParse(guess) && /\.\w/.test(new URL(guess).hostname)
      context.addIssue(
        `The offer URL starts with https:// or http://.${likely ? ` Did you mean ${guess}?` : ''}`,
      )
      return z.NEVER
    }),
  needs_key: z
    .union([
      z.literal(['on', '1', 'true', true]).transform(() => true),
      z.literal(['', '0', 'false', false]).transform(() => false),
    ])
    .optional()
    .default(false),
})
export type CampaignForm = z.infer<typeof CampaignForm>
