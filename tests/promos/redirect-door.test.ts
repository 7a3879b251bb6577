import { describe, expect, it } from 'vitest'
import { destinationOf, linkOf, withParameters } from '../../src/promos/link.js'
import { testApp } from '../support/app.js'
import { firefox } from '../support/builders.js'
import { anOffer, aPromo, aVariation, countsOf } from '../support/promos.js'
import { expectCountsToHold } from '../support/recount.js'

const plain = { utm_source: '', utm_medium: '', utm_campaign: '', utm_term: '', utm_content: '' }

describe('/go', () => {
  it('leads to the stored destination, and counts for the variation', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app, {
      destination_url: 'https://bindery.example/notebooks?ref=ours#sizes',
      utm_source: 'letter',
    })
    const answer = await app.http
      .get(`/go/${offer.slug}?promo_var=${ids[0]}&ref=theirs&a=1&a=2&name=J%C3%B6rg`)
      .set('User-Agent', firefox)
      .set('Referer', 'https://webmail.example/inbox?me=ada@fernmail.example')
      .expect(302)
    expect(answer.headers.location).toBe(
      'https://bindery.example/notebooks?ref=ours&utm_source=letter&a=1&a=2&name=J%C3%B6rg#sizes',
    )
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(answer.headers['cache-control']).toBe('no-store')
    // A redirect does not wait for its click.
    await app.promos.settled()
    expect(await countsOf(app, ids[0]!)).toMatchObject({ clicks: 1 })
    const row = await app.db.selectFrom('promo_clicks').selectAll().executeTakeFirstOrThrow()
    expect(row).toMatchObject({ referrer: 'webmail.example', device: 'desktop', variation_id: ids[0] })
    await expectCountsToHold(app.db)
  })

  it('lets parameters travel on letter for letter', async () => {
    const app = await testApp()
    const { offer } = await aPromo(app, { destination_url: 'https://bindery.example/?ref=ours' })
    const leads = async (query: string) =>
      (await app.http.get(`/go/${offer.slug}?${query}`).expect(302)).headers.location
    const own = 'https://bindery.example/?ref=ours'
    expect(await leads('q=caf%E9&p=a+b%20c&flag&e=&%zz=1')).toBe(`${own}&q=caf%E9&p=a+b%20c&flag&e=&%zz=1`)
    expect(await leads('&&a=1&r%65f=theirs&promo_var=x&promo%5Fvar=y')).toBe(`${own}&a=1`)
    expect(await leads('promo_var=1')).toBe(own)
    expect(destinationOf({ slug: '', link_url: '', ...plain, destination_url: own }, 'q=\u00e9"#<>`')).toBe(
      `${own}&q=%E9%22%23%3C%3E%60`,
    )
  })

  it('counts for the offer when it names no text of it', async () => {
    const app = await testApp()
    const { offer } = await aPromo(app)
    const other = await aPromo(app)
    for (const query of [
      '',
      '?promo_var=',
      '?promo_var=nonsense',
      '?promo_var=99999',
      `?promo_var=${other.ids[0]}`,
      '?promo_var=%',
    ])
      await app.http.get(`/go/${offer.slug}${query}`).set('User-Agent', firefox).expect(302)
    await app.promos.settled()
    const counts = await app.db.selectFrom('promo_offer_counts').selectAll().execute()
    // The same reader within ten minutes.
    expect(counts).toMatchObject([{ offer_id: offer.id, clicks: 1, repeated_clicks: 5 }])
    expect(await app.db.selectFrom('promo_variation_counts').selectAll().execute()).toEqual([])
    await expectCountsToHold(app.db)
  })

  it('goes on for what is retired', async () => {
    const app = await testApp()
    const offer = await anOffer(app, { active: 0, archived_at: 1, until_on: '2020-01-01' })
    const text = await aVariation(app, offer.id, { archived_at: 1, approved: 0 })
    await app.http
      .get(`/go/${offer.slug.toUpperCase()}?promo_var=${text.id}`)
      .set('User-Agent', firefox)
      .expect(302)
    await app.promos.settled()
    expect(await countsOf(app, text.id)).toMatchObject({ clicks: 1 })
  })

  it('keeps no address of who has none', async () => {
    const app = await testApp({ env: { TRUST_PROXY: '1' } })
    const { offer } = await aPromo(app)
    await app.http
      .get(`/go/${offer.slug}`)
      .set('X-Forwarded-For', 'unknown')
      .set('User-Agent', firefox)
      .expect(302)
    await app.promos.settled()
    expect(await app.db.selectFrom('promo_clicks').select('address').execute()).toEqual([{ address: null }])
  })

  it('counts nothing for HEAD, machines beside, and leads nowhere else', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app)
    const path = `/go/${offer.slug}?promo_var=${ids[0]}`
    await app.http.head(path).set('User-Agent', firefox).expect(302)
    await app.promos.settled()
    expect(await countsOf(app, ids[0]!)).toBeUndefined()
    await app.http.get(path).set('User-Agent', firefox).set('Sec-Purpose', 'prefetch').expect(302)
    await app.http.get(path).set('User-Agent', 'curl/8').expect(302)
    await app.promos.settled()
    expect(await countsOf(app, ids[0]!)).toMatchObject({ clicks: 0, machine_clicks: 2 })
    const away = await app.http
      .get(`/go/${offer.slug}?url=https://evil.example/&next=//evil.example`)
      .expect(302)
    expect(new URL(away.headers.location!).host).toBe('bindery.example')
    expect((await app.http.get('/go/nothing').expect(404)).text).toBe('There is no offer at this address.\n')
    expect((await app.http.post(path).expect(405)).headers.allow).toBe('GET, HEAD')
  })
})

describe('links', () => {
  const offer = { slug: 'moka', destination_url: 'https://stove.example/', link_url: '', ...plain }

  it('lead here, or where the owner says, with what belongs to them', () => {
    expect(linkOf(offer, 7, 'https://t.example')).toBe('https://t.example/go/moka?promo_var=7')
    const own = {
      ...offer,
      link_url: 'https://me.example/r?x=1&utm_source=old&flag#top',
      utm_source: 'a b&c',
      utm_term: 'ü',
    }
    expect(linkOf(own, 7, 'https://t.example')).toBe(
      'https://me.example/r?x=1&flag&promo_var=7&utm_source=a%20b%26c&utm_term=%C3%BC#top',
    )
  })

  it('keep queries and fragments as they were', () => {
    expect(withParameters('https://a.example/#x?y', [['p', '1']])).toBe('https://a.example/?p=1#x?y')
    expect(withParameters('https://a.example/?', [['p', '1']])).toBe('https://a.example/?p=1')
    expect(withParameters('https://a.example/?q=%zz&%zz=1&p+q=2', [['p q', '3']])).toBe(
      'https://a.example/?q=%zz&%zz=1&p%20q=3',
    )
    expect(withParameters('https://a.example/?q=1', [])).toBe('https://a.example/?q=1')
    expect(destinationOf({ ...offer, utm_source: 'letter' }, 'utm_source=later&promo_var=7')).toBe(
      'https://stove.example/?utm_source=later',
    )
    expect(
      destinationOf(
        { ...offer, destination_url: 'https://s.example/?utm_source=theirs', utm_source: 'ours' },
        '',
      ),
    ).toBe('https://s.example/?utm_source=theirs')
  })
})

it('counts no caller who does not say what it is', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  await app.http.get(`/go/${offer.slug}?promo_var=${ids[0]}`).unset('User-Agent').expect(302)
  await app.promos.settled()
  expect(await countsOf(app, ids[0]!)).toMatchObject({ clicks: 0, machine_clicks: 1 })
})
