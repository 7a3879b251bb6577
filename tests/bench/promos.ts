import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { makeDatabase } from './database.js'

/** How much a database of promos holds. */
export interface PromoFilling {
  offers: number
  texts: number
  impressions: number
  clicks: number
}
export const benchToken = 'tl_a-token-of-the-benchmark-and-of-nothing-else'

/** An installation with promos. Its counts are not made yet. */
export async function makePromos(dataDir: string, filling: PromoFilling) {
  await makeDatabase(dataDir, null)
  fillPromos(dataDir, filling)
}

/** Makes offers with approved texts, facts of a year, and an API token. */
export function fillPromos(dataDir: string, { offers, texts, impressions, clicks }: PromoFilling) {
  const file = new Sqlite(join(dataDir, 'throughline.db'))
  file.pragma('synchronous = off')
  const now = Date.now()
  const begin = now - 365 * 86_400_000
  const step = (count: number) => Math.max(1, Math.floor((365 * 86_400_000) / Math.max(1, count)))
  const series = (count: number) =>
    `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})`
  file.transaction(() => {
    file
      .prepare('insert into api_tokens (name, token_hash, ending, created_at) values (?, ?, ?, ?)')
      .run('bench', createHash('sha256').update(benchToken).digest('hex'), benchToken.slice(-4), now)
    file.exec(`insert into settings values ('promo_impression_meaning', 'message')`)
    file.exec(`${series(offers)} insert into promo_offers (id, group_id, name, type, slug, destination_url, base_weight, created_at)
      select i, 1, 'Offer ' || i, 'affiliate', 'offer-' || i, 'https://shop.example/' || i, 1 + i % 7, ${begin} from n`)
    file.exec(`${series(offers * texts)} insert into promo_text_variations (id, offer_id, text, cta_text, tone, approved, created_at)
      select i, (i - 1) / ${texts} + 1, 'Text ' || i || ' that says what there is, and why now.', 'See it', 'calm', 1, ${begin} from n`)
    if (impressions > 0)
      file.exec(`${series(impressions)} insert into promo_impressions (offer_id, variation_id, happened_at)
        select v / ${texts} + 1, v + 1, ${begin} + i * ${step(impressions)}
        from (select i, i * 7919 % ${offers * texts} as v from n)`)
    if (clicks > 0)
      file.exec(`${series(clicks)} insert into promo_clicks (offer_id, variation_id, happened_at, device, verdict)
        select v / ${texts} + 1, v + 1, ${begin} + i * ${step(clicks)}, 'mobile', 0
        from (select i, i * 104729 % ${offers * texts} as v from n)`)
  })()
  file.close()
}

/** What a client sends to a door of promos, the same for the same seed. */
export interface PromoMix {
  seed: number
  door: 'impression' | 'click' | 'go' | 'select'
  offers: number
  texts: number
}

export function promoRequests({ door, offers, texts, seed }: PromoMix): () => Buffer {
  let count = 0
  const post = (path: string, body: object) => {
    const json = JSON.stringify(body)
    return Buffer.from(
      `POST /api/v1/promo/${path} HTTP/1.1\r\nHost: track.example\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`,
    )
  }
  const userAgent = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
  return () => {
    const n = count++
    const text = (n * 31) % (offers * texts)
    const offer = Math.floor(text / texts)
    const address = `${11 + (seed % 80)}.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`
    switch (door) {
      case 'impression':
        return post('track-impression', {
          offer_id: offer + 1,
          variation_id: text + 1,
          // An issue carries ten texts.
          newsletter_send_id: `issue-${Math.floor(n / 10)}`,
        })
      case 'click':
        return post('track-click', {
          variation_id: text + 1,
          referrer: 'https://mail.example/inbox',
          user_agent: userAgent,
          ip_address: address,
        })
      case 'go':
        return Buffer.from(
          `GET /go/offer-${offer + 1}?promo_var=${text + 1}&utm_source=letter HTTP/1.1\r\nHost: track.example\r\n` +
            `User-Agent: ${userAgent}\r\nX-Forwarded-For: ${address}\r\n\r\n`,
        )
      case 'select':
        return Buffer.from(
          `GET /api/v1/promo/select-random?newsletter=n${n % 50} HTTP/1.1\r\nHost: track.example\r\n\r\n`,
        )
    }
  }
}

/** Asks for analytics one after another. @returns milliseconds of each, in order of size */
export async function timeAnalytics(port: number, paths: string[], times: number) {
  const took: number[] = []
  for (let turn = 0; turn < times; turn++) {
    const path = `/api/v1/promo/analytics?${paths[turn % paths.length]}`
    const from = performance.now()
    const status = await new Promise<number>((done, fail) => {
      const sent = request(
        { port, host: '127.0.0.1', path, headers: { Authorization: `Bearer ${benchToken}` } },
        (answer) => {
          answer.resume()
          answer.on('end', () => done(answer.statusCode!))
        },
      )
      sent.on('error', fail)
      sent.end()
    })
    took.push(performance.now() - from)
    if (status !== 200) throw new Error(`${path} answered ${status}.`)
  }
  return took.sort((one, other) => one - other)
}

/** Holds the write lock as another process would, for so long. */
export async function lockFor(dataDir: string, milliseconds: number) {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { timeout: 5_000 })
  file.exec('begin immediate')
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  file.exec('rollback')
  file.close()
}

export function countPromos(dataDir: string) {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  const count = (table: string) =>
    (file.prepare(`select count(*) as rows from ${table}`).get() as { rows: number }).rows
  const counted = file
    .prepare(
      'select coalesce(sum(impressions), 0) as impressions, coalesce(sum(clicks + repeated_clicks + machine_clicks), 0) as clicks from promo_offer_counts',
    )
    .get() as { impressions: number; clicks: number }
  const found = {
    impressions: count('promo_impressions'),
    clicks: count('promo_clicks'),
    choices: count('promo_choices'),
    counted,
  }
  file.close()
  return found
}
