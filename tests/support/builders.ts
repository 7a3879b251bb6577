import type { TestApp } from './app.js'

/** A campaign; say only what the test is about. */
export async function aCampaign(
  { db, clock }: Pick<TestApp, 'db' | 'clock'>,
  given: Partial<{
    name: string
    offer_url: string
    needs_key: 0 | 1
    write_key: string
    archived_at: number
  }> = {},
) {
  const campaign = {
    name: 'Autumn Reading List',
    offer_url: 'https://paperboat.example/autumn',
    write_key: 'open-sesame',
    needs_key: 0 as 0 | 1,
    created_at: clock.now(),
    ...given,
  }
  const { id } = await db.insertInto('campaigns').values(campaign).returning('id').executeTakeFirstOrThrow()
  await db
    .insertInto('campaign_offers')
    .values({ campaign_id: id, since_at: campaign.created_at, offer_url: campaign.offer_url })
    .execute()
  return { id, ...campaign }
}

export const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
export const iphone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1'

/** Reports an event through the front door, as a server that passes its visitor's browser on. */
export async function anEvent(
  { http }: Pick<TestApp, 'http'>,
  given: Record<string, string | number> & { cid: number },
) {
  const { body } = await http
    .get('/api/event')
    .query({
      event: 'email_click',
      email: 'ada@fernmail.example',
      domain: 'news.fernweh.example',
      ip: '203.0.113.7',
      ua: firefox,
      ...given,
    })
    .expect(200)
  return body.event_id as number
}
