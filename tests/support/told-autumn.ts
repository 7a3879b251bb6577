import type { TestApp } from './app.js'
import { aContact, aList, aMailing, anEngagement } from './audience.js'
import { aCampaign, anEvent, firefox, iphone } from './builders.js'
import { aReportedMailing } from './mailings.js'
import { aPromo, tellClick, tellImpression } from './promos.js'

type App = Pick<TestApp, 'db' | 'clock' | 'audience'>
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Addresses of universities, each in another country; the last is in none. */
const addresses = [
  '81.2.69.142',
  '128.103.0.1',
  '145.97.39.155',
  '133.11.0.1',
  '130.92.0.1',
  '131.188.0.1',
  '192.38.0.1',
  '129.240.0.1',
  '130.237.0.1',
  '147.32.0.1',
  '203.0.113.7',
]
const ipad =
  'Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1'
const bot = 'curl/8.5.0'

/**
 * Eight issues of a letter, told by events alone, in which there is some of everything: machines and proxies, who bounced
 * or was reached after all, left, complained and answered, clicks long after and before the hour, on links that are known
 * and on one that nobody told, from more countries than a report shows.
 * @param options.crowd so many contacts more, who do nothing, between the first ten readers and the others
 */
export async function aToldAutumn(app: App, { crowd = 0 } = {}) {
  const list = await aList(app)
  const people: number[] = []
  for (let index = 0; index < 20; index++) {
    if (index === 10) await aCrowd(app, crowd)
    const { id } = await aContact(app, { email: `reader${index}@fernmail.example` })
    people.push(id)
    const joined = app.clock.now() - (60 + index * 17) * day
    const subscription = { list_id: list.id, contact_id: id, status: 'subscribed' }
    await app.db
      .insertInto('subscriptions')
      .values({ ...subscription, subscribed_at: joined })
      .execute()
    await app.db
      .insertInto('subscription_changes')
      .values({ ...subscription, changed_at: joined })
      .execute()
  }
  const issues: number[] = []
  for (let issue = 0; issue < 8; issue++) {
    const sentAt = app.clock.now() - (7 - issue) * 7 * day - 53 * hour
    const { id: mailingId } = await aMailing(app, {
      name: `Issue ${issue + 1}`,
      sent_at: sentAt,
      list_id: list.id,
    })
    issues.push(mailingId)
    for (const [index, contactId] of people.entries()) {
      const did = async (
        kind: Parameters<typeof anEngagement>[1]['kind'],
        after: number,
        more: Partial<Parameters<typeof anEngagement>[1]> = {},
      ) => {
        // What is still to come has not happened.
        if (sentAt + after > app.clock.now()) return
        await anEngagement(app, { contactId, mailingId, kind, happenedAt: sentAt + after, ...more })
      }
      if (index === 18 || (index === 17 && issue % 2 === 0)) {
        await did(index === 18 ? 'bounced' : 'rejected', 2 * minute)
        continue
      }
      if (index === 16 && issue === 6) await did('bounced', minute)
      await did('delivered', 2 * minute)
      if (index < 9 + (issue % 3)) await did('opened', Math.round((index * index * 0.9 + 0.3) * hour))
      if (index === 14) await did('opened', 20 * minute, { userAgent: bot })
      if (index === 15) await did('opened', 3 * minute, { userAgent: 'Mozilla/5.0' })
      // Before the person whose address it is, and for one who does nothing: neither is in a number.
      if (index === 0 || index === 13)
        await did('clicked', 4 * minute, { url: linkOf(index), userAgent: bot })
      if (index < 5 + (issue % 2) + 2 * (issue % 3))
        for (let click = 0; click <= index % 3; click++)
          await did('clicked', Math.round((index * index * 1.7 + 0.6 + click * 29) * hour), {
            url: index === 4 && click === 1 ? null : linkOf(index * 2 + click * (issue + 1)),
            address: addresses[(index + issue) % addresses.length]!,
            ...(index === 3 ? { os: null, browser: null } : {}),
            ...(index % 4 === 1 ? { os: 'Windows', browser: 'Edge' } : {}),
          })
      // A click at the very end of its third day, and one a moment before: the one counts on the fourth.
      if (index === 11) await did('clicked', 3 * day, { url: linkOf(1), address: addresses[0]! })
      if (index === 12) await did('clicked', 3 * day - 1, { url: linkOf(1), address: addresses[0]! })
      if (index === 2) await did('replied', 5 * hour)
      if (index === 8 && issue !== 6) await did('unsubscribed', 6 * hour)
      if (index === 9 && issue > 4) await did('complained', 7 * hour)
    }
  }
  return { list, people, issues }
}
async function aCrowd({ db, clock }: Pick<TestApp, 'db' | 'clock'>, people: number) {
  for (let from = 0; from < people; from += 1_000)
    await db
      .insertInto('contacts')
      .values(
        Array.from({ length: Math.min(1_000, people - from) }, (_, index) => ({
          email: `crowd${from + index}@fernmail.example`,
          name: '',
          name_folded: '',
          source: 'import',
          created_at: clock.now(),
        })),
      )
      .execute()
}
const linkOf = (number: number) => `https://bindery.example/${String.fromCharCode(97 + (number % 13))}`

/** Mailings that a provider alone tells of, with their links: the last two are those of a report. */
export async function aReportedAutumn(app: Pick<TestApp, 'db' | 'clock'>) {
  const list = await aList(app, { name: 'Paperboat, all customers' })
  const issues: number[] = []
  for (let issue = 0; issue < 7; issue++) {
    const { id } = await aReportedMailing(app, {
      name: `Paperboat ${issue + 1}`,
      sentAt: app.clock.now() - (7 - issue) * 11 * day - hour,
      lists: [list.id],
      delivered: 1_000 + issue * 130,
      open: 0.27 + ((issue * 5) % 7) / 60,
      click: 0.03 + ((issue * 3) % 5) / 90,
    })
    issues.push(id)
    await app.db
      .insertInto('mailing_link_reports')
      .values(
        Array.from({ length: 8 }, (_, link) => ({
          mailing_id: id,
          url: `https://paperboat.example/${issue < 6 ? link : link + 5}`,
          clicks: 60 - link * 7 + issue,
          unique_clicks: 50 - link * 6,
          checked_at: app.clock.now(),
        })),
      )
      .execute()
  }
  return { list, issues }
}

/** A tracker campaign of five days and three sending domains, seen from many countries and on any device. */
export async function aTrackedAutumn(app: Pick<TestApp, 'db' | 'clock' | 'http'>) {
  const campaign = await aCampaign(app)
  const agents = [firefox, firefox, iphone, ipad, '']
  app.clock.pass(37 * minute)
  for (let index = 0; index < 44; index++) {
    app.clock.pass(Math.round((0.4 + (index % 6) * 1.1) * hour))
    const about = {
      cid: campaign.id,
      email: `reader${index % 17}@fernmail.example`,
      domain: ['news.fernweh.example', 'kindling.example', 'letters.example'][index % 3]!,
      ip: addresses[index % 4 === 0 ? 0 : index % addresses.length]!,
      ua: agents[(index * 3) % agents.length]!,
    }
    await anEvent(app, about)
    if (index % 2 === 0) await anEvent(app, { ...about, event: 'landing_click' })
    if (index % 5 === 0) await anEvent(app, { ...about, event: 'conversion' })
    if (index % 9 === 0) await anEvent(app, { ...about, email: 'bot@fernmail.example', ua: 'Googlebot/2.1' })
  }
  app.clock.pass(2 * hour)
  return campaign
}

/** An offer with three texts, the second the better one, shown in three mailings of a provider. */
export async function aPromotedAutumn(app: Pick<TestApp, 'db' | 'clock' | 'http' | 'promos'>) {
  const { offer, ids } = await aPromo(app, { texts: 3 })
  for (let issue = 0; issue < 3; issue++) {
    const sentAt = app.clock.now() - hour
    const mailing = await aReportedMailing(app, { name: `Issue ${issue + 1}`, sentAt, delivered: 900 })
    const { provider_id: newsletter_send_id } = await app.db
      .selectFrom('mailings')
      .select('provider_id')
      .where('id', '=', mailing.id)
      .executeTakeFirstOrThrow()
    for (const [text, variation_id] of ids.entries()) {
      const shown = { offer_id: offer.id, variation_id, newsletter_send_id, placements: 1 }
      await tellImpression(app, shown).expect(204)
      for (let click = 0; click < 6 + 9 * (text % 2) + issue; click++)
        await tellClick(app, { variation_id, ip_hash: `${issue} ${text} ${click}` }).expect(204)
    }
    app.clock.pass(4 * day)
  }
  return offer
}
