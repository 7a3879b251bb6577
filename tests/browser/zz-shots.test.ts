import { it } from 'vitest'
import { aList, aMailing, anEngagement } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aSite, aWindow, logIn } from '../support/site.js'

const hour = 3_600_000,
  day = 24 * hour
it('shots', async () => {
  const site = await aSite()
  const { db } = site
  const now = Date.now()
  const list = await aList(site)
  await db
    .updateTable('lists')
    .set({
      provider: 'emailoctopus',
      double_opt_in: 1,
      subscribed: 12482,
      pending: 14,
      unsubscribed: 903,
      made_at: now - 400 * day,
      walked_at: now - hour,
      gone_at: now - day,
    })
    .execute()
  await db
    .insertInto('list_fields')
    .values([
      {
        list_id: list.id,
        tag: 'City',
        label: 'Home town',
        type: 'text',
        choices: '[]',
        fallback: 'somewhere',
        position: 1,
      },
      {
        list_id: list.id,
        tag: 'Likes',
        label: 'Likes',
        type: 'choice_multiple',
        choices: '["tea","rain"]',
        fallback: null,
        position: 2,
      },
    ])
    .execute()
  await db
    .insertInto('list_tags')
    .values([
      { list_id: list.id, name: 'press' },
      { list_id: list.id, name: 'buyer' },
    ])
    .execute()
  for (let i = 0; i < 40; i++)
    await db
      .insertInto('list_snapshots')
      .values({
        list_id: list.id,
        taken_at: now - (80 - i * 2) * day,
        subscribed: 11800 + i * 17 - (i === 20 ? 60 : 0),
        unsubscribed: 800 + i * 2,
        pending: i % 7,
      })
      .execute()
  const ids: number[] = []
  for (let m = 22; m >= 0; m--) {
    const sent_at = now - m * 7 * day - 5 * day - 3 * hour
    const mailing = await aMailing(site, {
      provider: 'emailoctopus',
      list_id: list.id,
      name: `Issue ${112 - m}, Slow tools for fast weeks`,
      subject: `Slow tools for fast weeks`,
      from_name: 'Maren',
      from_address: 'maren@slow.example',
      synced_by: 'maren',
      seen_at: now - 600_000,
      made_at: sent_at - day,
      sent_at,
    })
    ids.push(mailing.id)
    const top = 4500 + ((m * 733) % 1300) + (m === 0 ? 900 : 0)
    let last: any
    for (const h of [
      0.5, 1, 2, 3, 4, 6, 8, 10, 12, 18, 24, 30, 36, 48, 60, 72, 96, 120, 144, 240, 480,
    ].filter((h) => sent_at + h * hour < now)) {
      const part = 1 - Math.exp(-Math.sqrt(h) / 2.4)
      last = {
        recipients: 12614,
        deliveries: 12480,
        opens: Math.round(top * part * 1.6),
        unique_opens: Math.round(top * part) - (h === 36 ? 90 : 0),
        clicks: Math.round(top * part * 0.3),
        unique_clicks: Math.round(top * part * 0.2),
        permanent_failures: 100,
        temporary_failures: 34,
        unsubscriptions: 21,
        complaints: 1,
      }
      await db
        .insertInto('mailing_snapshots')
        .values({ mailing_id: mailing.id, taken_at: sent_at + h * hour, is_lower: h === 36 ? 1 : 0, ...last })
        .execute()
    }
    await db
      .insertInto('mailing_reports')
      .values({ mailing_id: mailing.id, checked_at: now - 600_000, ...last })
      .execute()
  }
  const id = ids.at(-1)!
  await db
    .insertInto('mailing_contents')
    .values({
      mailing_id: id,
      html: '<h1>Slow tools</h1><p style="color:teal">Hello</p><img src="https://a.example/x.png" alt="pic">',
    })
    .execute()
  await db
    .insertInto('mailing_link_reports')
    .values([
      {
        mailing_id: id,
        url: 'https://paperboat.example/autumn',
        clicks: 742,
        unique_clicks: 611,
        checked_at: now - 600_000,
      },
      {
        mailing_id: id,
        url: 'https://bindery.example/notebooks/a/very/long/address?with=a&query=that-goes-on-and-on-and-on',
        clicks: 318,
        unique_clicks: 274,
        checked_at: now - 600_000,
      },
    ])
    .execute()
  const { id: cid } = await aCampaign(site)
  for (let i = 0; i < 9; i++) await anEvent(site, { cid, event: 'landing_click', email: `r${i}@a.example` })
  await anEvent(site, { cid, event: 'conversion', email: `r1@a.example` })
  await db.updateTable('mailings').set({ campaign_id: cid }).where('id', '=', id).execute()
  for (let i = 0; i < 12; i++) {
    const { contact } = await site.audience.write({
      do: 'subscriber',
      subscriber: {
        provider: 'emailoctopus',
        providerId: `x${i}`,
        listId: list.id,
        email: `reader${i}.with-a-long-name-of-its-own@fernmail.example`,
        name: i % 3 ? `Reader Number ${i}` : '',
        status: i === 11 ? 'unsubscribed' : 'subscribed',
        providerStatus: 'subscribed',
        source: 'api',
        subscribedAt: now - (80 - i) * day,
        unsubscribedAt: i === 11 ? now - 2 * day : null,
        changes: [{ at: now - (80 - i) * day, status: 'subscribed' }],
        tags: i % 2 ? ['press'] : [],
        seenAt: now,
      },
    } as any)
    await db
      .updateTable('subscriptions')
      .set({ fields: JSON.stringify({ City: i % 2 ? 'Oslo' : 'Bergen', Likes: ['tea', 'rain'] }) })
      .where('contact_id', '=', contact!)
      .execute()
    await anEngagement(site, {
      contactId: contact!,
      mailingId: id,
      kind: 'opened',
      provider: 'emailoctopus',
      happenedAt: now - 5 * day + i * hour,
      os: null,
      browser: null,
    })
  }
  const browser = await launchBrowser()
  const clip = async (window: any, name: string, y: number, height: number, width: number) =>
    window.page.screenshot({
      path: `/tmp/h/shots-lists/${name}.png`,
      clip: { x: 0, y, width, height },
      captureBeyondViewport: true,
    })
  const phone = await aWindow(browser, site, { width: 360 })
  await logIn(phone)
  for (const [name, path] of [
    ['pm', `/mailings/${id}`],
    ['pl', `/lists/${list.id}?field=City&value=Oslo`],
    ['ph', `/mailings/heatmap?mailing=${id}&what=opens`],
    ['pls', '/lists'],
  ] as const) {
    await phone.visit(path)
    await new Promise((r) => setTimeout(r, 1200))
    for (const part of [0, 1, 2])
      if (part === 0 || name === 'pm' || name === 'pl')
        await clip(phone, `${name}${part}`, part * 1500, 1500, 360)
  }
  const desk = await aWindow(browser, site, { width: 1280 })
  await logIn(desk)
  await desk.visit(`/mailings/${id}`)
  await new Promise((r) => setTimeout(r, 1200))
  await clip(desk, 'dm', 0, 1500, 1280)
  await desk.visit(`/lists/${list.id}`)
  await new Promise((r) => setTimeout(r, 1200))
  await clip(desk, 'dl', 0, 1500, 1280)
  await desk.visit(`/mailings/${id}?images=1#message`)
  await new Promise((r) => setTimeout(r, 2500))
  await desk.page.screenshot({ path: '/tmp/h/shots-lists/message.png' as any })
  const frame = desk.page.frames().find((f) => f.url().includes('/message'))
  console.log(frame?.url(), desk.complaints)
  await browser.close()
}, 240_000)
