import { describe, expect, it } from 'vitest'
import { readBenchmarks } from '../../src/mailings/benchmarks.js'
import { comparedRates } from '../../src/reports/compared-rates.js'
import { aPerson } from '../accounts/people.js'
import { testApp } from '../support/app.js'

const ofMailings = ['open', 'click', 'clickToOpen', 'bounce', 'unsubscribe', 'complaint']
const ofOthers = ['landing', 'conversion', 'engaged', 'ctr']
const rates = [...ofMailings, ...ofOthers]
/** What the form sends; say only what the test is about. */
const fields = (given: Record<string, string> = {}) => ({
  ...Object.fromEntries(
    rates.flatMap((rate) => [
      [`${rate}_percent`, '3'],
      [`${rate}_source`, 'Our trade association'],
      [`${rate}_as_of`, '2026'],
    ]),
  ),
  ...given,
})
const shows = (text: string, name: string, value: string) =>
  expect(text).toMatch(new RegExp(`name="${name}"[^>]*value="${value}"`))

const page = '/settings/benchmarks'

describe('industry figures', () => {
  it('are round ones at first, and say so, with their year', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    const { text } = await get(page).expect(200)
    shows(text, 'open_percent', '40')
    shows(text, 'complaint_percent', '0.02')
    shows(text, 'open_source', 'Round industry figure, newsletters in general')
    shows(text, 'open_as_of', '2025')
    expect(await readBenchmarks(app.db, comparedRates)).toMatchObject({
      open: { share: 0.4, source: 'Round industry figure, newsletters in general', asOf: '2025' },
      bounce: { share: 0.01 },
    })
  })

  it('are none at first of what no round one is known of', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    const { text } = await get(page).expect(200)
    for (const title of ['Landing rate', 'Conversion rate', 'Engaged, of a list', 'CTR of promos'])
      expect(text).toContain(`>${title}</legend>`)
    for (const rate of ofOthers)
      for (const part of ['percent', 'source', 'as_of']) shows(text, `${rate}_${part}`, '')
    const none = { landing: null, conversion: null, engaged: null, ctr: null }
    expect(await readBenchmarks(app.db, comparedRates)).toMatchObject(none)

    // Empty as they are, they can be saved with the others, and are compared with nothing.
    const empty = ofOthers.flatMap((rate) =>
      ['percent', 'source', 'as_of'].map((part) => [`${rate}_${part}`, '']),
    )
    expect((await send(page, fields(Object.fromEntries(empty)))).status).toBe(303)
    expect(await readBenchmarks(app.db, comparedRates)).toMatchObject({ ...none, open: { share: 0.03 } })
  })

  it('that were saved before there were others keep what they say', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    const kept = { percent: 31.7, source: 'Our trade association', as_of: '2026-05' }
    const saved = Object.fromEntries(ofMailings.map((rate) => [rate, kept]))
    await app.db
      .insertInto('settings')
      .values({
        name: 'mailing_benchmarks',
        value: JSON.stringify({ ...saved, bounce: { ...kept, percent: null } }),
      })
      .execute()
    const { text } = await get(page).expect(200)
    shows(text, 'open_percent', '31.7')
    shows(text, 'bounce_source', 'Our trade association')
    shows(text, 'ctr_percent', '')
    expect(await readBenchmarks(app.db, comparedRates)).toEqual({
      ...Object.fromEntries(
        ofMailings.map((rate) => [rate, { share: 0.317, source: 'Our trade association', asOf: '2026-05' }]),
      ),
      bounce: null,
      landing: null,
      conversion: null,
      engaged: null,
      ctr: null,
    })
  })

  it('are what people last wrote, to the digit', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    const typed = {
      open_percent: ' 31,7 ',
      click_percent: '0',
      clickToOpen_percent: '7',
      open_as_of: '2026-05',
    }
    expect((await send(page, fields(typed))).status).toBe(303)
    const { text } = await get(page)
    expect(text).toContain('Mailings and reports are compared with these figures from now on.')
    shows(text, 'open_percent', '31.7')
    shows(text, 'click_percent', '0')
    shows(text, 'clickToOpen_percent', '7')
    shows(text, 'open_as_of', '2026-05')
    const benchmarks = await readBenchmarks(app.db, comparedRates)
    expect(benchmarks.open).toEqual({ share: 0.317, source: 'Our trade association', asOf: '2026-05' })
    expect(benchmarks.click?.share).toBe(0)
  })

  it('compare with nothing where the figure is empty, and keep its source', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    await send(page, fields({ open_percent: ' ', bounce_percent: '', bounce_source: '', bounce_as_of: '' }))
    expect(await readBenchmarks(app.db, comparedRates)).toMatchObject({
      open: null,
      bounce: null,
      click: { share: 0.03 },
    })
    const { text } = await get(page)
    shows(text, 'open_percent', '')
    shows(text, 'open_source', 'Our trade association')
  })

  it.each([
    ['open_percent', '140', 'A rate is 100% at most.'],
    ['click_percent', 'a few', 'Write the figure in per cent, such as 2.5, or nothing.'],
    ['bounce_percent', '-1', 'Write the figure in per cent, such as 2.5, or nothing.'],
    ['bounce_source', ' ', 'Say where the figure comes from.'],
    ['bounce_source', 'x'.repeat(121), 'Keep the source under 120 letters.'],
    ['complaint_as_of', 'last year', 'Write the year, or year and month: 2025 or 2025-06.'],
    ['complaint_as_of', '', 'Write the year, or year and month: 2025 or 2025-06.'],
    ['complaint_as_of', '2025-13', 'Write the year, or year and month: 2025 or 2025-06.'],
  ])('refuse %s %j with a sentence, and lose nothing that was typed', async (name, value, sentence) => {
    const app = await testApp()
    const { send } = await aPerson(app)
    const answer = await send(page, fields({ click_source: 'Typed just now', [name]: value }))
    expect(answer.status).toBe(422)
    expect(answer.text).toMatch(new RegExp(`id="${name}-error".*${sentence}`))
    shows(answer.text, name, value)
    shows(answer.text, 'click_source', 'Typed just now')
    expect((await readBenchmarks(app.db, comparedRates)).open?.share).toBe(0.4)
  })

  it('tell every wrong field at once', async () => {
    const app = await testApp()
    const { send } = await aPerson(app)
    const answer = await send(page, fields({ open_percent: '?', open_as_of: '?', complaint_source: '' }))
    for (const name of ['open_percent', 'open_as_of', 'complaint_source'])
      expect(answer.text).toContain(`id="${name}-error"`)
    const { status } = await send(page)
    expect(status).toBe(422)
  })

  it('are asked of whoever is logged in alone', async () => {
    const app = await testApp()
    await app.http.get(page).expect(303)
  })
})
