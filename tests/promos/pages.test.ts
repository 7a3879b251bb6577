import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aMailing } from '../support/audience.js'
import { firefox } from '../support/builders.js'
import { aPerson } from '../support/person.js'
import { anOffer, aPromo, aVariation, tellClick, tellImpression } from '../support/promos.js'
import { expectCountsToHold } from '../support/recount.js'

async function aRoom(env: Record<string, string> = {}) {
  const app = await testApp({ env: { PROMO_CLICKS_PER_MINUTE: '0', ...env } })
  const person = await aPerson(app)
  return {
    ...app,
    outside: app.http,
    ...person,
    page: async (path: string, status = 200) => (await person.http.get(path).expect(status)).text,
  }
}
type Room = Awaited<ReturnType<typeof aRoom>>

/** An issue that showed a text to so many, of whom some clicked. */
async function anIssue(
  room: Room,
  offer_id: number,
  variation_id: number,
  { got, clicks }: { got: number; clicks: number },
) {
  const app = { http: room.outside }
  const newsletter_send_id = `issue ${room.clock.at} ${variation_id}`
  await tellImpression(app, { offer_id, variation_id, newsletter_send_id }).expect(204)
  const send = await room.db
    .selectFrom('promo_sends')
    .select('id')
    .where('key', '=', newsletter_send_id)
    .executeTakeFirstOrThrow()
  await room.send(`/promos/sends/${send.id}/tie`, { mailing: '', delivered: String(got) }).expect(303)
  for (let click = 0; click < clicks; click++)
    await tellClick(app, {
      variation_id,
      ip_hash: `${newsletter_send_id} ${click}`,
      user_agent: firefox,
    }).expect(204)
  room.clock.pass(60_000)
}
const verdictOn = (page: string) => /<p id="verdict">(.*?)<\/p>/s.exec(page)![1]!.replace(/<[^>]+>/g, '')

/** The hour that the heatmap of the only offer names. */
const peakOf = async (room: Room) => /Most clicks come[^<]*/.exec(await room.page('/promos/offers/1'))?.[0]

describe('the heatmap', () => {
  it.each([
    // A quarter to six hours ahead of UTC: their hours begin at a quarter past.
    ['Asia/Kathmandu', ['07:14', '07:15', '08:14', '08:15'], 'Saturday at 13:00, 2 of 4.'],
    // The clock goes back from three to two.
    ['Europe/Berlin', ['00:59', '01:00', '02:00'], 'Sunday at 2:00, 2 of 3.'],
  ])('has the hours of the clock in %s', async (TIME_ZONE, instants, peak) => {
    const room = await aRoom({ TIME_ZONE })
    const { ids } = await aPromo(room)
    for (const instant of instants) {
      room.clock.at = Date.parse(`2026-10-${TIME_ZONE === 'Europe/Berlin' ? 25 : 24}T${instant}Z`)
      const told = { variation_id: ids[0], ip_hash: instant }
      await tellClick({ http: room.outside }, told).expect(204)
    }
    expect(await peakOf(room)).toBe(`Most clicks come on ${peak}`)
    await expectCountsToHold(room.db)
  })
})

describe('the pages of promos', () => {
  it('lead from nothing to an offer with an approved text', async () => {
    const room = await aRoom()
    expect(await room.page('/promos')).toContain('Which text works, offer by offer')
    const wrong = await room
      .send('/promos/offers', {
        name: '',
        destination_url: 'shop.example',
        from_on: '2026-12-24',
        until_on: '2026-12-01',
      })
      .expect(422)
    expect(wrong.text).toContain('Give the offer a name.')
    expect(wrong.text).toContain('Did you mean https://shop.example?')
    expect(wrong.text).toContain('value="shop.example"')
    const made = await room
      .send('/promos/offers', {
        name: 'Bücher & Hefte',
        destination_url: 'https://shop.example/',
        active: '1',
      })
      .expect(303)
    expect(made.headers.location).toBe('/promos/offers/1/variations/new')
    expect(
      await room.db.selectFrom('promo_offers').select(['slug', 'active', 'base_weight']).execute(),
    ).toEqual([{ slug: 'bucher-hefte', active: 1, base_weight: 1 }])
    const twice = await room
      .send('/promos/offers', { name: 'Bucher hefte', destination_url: 'https://shop.example/' })
      .expect(422)
    expect(twice.text).toContain('Another offer has the slug')
    expect((await room.send('/promos/offers/1/variations', { text: '' }).expect(422)).text).toContain(
      'Write the text.',
    )
    await room.send('/promos/offers/1/variations', { text: 'Read more', weight: '1,5' }).expect(303)
    expect(verdictOn(await room.page('/promos/offers/1'))).toBe('No text may run yet.')
    await room.send('/promos/variations/1/approval', { approved: '1' }).expect(303)
    expect(verdictOn(await room.page('/promos/offers/1'))).toBe(
      'Keep “Read more”: it is the only text there is.',
    )
    const chosen = await room.outside.get('/api/v1/promo/select-random').expect(200)
    expect(chosen.body).toMatchObject({ variation_id: 1, length_category: 'short' })
    expect(await room.page('/promos')).toContain('href="/promos/offers/1">Bücher &amp; Hefte')
    await room
      .send('/promos/offers/1/edit', {
        name: 'Bücher',
        destination_url: 'https://shop.example/new',
        slug: 'b',
        active: '1',
        group_id: '1',
      })
      .expect(303)
    await room.outside.get('/go/bucher-hefte').expect(302)
    expect((await room.outside.get('/go/b').expect(302)).headers.location).toBe('https://shop.example/new')
    for (const path of [
      '/promos/offers/9',
      '/promos/offers/x',
      '/promos/variations/9/edit',
      '/promos/groups/9',
      '/promos/choices/9',
    ])
      await room.page(path, 404)
    await room
      .send('/promos/offers', { name: 'x', destination_url: 'https://a.example', group_id: '9' })
      .expect(404)
  })

  it('never change words that were shown, and retire instead of deleting', async () => {
    const room = await aRoom()
    const { offer, ids } = await aPromo(room)
    const edit = (id: number, text: string) =>
      room.send(`/promos/variations/${id}/edit`, { text, cta_text: 'See the notebooks' }).expect(303)
    await edit(ids[0]!, 'A first try')
    expect(await room.db.selectFrom('promo_text_variations').selectAll().execute()).toHaveLength(1)
    await tellImpression({ http: room.outside }, { offer_id: offer.id, variation_id: ids[0] }).expect(204)
    await edit(ids[0]!, 'Other words')
    const texts = await room.db
      .selectFrom('promo_text_variations')
      .select(['id', 'text', 'archived_at', 'approved'])
      .orderBy('id')
      .execute()
    expect(texts).toMatchObject([
      { text: 'A first try', archived_at: expect.any(Number) },
      { text: 'Other words', archived_at: null, approved: 0 },
    ])
    await room.send(`/promos/variations/${texts[1]!.id}/approval`, {}).expect(303)
    await room.send(`/promos/variations/${texts[1]!.id}/approval`, { approved: '0' }).expect(303)
    await room.send(`/promos/variations/${ids[0]}/archiving`, { archived: '0' }).expect(303)
    await room.send(`/promos/variations/${ids[0]}/archiving`, {}).expect(303)
    await room.send(`/promos/offers/${offer.id}/archiving`, {}).expect(303)
    await room.outside.get('/api/v1/promo/select-random').expect(404)
    expect(await room.page('/promos?state=archived')).toContain('Retired')
    expect(await room.page('/promos')).toContain('There is no such offer')
    await room.outside.get(`/go/${offer.slug}`).expect(302)
    await room.send(`/promos/offers/${offer.id}/archiving`, { archived: '0' }).expect(303)
    expect(await room.page(`/promos/variations/${ids[0]}/edit`)).toContain('As readers see it')
  })

  it('say in one sentence which text to keep', async () => {
    const room = await aRoom()
    const offer = await anOffer(room)
    const [good, weak] = [
      await aVariation(room, offer.id, { headline: 'Paper that keeps' }),
      await aVariation(room, offer.id, { headline: 'Order now' }),
    ]
    const page = `/promos/offers/${offer.id}`
    expect(verdictOn(await room.page(page))).toBe('Which text to keep is told once they were shown.')
    await tellImpression(
      { http: room.outside },
      { offer_id: offer.id, variation_id: good.id, newsletter_send_id: 'x' },
    ).expect(204)
    expect(verdictOn(await room.page(page))).toMatch('nobody knows how many readers got the issues')
    await room.db.deleteFrom('promo_send_counts').execute()
    await anIssue(room, offer.id, good.id, { got: 1_000, clicks: 14 })
    await anIssue(room, offer.id, weak.id, { got: 1_000, clicks: 11 })
    expect(verdictOn(await room.page(page))).toMatch(
      /^Keep all of them for now: “Paper that keeps” leads with \d\d% probability, and about \d+ more issues will settle it\.$/,
    )
    for (let issue = 0; issue < 4; issue++) await anIssue(room, offer.id, good.id, { got: 1_000, clicks: 30 })
    await anIssue(room, offer.id, weak.id, { got: 1_000, clicks: 12 })
    expect(verdictOn(await room.page(page))).toMatch(
      /^Keep “Paper that keeps”: it is the best of the two with (over )?9\d(\.\d)?% probability, and about \w+ more issues? will settle it\.$/,
    )
    for (let issue = 0; issue < 3; issue++) await anIssue(room, offer.id, weak.id, { got: 1_000, clicks: 10 })
    const won = await room.page(page)
    expect(verdictOn(won)).toMatch(
      /^Keep “Paper that keeps”: it is the best of the two with (over )?99\.\d% probability\.$/,
    )
    expect(won).toContain('If this one were wrong, keeping it would cost')
    for (const part of [
      'How sure we are',
      'CTR over time',
      'When people click',
      'Desktop',
      'A click belongs to the issue',
    ])
      expect(won).toContain(part)
    const part = await room.part(`${page}/numbers`).expect(200)
    expect((await room.page(page)).replace(/\s+/g, ' ')).toContain(
      part.text.trim().replace(/\s+/g, ' ').slice(0, 400),
    )
    expect(await room.page(`${page}/numbers?days=7`)).toContain('<!doctype html>')
    await room.page(`${page}?days=all`)
    const overview = await room.page('/promos?days=all')
    expect(overview).toContain('winner')
    expect(overview).toContain('Paper that keeps')
    const texts = await room.page('/promos/texts?by=cta&days=90')
    expect(texts).toContain('Paper that keeps')
    for (const by of ['tone', 'length', 'headline', 'nonsense'])
      await room.page(`/promos/texts?by=${by}&show=all`)
  })

  it('say when there is no practical difference, and when the numbers cannot be', async () => {
    const room = await aRoom()
    await room.send('/settings/promos', { impression_meaning: 'message', click_metadata: '1' }).expect(303)
    const { offer, ids } = await aPromo(room, { texts: 2 })
    for (const variation_id of ids)
      for (let issue = 0; issue < 5; issue++)
        await tellImpression(
          { http: room.outside },
          { offer_id: offer.id, variation_id, placements: 100, newsletter_send_id: `${issue}` },
        ).expect(204)
    await room.db.updateTable('promo_variation_counts').set({ impressions: 300_000, clicks: 6_000 }).execute()
    const page = `/promos/offers/${offer.id}`
    expect(verdictOn(await room.page(page))).toMatch(
      /or any other of the two: there is no practical difference/,
    )
    await room.db.updateTable('promo_variation_counts').set({ impressions: 3 }).execute()
    expect(verdictOn(await room.page(page))).toBe(
      'Which text to keep cannot be told: there are more clicks than impressions.',
    )
    const refused = await room.send('/settings/promos', { path: '/elsewhere', section: 'other' }).expect(422)
    expect(refused.text).toContain('<h2 id="section">Promos</h2>')
    expect(refused.text).toContain('<form class="form form--wide" action="/settings/promos"')
    expect(refused.text).not.toContain(' checked')
    expect(
      (await room.send('/settings/promos', { impression_meaning: 'issue' }).expect(303)).headers.location,
    ).toBe('/settings/promos')
    expect(await room.page('/settings/promos')).toContain('nothing is kept of a click')
  })

  it('tie issues by hand and explain choices', async () => {
    const room = await aRoom()
    const { offer, ids } = await aPromo(room, { texts: 2 })
    expect(await room.page('/promos/sends')).toContain('No issue was named yet')
    await tellImpression(
      { http: room.outside },
      { offer_id: offer.id, variation_id: ids[0], newsletter_send_id: 'em_1' },
    ).expect(204)
    const mailing = await aMailing(room, { name: 'Issue 112' })
    await room.send('/promos/sends/1/tie', { mailing: String(mailing.id), delivered: '' }).expect(303)
    expect(await room.page('/promos/sends')).toMatch(new RegExp(`value="${mailing.id}" selected>Issue 112`))
    await room.send('/promos/sends/1/tie', { mailing: '', delivered: 'many' }).expect(303)
    expect(await room.page('/promos/sends')).toContain('How many got it is a whole number')
    await room.send('/promos/sends/1/tie', { mailing: '999', delivered: '' }).expect(404)
    await room.send('/promos/sends/9/tie', { mailing: '', delivered: '' }).expect(404)
    await room.send('/promos/sends/1/tie', { mailing: '', delivered: '' }).expect(303)

    expect(await room.page('/promos/choices')).toContain('Nothing was chosen yet')
    const rules: Record<string, RegExp> = {
      fixed: /In proportion to the weights/,
      ctr: /weight × \(1 \+ CTR ÷ 100\)/,
      test: /Whose turn it was/,
      learn: /Learning kept the base weights/,
    }
    for (const [strategy, words] of Object.entries(rules)) {
      await room.send('/promos/groups/1', { name: 'All offers', strategy, half_life_days: '90' }).expect(303)
      await room.outside.get('/api/v1/promo/select-random?newsletter=morning').expect(200)
      await room.promos.settled()
      const { id } = await room.db
        .selectFrom('promo_choices')
        .select('id')
        .orderBy('id', 'desc')
        .executeTakeFirstOrThrow()
      const page = await room.page(`/promos/choices/${id}`)
      expect(page).toMatch(words)
      expect(page).toContain('the same weights choose the same text')
      room.clock.pass(1000)
    }
    expect(await room.page(`/promos/choices?offer=${offer.id}`)).toContain('alone')
    await room.clock.pass(366 * 86_400_000)
    await room.promos.cleanUp()
    expect(await room.db.selectFrom('promo_choices').selectAll().execute()).toEqual([])
    expect(await room.db.selectFrom('promo_weightings').selectAll().execute()).toEqual([])
    await room.outside.get('/api/v1/promo/select-random').expect(200)
    await room.promos.settled()
    expect(await room.db.selectFrom('promo_choices').selectAll().execute()).toHaveLength(1)
  })

  it('make groups, and say what is wrong with them', async () => {
    const room = await aRoom()
    expect(
      (await room.send('/promos/groups', { name: '', strategy: 'best', half_life_days: '-1' }).expect(422))
        .text,
    ).toContain('Give the group a name.')
    await room.send('/promos/groups', { name: 'Sponsors', strategy: 'test' }).expect(303)
    expect(
      (await room.send('/promos/groups', { name: 'sponsors', strategy: 'test' }).expect(422)).text,
    ).toContain('There is a group')
    expect(
      (await room.send('/promos/groups/2', { name: 'All offers', strategy: 'test' }).expect(422)).text,
    ).toContain('There is a group')
    expect((await room.send('/promos/groups/2', { name: '' }).expect(422)).text).toContain(
      'Give the group a name.',
    )
    expect(await room.page('/promos/groups/2')).toContain('value="Sponsors"')
  })

  it('play through how long it would take', async () => {
    const room = await aRoom()
    const page = await room.page('/promos/simulator')
    expect(page).toMatch(/Even rotation[\s\S]*17 issues[\s\S]*Learning/)
    expect(await room.page('/promos/simulator?rates=2,0%25; 2,0&impressions=500000')).toContain(
      'no practical difference',
    )
    expect(await room.page('/promos/simulator?rates=0.1, 0.1001&impressions=100')).toContain(
      'over 200 issues',
    )
    expect(await room.page('/promos/simulator?rates=2&impressions=x', 422)).toContain(
      'Write two to ten rates',
    )
  })

  it('import no line that would lead its readers to the offer of a line before it', async () => {
    const room = await aRoom()
    const send = (pasted: string) => room.send('/promos/import', { pasted, sure: '1', group_id: '1' })
    const head = 'offer,destination_url,text,cta_text,weight,slug\n'
    const named = await send(
      `${head}Name A,https://a.example/1,t1,go,1,same\nName B,https://b.example/2,t2,go,1,same`,
    )
    expect(named.status).toBe(422)
    expect(named.text).toContain('The offer with this slug is called Name A in line 2.')
    const led = await send(`${head}Moka,https://a.example/1,t1,go,1,\nMoka,https://b.example/2,t2,go,1,`)
    expect(led.status).toBe(422)
    expect(led.text).toContain('This offer leads to https://a.example/1 in line 2.')
    await send(
      `${head}Moka,https://a.example/1,t1,go,1,\nMoka,,t2,go,1,\nMoka,https://a.example/1,t3,go,1,`,
    ).expect(303)
  })

  it('import offers from CSV, all or nothing', async () => {
    const room = await aRoom()
    await aPromo(room, { slug: 'known' })
    const csv = (lines: string[]) =>
      ['offer,slug,destination_url,text,tone,approved,base_weight', ...lines].join('\n')
    const send = (pasted: string, sure = '') => room.send('/promos/import', { pasted, sure, group_id: '1' })
    expect((await send('').expect(422)).text).toContain('Paste some lines first.')
    const wrong = await send(
      csv([
        'New,,ftp://x,Words,calm,yes,1',
        'New,,https://n.example/,,calm,no,1',
        'Third,,https://t.example/,Words,,,many',
      ]),
    ).expect(422)
    for (const sentence of ['The address starts with https:// or http://', 'The weight is a number'])
      expect(wrong.text).toContain(sentence)
    for (const [text, sentence] of [
      ['offer,text\n"broken', 'This is no readable CSV'],
      ['name,words\na,b', 'offer and text have to be among them'],
      ['offer,text', 'no line below'],
      ['offer,text,colour\na,b,c', 'no column called colour'],
    ])
      expect((await send(text!).expect(422)).text).toContain(sentence)
    const good = csv([
      'New,,https://n.example/,One text,calm,yes,2',
      'New,,,Another text,warm,no,',
      'Whatever,known,,A third,,1,',
    ])
    expect((await send(good).expect(200)).text).toContain('2 offers with 3 variations')
    expect(await room.db.selectFrom('promo_offers').selectAll().execute()).toHaveLength(1)
    await send(good, '1').expect(303)
    const texts = await room.db
      .selectFrom('promo_text_variations')
      .innerJoin('promo_offers', 'promo_offers.id', 'offer_id')
      .select(['slug', 'text', 'approved', 'base_weight'])
      .orderBy('promo_text_variations.id')
      .execute()
    expect(texts.slice(1)).toEqual([
      { slug: 'new', text: 'One text', approved: 1, base_weight: 2 },
      { slug: 'new', text: 'Another text', approved: 0, base_weight: 2 },
      { slug: 'known', text: 'A third', approved: 1, base_weight: 1 },
    ])
    expect(await room.page('/promos/import')).toContain('Lines of CSV')
  })

  it.each([
    ['issue', 4_000],
    ['message', 4],
  ])('count machines and repeats in when somebody asks for it, once per %s', async (meaning, had) => {
    const room = await aRoom()
    const { offer, ids } = await aPromo(room)
    await room.send('/settings/promos', { impression_meaning: meaning, click_metadata: '1' }).expect(303)
    const told = { offer_id: offer.id, variation_id: ids[0], newsletter_send_id: 'one', placements: 4 }
    await tellImpression({ http: room.outside }, told).expect(204)
    await room.send('/promos/sends/1/tie', { mailing: '', delivered: '1000' }).expect(303)
    const click = { variation_id: ids[0], ip_address: '203.0.113.7' }
    const page = (query = '') => room.page(`/promos/offers/${offer.id}${query}`)
    await tellClick({ http: room.outside }, { ...click, user_agent: firefox }).expect(204)
    expect(await page()).not.toContain('class="left-out"')
    expect(await page('?machines=1')).toContain('No machine clicks and no repeated ones included')
    await tellClick({ http: room.outside }, { ...click, user_agent: firefox }).expect(204)
    await tellClick({ http: room.outside }, { ...click, user_agent: 'curl/8' }).expect(204)
    const figures = async (query?: string) =>
      [...(await page(query)).matchAll(/id="figure-(?:clicks|ctr)" data-value="([^"]*)"/g)].map(([, value]) =>
        Number(value),
      )
    const rounded = (clicks: number) => Math.round((clicks / had) * 1e6) / 1e4
    expect(await figures()).toEqual([1, rounded(1)])
    expect(await figures('?machines=1')).toEqual([3, rounded(3)])
    const usual = await page()
    expect(usual).toContain('1 machine click and 1 repeated click within ten minutes left out')
    expect(usual).toContain(`href="/promos/offers/${offer.id}?machines=1"`)
    const other = await page('?machines=1&days=7')
    expect(other).toContain('included in clicks and CTR')
    expect(other).toContain(`href="/promos/offers/${offer.id}?days=7"`)
    expect(other).toContain(`hx-get="/promos/offers/${offer.id}/numbers?days=7&amp;machines=1"`)
  })

  it('draw the clicks of every offer that is listed', async () => {
    const room = await aRoom()
    const offers = Array.from({ length: 501 }, (_, number) => ({
      group_id: 1,
      name: 'Many',
      slug: `many-${number}`,
      destination_url: 'https://many.example/',
      created_at: 0,
    }))
    for (let place = 0; place < offers.length; place += 100)
      await room.db
        .insertInto('promo_offers')
        .values(offers.slice(place, place + 100))
        .execute()
    await room.promos.directory.reloadAll()
    for (const { slug } of offers)
      await room.outside.get(`/go/${slug}`).set('User-Agent', firefox).expect(302)
    await room.promos.settled()
    const page = await room.page('/promos?show=all')
    expect(page.match(/Many: clicks by day, 1 in all/g)).toHaveLength(501)
  })

  it('change a slug, and links that were sent lead on', async () => {
    const room = await aRoom()
    const { offer, ids } = await aPromo(room, { slug: 'moka' })
    const form = { name: 'Moka', destination_url: offer.destination_url, active: '1' }
    const edit = (id: number, slug: string) =>
      room.send(`/promos/offers/${id}/edit`, { ...form, slug, group_id: '1' })
    const go = (slug: string, status = 302) =>
      room.outside.get(`/go/${slug}?promo_var=${ids[0]}`).set('User-Agent', firefox).expect(status)
    await edit(offer.id, 'stove').expect(303)
    expect(await room.page(`/promos/offers/${offer.id}`)).toContain('Links to /go/moka lead on.')
    await edit(offer.id, 'stove').expect(303)
    expect((await go('moka')).headers.location).toBe(offer.destination_url)
    await go('stove')
    await room.promos.settled()
    const clicks = await room.db.selectFrom('promo_clicks').select('variation_id').execute()
    expect(clicks).toEqual([{ variation_id: ids[0] }, { variation_id: ids[0] }])

    // Nobody else gets the slug; its offer may have it again.
    const taken = 'Another offer had the slug &quot;moka&quot;, and links that were sent lead to it.'
    expect((await room.send('/promos/offers', { ...form, slug: 'moka' }).expect(422)).text).toContain(taken)
    const other = await aPromo(room)
    expect((await edit(other.offer.id, 'moka').expect(422)).text).toContain(taken)
    expect((await edit(other.offer.id, 'stove').expect(422)).text).toContain('Another offer has the slug')
    const line = 'offer,destination_url,text\nMoka,https://m.example/,Words'
    const imported = await room.send('/promos/import', { pasted: line, sure: '1', group_id: '1' }).expect(422)
    expect(imported.text).toContain(taken)
    await edit(offer.id, 'moka').expect(303)
    expect(await room.db.selectFrom('promo_old_slugs').selectAll().execute()).toEqual([
      { slug: 'stove', offer_id: offer.id },
    ])
    await room.stop()
    const again = await testApp({ dataDir: room.dataDir })
    for (const slug of ['moka', 'stove']) await again.http.get(`/go/${slug}`).expect(302)
    await again.http.get('/go/nothing').expect(404)
  })

  it.each([
    [',', 'Paper; sewn by hand\tand flat'],
    [';', 'Paper, sewn by hand'],
    ['\t', 'Paper, sewn; by hand'],
  ])('import texts that hold what does not part the columns: %j', async (mark, words) => {
    const room = await aRoom()
    const names = ['offer', '"destination_url"', 'text', 'cta_text', 'tone', 'utm_term', 'utm_content']
    const line = ['Paper', 'https://p.example/', words, 'Buy', '', 'flat', 'blue']
    const pasted = `\n${names.join(mark)}\n${line.join(mark)}`
    await room.send('/promos/import', { pasted, sure: '1', group_id: '1' }).expect(303)
    expect(
      await room.db
        .selectFrom('promo_text_variations as texts')
        .innerJoin('promo_offers as offers', 'offers.id', 'offer_id')
        .select(['text', 'cta_text', 'tone', 'utm_term', 'utm_content'])
        .execute(),
    ).toEqual([{ text: words, cta_text: 'Buy', tone: '', utm_term: 'flat', utm_content: 'blue' }])
  })

  it('fade what is old where a group says so', async () => {
    const room = await aRoom()
    const { offer, ids } = await aPromo(room, { texts: 2, strategy: 'learn', half_life_days: 90 })
    await anIssue(room, offer.id, ids[0]!, { got: 1_000, clicks: 8 })
    expect(await room.page(`/promos/offers/${offer.id}`)).toContain('older ones fading')
    room.clock.pass(90 * 86_400_000 - 60_000)
    await room.promos.lookAgain()
    const { evidence } = room.promos.directory.text(ids[0]!)!
    expect(evidence.impressions).toBeCloseTo(500, 5)
    expect(evidence.clicks).toBeCloseTo(4, 5)
    await room.db
      .insertInto('settings')
      .values({ name: 'promo_impression_meaning', value: 'message' })
      .execute()
    await room.promos.settingsChanged()
    expect(room.promos.directory.text(ids[0]!)!.evidence.clicks).toBeCloseTo(4, 1)
  })
})
