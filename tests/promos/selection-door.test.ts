import { describe, expect, it } from 'vitest'
import { stoppedClock, type TestApp, testApp } from '../support/app.js'
import { firefox } from '../support/builders.js'
import { holdLock } from '../support/lock.js'
import { aPerson } from '../support/person.js'
import { anOffer, aPromo, aVariation, tellClick, tellImpression } from '../support/promos.js'

const path = '/api/v1/promo/select-random'

describe('select-random', () => {
  it('answers with a text and its link', async () => {
    const app = await testApp({ env: { BASE_URL: 'https://track.example.com' } })
    const offer = await anOffer(app, { slug: 'bindery', utm_source: 'letter' })
    const text = await aVariation(app, offer.id, { headline: 'Paper' })
    const { body, headers } = await app.http.get(path).expect(200)
    expect(body).toEqual({
      offer_id: offer.id,
      variation_id: text.id,
      offer_name: 'Bindery notebooks',
      offer_type: 'affiliate',
      headline: 'Paper',
      text: text.text,
      cta_text: 'See the notebooks',
      tone: 'calm',
      length_category: 'medium',
      link: `https://track.example.com/go/bindery?promo_var=${text.id}&utm_source=letter`,
      strategy: 'learn',
      repeated: false,
    })
    expect(headers['access-control-allow-origin']).toBe('*')
    expect(headers['set-cookie']).toBeUndefined()
  })

  it('chooses among what may run, and says why when nothing does', async () => {
    const app = await testApp()
    const reason = async (query = '') => (await app.http.get(`${path}${query}`).expect(404)).body
    expect(await reason()).toEqual({ error: 'no_eligible_offer', message: 'There is no offer yet.' })
    expect((await reason('?offer_id=9')).message).toBe('Offer ID 9 does not exist')
    const paused = await aPromo(app, { active: 0 })
    const early = await aPromo(app, { from_on: '2026-11-22' })
    const over = await aPromo(app, { until_on: '2026-11-20' })
    const retired = await aPromo(app, { archived_at: 1 })
    const silent = await anOffer(app)
    await aVariation(app, silent.id, { approved: 0 })
    await aVariation(app, silent.id, { weight: 0 })
    await aVariation(app, silent.id, { archived_at: 1 })
    expect((await reason()).message).toMatch(/^No offer is active, within its dates/)
    expect((await reason('?type=sponsor')).message).toBe('There is no offer of the type "sponsor".')
    expect((await reason('?type=affiliate')).message).toMatch(/^No offer of the type "affiliate" is active/)
    expect((await reason(`?offer_id=${paused.offer.id}`)).message).toMatch('is not active')
    expect((await reason(`?offer_id=${retired.offer.id}`)).message).toMatch('is not active')
    expect((await reason(`?offer_id=${early.offer.id}`)).message).toMatch('Today is not within the dates')
    expect((await reason(`?offer_id=${silent.id}`)).message).toMatch('has no approved variation')
    expect((await reason(`?offer_id=${over.offer.id}&type=own`)).message).toMatch('is not of the type "own"')
    // The dates are days of the reporting time zone, both included.
    app.clock.pass(14 * 3_600_000)
    expect((await app.http.get(path).expect(200)).body.offer_id).toBe(early.offer.id)
  })

  it('runs no text twice in a row in a newsletter, while there is another', async () => {
    const app = await testApp()
    const { ids } = await aPromo(app, { texts: 3, strategy: 'fixed' })
    const next = async (newsletter: string) =>
      (await app.http.get(path).query({ newsletter }).expect(200)).body
    let last = 0
    for (let issue = 0; issue < 30; issue++) {
      const { variation_id, repeated } = await next('morning')
      expect(variation_id).not.toBe(last)
      expect(repeated).toBe(false)
      last = variation_id
      app.clock.pass(1)
    }
    await app.stop()
    // After a restart too.
    const again = await testApp({ dataDir: app.dataDir, clock: app.clock })
    for (let issue = 0; issue < 10; issue++) {
      const { variation_id } = (await again.http.get(path).query({ newsletter: 'morning' }).expect(200)).body
      expect(variation_id).not.toBe(last)
      last = variation_id
      again.clock.pass(1)
    }
    expect(ids).toContain(last)
  })

  it('runs no text twice in a row after a crash either, while the last choices wait on disk', async () => {
    const app = await testApp({ patience: 20 })
    await aPromo(app, { texts: 2, strategy: 'fixed' })
    await aPromo(app, { texts: 2, strategy: 'fixed' })
    type Ran = { variation_id: number }
    const next = async ({ http }: Pick<TestApp, 'http'>, newsletter: string, count = 2) =>
      ((await http.get(path).query({ newsletter, count }).expect(200)).body.selections as Ran[])
        .map(({ variation_id }) => variation_id)
        .sort((one, other) => one - other)
    const newsletters = Array.from({ length: 8 }, (_, letter) => `letter-${letter}`)
    // Those that are in the database are older than those that wait, or have none there, or none that wait.
    for (const newsletter of newsletters.slice(2)) await next(app, newsletter)
    await app.http.get(path).expect(200)
    await app.promos.settled()
    app.clock.pass(1)
    const release = holdLock(app.path)
    const last = new Map<string, number[]>()
    for (const newsletter of newsletters.slice(0, 6)) last.set(newsletter, await next(app, newsletter))
    await app.http.get(path).expect(200)
    await tellClick(app, { variation_id: 1 }).expect(503)
    await app.promos.settled()
    await app.promos.spool.append('damaged "kind":"choice"')
    release()
    // The first process is gone without a word; what it spooled is not recorded yet.
    const again = await testApp({ dataDir: app.dataDir, clock: app.clock })
    for (const [newsletter, ran] of last)
      for (const id of await next(again, newsletter)) expect(ran).not.toContain(id)
  })

  it('gives way to another offer, and repeats a text when it is the only one', async () => {
    const app = await testApp()
    const one = await aPromo(app)
    const next = async (query = {}) =>
      (
        await app.http
          .get(path)
          .query({ newsletter: 'morning', ...query })
          .expect(200)
      ).body
    expect(await next()).toMatchObject({ variation_id: one.ids[0], repeated: false })
    expect(await next()).toMatchObject({ variation_id: one.ids[0], repeated: true })
    const other = await aPromo(app, { base_weight: 0.0001 })
    expect(await next()).toMatchObject({ variation_id: other.ids[0], repeated: false })
    expect(await next()).toMatchObject({ variation_id: one.ids[0], repeated: false })
    expect(await next({ offer_id: one.offer.id })).toMatchObject({ repeated: true })
  })

  it('gives way until there is an offer of which no text ran in the last issue', async () => {
    const app = await testApp()
    for (let offer = 0; offer < 3; offer++) await aPromo(app, { strategy: 'fixed' })
    for (let issue = 0; issue < 15; issue++) {
      const newsletter = `letter-${issue}`
      const { selections } = (await app.http.get(path).query({ newsletter, count: 2 }).expect(200)).body
      const { body } = await app.http.get(path).query({ newsletter }).expect(200)
      const before = selections.map(({ variation_id }: { variation_id: number }) => variation_id)
      expect(before).not.toContain(body.variation_id)
      expect(body.repeated).toBe(false)
    }
  })

  it('gives several distinct offers', async () => {
    const app = await testApp()
    for (let offer = 0; offer < 4; offer++) await aPromo(app, { texts: 2 })
    const several = async (count: number) =>
      (await app.http.get(path).query({ count, newsletter: 'n' }).expect(200)).body.selections as {
        offer_id: number
        variation_id: number
      }[]
    const first = await several(3)
    expect(new Set(first.map(({ offer_id }) => offer_id)).size).toBe(3)
    const second = await several(4)
    expect(second).toHaveLength(4)
    for (const { variation_id } of second)
      expect(first.map((each) => each.variation_id)).not.toContain(variation_id)
    expect(await several(50)).toHaveLength(4)
    expect(await several(1)).toHaveLength(1)
    for (const count of ['0', '51', 'two'])
      expect((await app.http.get(path).query({ count }).expect(400)).body.details.count).toBe(
        'The count is a number from 1 to 50.',
      )
    expect(
      (await app.http.get(path).query({ newsletter: 'ada@fernmail.example' }).expect(400)).body.details,
    ).toEqual({
      newsletter: 'The newsletter must not hold an e-mail address.',
    })
    expect((await app.http.post(path).expect(405)).headers.allow).toBe('GET, OPTIONS')
  })

  it('shows texts equally often from the beginning of a test, and whoever joins it from then on', async () => {
    let app = await testApp({ patience: 20 })
    const { offer, ids } = await aPromo(app, { texts: 2, strategy: 'fixed' })
    const person = await aPerson(app)
    await person.send(`/promos/variations/${ids[0]}/edit`, { text: 'One', weight: '9' }).expect(303)
    const run = async (times: number) => {
      const ran: number[] = []
      for (let issue = 0; issue < times; issue++)
        ran.push((await app.http.get(path).query({ offer_id: offer.id }).expect(200)).body.variation_id)
      await app.promos.settled()
      app.clock.pass(1)
      return ran
    }
    const shares = async (times: number) => {
      const ran = await run(times)
      return [...new Set(ran)].map((id) => ran.filter((each) => each === id).length).sort()
    }
    const restart = async () => {
      await app.stop()
      app = await testApp({ dataDir: app.dataDir, clock: app.clock, patience: 20 })
    }
    await run(60)
    const group = { name: 'A test', strategy: 'test' }
    await person.send(`/promos/groups/${offer.group_id}`, group).expect(303)
    expect(await shares(20)).toEqual([10, 10])
    await person.send(`/promos/variations/${ids[1]}/archiving`, { archived: '1' }).expect(303)
    expect(await shares(24)).toEqual([24])
    await person.send(`/promos/variations/${ids[1]}/archiving`, { archived: '0' }).expect(303)
    expect(await shares(24)).toEqual([12, 12])
    await restart()
    expect(await shares(24)).toEqual([12, 12])
    const third = await aVariation(app, offer.id)
    expect(await shares(9)).toEqual([3, 3, 3])
    // In the middle of a round.
    const round = await run(1)
    await restart()
    round.push(...(await run(2)))
    expect(new Set(round)).toEqual(new Set([...ids, third.id]))

    // Turns that waited in the spool when the process began count as soon as they are recorded.
    const other = await aPromo(app, { strategy: 'fixed' })
    const release = holdLock(app.path)
    const waiting = await run(1)
    await app.http.get(path).query({ offer_id: other.offer.id }).expect(200)
    await app.promos.settled()
    release()
    await restart()
    await app.promos.refresh()
    expect(await app.promos.replay()).toBe(2)
    waiting.push(...(await run(2)))
    expect(new Set(waiting)).toEqual(new Set([...ids, third.id]))
  })

  it('writes down how each choice was made', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app, { texts: 2, strategy: 'ctr' })
    await app.http.get(path).query({ newsletter: 'morning' }).expect(200)
    await app.http.get(path).query({ newsletter: 'morning' }).expect(200)
    await app.ledger.close()
    const choices = await app.db.selectFrom('promo_choices').selectAll().orderBy('id').execute()
    expect(choices).toMatchObject([
      { offer_id: offer.id, newsletter: 'morning', strategy: 'ctr', excluded_id: null },
      { offer_id: offer.id, newsletter: 'morning', strategy: 'ctr', excluded_id: choices[0]!.variation_id },
    ])
    expect(choices[0]!.offers_weighting_id).toBe(choices[1]!.offers_weighting_id)
    const weights = await app.db.selectFrom('promo_weightings').select('weights').orderBy('id').execute()
    expect(weights.map((row) => JSON.parse(row.weights))).toContainEqual([[offer.id, 1]])
    expect(weights.map((row) => JSON.parse(row.weights))).toContainEqual({
      rule: 'weights',
      texts: ids.map((id) => [id, 1]),
    })
  })

  it('weighs by the CTR that pages tell: of all who got the issues, not of the issues', async () => {
    const app = await testApp({ env: { PROMO_CLICKS_PER_MINUTE: '0' } })
    const { offer, ids } = await aPromo(app, { texts: 3, strategy: 'ctr', half_life_days: 1, base_weight: 2 })
    const weights = async () => {
      await app.http.get(path).expect(200)
      await app.promos.settled()
      const { offers, texts } = await app.db
        .selectFrom('promo_choices')
        .innerJoin('promo_weightings as offers', 'offers.id', 'offers_weighting_id')
        .innerJoin('promo_weightings as texts', 'texts.id', 'texts_weighting_id')
        .select(['offers.weights as offers', 'texts.weights as texts'])
        .orderBy('promo_choices.id', 'desc')
        .executeTakeFirstOrThrow()
      return { offers: JSON.parse(offers), texts: JSON.parse(texts).texts }
    }
    for (const [place, clicks] of [60, 40].entries()) {
      const newsletter_send_id = `issue-${place}`
      await tellImpression(app, { offer_id: offer.id, variation_id: ids[place], newsletter_send_id })
      for (let click = 0; click < clicks; click++)
        await tellClick(app, { variation_id: ids[place], ip_hash: `reader ${click}` }).expect(204)
    }
    await app.promos.refresh()
    app.clock.pass(5_000)
    expect(await weights()).toEqual({ offers: [[offer.id, 2]], texts: ids.map((id) => [id, 1]) })
    await app.db.updateTable('promo_sends').set({ delivered: 2_000, tied_by: 'hand' }).execute()
    await app.promos.lookAgain()
    app.clock.pass(5_000)
    const [one, two, three] = ids
    expect(await weights()).toEqual({
      offers: [[offer.id, 2 * 1.025]],
      texts: [
        [one, 1.03],
        [two, 1.02],
        [three, 1],
      ],
    })
    await app.db
      .insertInto('settings')
      .values({ name: 'promo_impression_meaning', value: 'message' })
      .execute()
    await app.promos.settingsChanged()
    await tellImpression(app, { offer_id: offer.id, variation_id: three, placements: 98 }).expect(204)
    await app.http.get(`/go/${offer.slug}`).set('User-Agent', firefox).expect(302)
    // A redirect does not wait for its click.
    await app.promos.settled()
    await app.promos.refresh()
    app.clock.pass(5_000)
    expect(await weights()).toEqual({
      offers: [[offer.id, 2 * (1 + 101 / 100)]],
      texts: [
        [one, 61],
        [two, 41],
        [three, 1],
      ],
    })
  })

  it('leaves older texts their floor while a new one gets its first impressions', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app, { texts: 4, strategy: 'learn' })
    for (const id of ids.slice(0, 3))
      await tellImpression(app, { offer_id: offer.id, variation_id: id, newsletter_send_id: 'one' }).expect(
        204,
      )
    await app.db.updateTable('promo_sends').set({ delivered: 2_000, tied_by: 'hand' }).execute()
    await app.promos.lookAgain()
    const chosen = new Map<number, number>()
    for (let issue = 0; issue < 300; issue++) {
      const { variation_id } = (await app.http.get(path).expect(200)).body
      chosen.set(variation_id, (chosen.get(variation_id) ?? 0) + 1)
    }
    // None of 300 at 5 % each: once in two million runs.
    for (const id of ids) expect(chosen.get(id)).toBeGreaterThan(0)
    expect(chosen.get(ids[3]!)).toBeGreaterThan(150)
  })

  it('answers from memory while the database is locked, and writes the choice down later', async () => {
    const app = await testApp({ clock: stoppedClock(), patience: 20 })
    const { offer } = await aPromo(app)
    const release = holdLock(app.path)
    expect((await app.http.get(path).expect(200)).body.offer_id).toBe(offer.id)
    expect((await app.http.get(path).expect(200)).body.offer_id).toBe(offer.id)
    await app.promos.settled()
    release()
    expect(await app.promos.replay()).toBe(2)
    expect(await app.db.selectFrom('promo_choices').selectAll().execute()).toHaveLength(2)
  })
})

it('makes no choice for HEAD', async () => {
  const app = await testApp()
  await aPromo(app)
  await app.http.head('/api/v1/promo/select-random?newsletter=morning').expect(405)
  await app.promos.settled()
  expect(await app.db.selectFrom('promo_choices').selectAll().execute()).toEqual([])
})
