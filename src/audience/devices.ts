import { isBot } from 'isbot'
import { LRUCache } from 'lru-cache'
import { UAParser } from 'ua-parser-js'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'

export type Device = 'desktop' | 'mobile' | 'tablet'

/** Programs that fetch on somebody's behalf: libraries and command-line tools, by what they call themselves. */
const library =
  /^(lib)?(curl|wget|python|php|guzzle|java|okhttp|apache-httpclient|go-http-client|node|undici|axios|got|superagent|ruby|faraday|perl|libwww|lwp|httpie|postman|insomnia|dart|reqwest|symfony|wordpress|drupal|aiohttp|httpx|k6|ktor|rest-?(client|sharp)|typhoeus|winhttp|deno|bun|elixir|hackney|scrapy|zapier|make|n8n|unirest|jersey|http_request2|http-tiny|http\.rb|pycurl|reactornetty|mojolicious)|^(urllib|requests|mint|finch|req)\/|\b(python-requests|python-urllib|node-fetch|httpclient|http-client|windowspowershell|google-apps-script|cloudflare-workers)\b/i

/** Browsers of every maker begin with one of these, and so do the crawlers that pass for one. */
const browser = /^(Mozilla|Opera)\//
/** Crawlers and link previews that go by a name of their own, and fetch whatever address they find. */
const crawler =
  /bot\b|crawl|spider|slurp|preview|scan|externalhit|facebot|whatsapp|telegram|skype|slack|discord|twitter|linkedin|pinterest|embedly|monitor|uptime|archiver|validator|lighthouse|headless/i

/**
 * Does this caller speak for somebody else? A shop, an affiliate network or a script reports events of its visitors
 * under its own name, or under none at all (PHP's default). Whoever looks like a browser, or like a crawler that
 * followed a link, speaks for itself.
 */
export const isServerScript = (userAgent: string) =>
  userAgent.trim() === '' || library.test(userAgent) || !(browser.test(userAgent) || crawler.test(userAgent))

/** A crawler, a link scanner, a headless browser, an HTTP library: no reader holds it in their hands. */
export const isMachine = (userAgent: string) =>
  isBot(userAgent) || library.test(userAgent) || (crawler.test(userAgent) && !browser.test(userAgent))

/** Which sort of device a browser runs on; null for machines and for what does not say. */
function deviceOf(userAgent: string): Device | null {
  if (isMachine(userAgent)) return null
  const { device, os } = new UAParser(userAgent).getResult()
  if (device.type === 'tablet') return 'tablet'
  if (device.type === 'mobile') return 'mobile'
  return os.name ? 'desktop' : null
}

export interface KnownAgent {
  id: number
  device: Device | null
  machine: boolean
}

/** Each user agent is stored once, beside what it says about the device; reading one costs, so they are remembered. */
export function agentBook(db: Db) {
  const known = new LRUCache<string, KnownAgent>({ max: 5_000 })
  const select = compiled<{ text: string }, { id: number; device: Device | null; machine: 0 | 1 }>((value) =>
    db.selectFrom('user_agents').select(['id', 'device', 'machine']).where('text', '=', value('text')),
  )
  return {
    async findOrAdd(tx: Db, userAgent: string): Promise<KnownAgent> {
      const text = userAgent.slice(0, 512)
      let agent = known.get(text)
      if (agent) return agent
      const row = (await select(tx, { text })).rows[0]
      if (row) agent = { ...row, machine: row.machine === 1 }
      else {
        const device = deviceOf(text)
        const machine = isMachine(text)
        const { id } = await tx
          .insertInto('user_agents')
          .values({ text, device, machine: machine ? 1 : 0 })
          .returning('id')
          .executeTakeFirstOrThrow()
        agent = { id, device, machine }
      }
      known.set(text, agent)
      return agent
    },
    forget: () => known.clear(),
  }
}

/** Reads all stored user agents again, for when the rules have changed. */
export async function judgeAgentsAgain(db: Db) {
  for (const { id, text } of await db.selectFrom('user_agents').select(['id', 'text']).execute())
    await db
      .updateTable('user_agents')
      .set({ device: deviceOf(text), machine: isMachine(text) ? 1 : 0 })
      .where('id', '=', id)
      .execute()
}
