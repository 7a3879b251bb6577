import { describe, expect, it } from 'vitest'
import { waitAfter } from '../../src/accounts/throttle.js'
import { type TestApp, testApp } from '../support/app.js'
import { aBrowser, anAccount, goodPassword, tokenIn } from './people.js'

const minute = 60_000

/** Tries a login from an address, through a proxy that is trusted here. */
async function aGuesser(app: TestApp) {
  const browser = aBrowser(app)
  const token = tokenIn((await browser.get('/login')).text)
  return (fields: { username: string; password?: string; from: string }) =>
    browser.agent
      .post('/login')
      .set('X-Forwarded-For', fields.from)
      .type('form')
      .send({ _csrf: token, username: fields.username, password: fields.password ?? 'wrong it is' })
}
const proxied = { env: { TRUST_PROXY: '1' } }

describe('guessing passwords', () => {
  it('is slowed down after ten wrong ones for a name, whether it exists or not', async () => {
    const stories: string[] = []
    for (const username of ['ada', 'nobody']) {
      const app = await testApp(proxied)
      await anAccount(app)
      const guess = await aGuesser(app)
      for (let count = 0; count < 10; count++)
        expect((await guess({ username, from: `203.0.113.${count}` })).status).toBe(422)
      const told = await guess({ username, from: '203.0.113.99' })
      expect(told.status).toBe(429)
      expect(told.headers['retry-after']).toBe('30')
      stories.push(told.text.replaceAll(username, 'NAME').replace(/_csrf" value="\w+/, ''))

      // Even the right password is not looked at before its time.
      const early = await guess({ username, password: goodPassword, from: '203.0.113.98' })
      expect(early.status).toBe(429)
      app.clock.pass(30_000)
      expect((await guess({ username, from: '203.0.113.97' })).status).toBe(422)
      expect((await guess({ username, from: '203.0.113.96' })).status).toBe(429)
      app.clock.pass(30_000)
      const right = await guess({ username, password: goodPassword, from: '203.0.113.95' })
      expect(right.status).toBe(username === 'ada' ? 303 : 422)
    }
    expect(stories[0]).toBe(stories[1])
  })

  it('is slowed down after ten wrong ones from an address, whatever the names', async () => {
    const app = await testApp(proxied)
    await anAccount(app)
    const guess = await aGuesser(app)
    for (let count = 0; count < 10; count++)
      await guess({ username: `name${count}`, from: `2001:db8:1:2::${count.toString(16)}` }).expect(422)
    await guess({ username: 'ada', password: goodPassword, from: '2001:db8:1:2:ffff::1' }).expect(429)
    await guess({ username: 'ada', password: goodPassword, from: '2001:db8:1:3::1' }).expect(303)
  })

  it('holds nobody up for as long as a clock was ahead that has been put right', async () => {
    const app = await testApp(proxied)
    await anAccount(app)
    const guess = await aGuesser(app)
    for (let count = 0; count < 10; count++) await guess({ username: 'ada', from: '203.0.113.7' }).expect(422)
    app.clock.pass(-60 * minute)
    await guess({ username: 'ada', password: goodPassword, from: '203.0.113.7' }).expect(303)
  })

  it('is not hidden by a right login in between', async () => {
    const app = await testApp(proxied)
    await anAccount(app)
    for (let count = 0; count < 10; count++) {
      const guess = await aGuesser(app)
      await guess({ username: 'ada', from: '203.0.113.7' }).expect(422)
      if (count === 5)
        await guess({ username: 'ada', password: goodPassword, from: '203.0.113.7' }).expect(303)
    }
    const guess = await aGuesser(app)
    await guess({ username: 'ada', from: '203.0.113.8' }).expect(429)
  })

  it('cannot outrun the count by trying many at once', async () => {
    const app = await testApp()
    await anAccount(app)
    const guess = await aGuesser(app)
    const answers = await Promise.all(
      Array.from({ length: 25 }, () => guess({ username: 'ada', from: '' }).then(({ status }) => status)),
    )
    expect(answers.filter((status) => status === 422)).toHaveLength(10)
    expect(answers.filter((status) => status === 429)).toHaveLength(15)
  })

  it('may go on as before after 15 minutes, and leaves nothing readable behind', async () => {
    const app = await testApp()
    await anAccount(app)
    const guess = await aGuesser(app)
    for (let count = 0; count < 10; count++) await guess({ username: 'ada', from: '' })
    const kept = JSON.stringify(await app.db.selectFrom('login_failures').selectAll().execute())
    expect(kept).not.toContain('ada')
    expect(kept).not.toContain('127.0.0.1')
    app.clock.pass(15 * minute)
    await guess({ username: 'ada', from: '' }).expect(422)
    await guess({ username: 'ada', from: '' }).expect(422)
    app.clock.pass(31 * minute)
    await guess({ username: 'ada', password: goodPassword, from: '' }).expect(303)
    expect(await app.db.selectFrom('login_failures').selectAll().execute()).toEqual([])
  })
})

describe('waitAfter', () => {
  const at = (minutes: number) => minutes * minute
  const nine = Array.from({ length: 9 }, (_, index) => at(index / 10))
  it('waits for nothing under ten failures in 15 minutes', () => {
    expect(waitAfter(nine, at(1))).toBe(0)
    expect(waitAfter([...nine, at(15.1)], at(15.1))).toBe(0)
  })
  it('keeps its 15 minutes from the tenth on, however old the first is', () => {
    const ten = [...nine, at(14.9)]
    expect(waitAfter(ten, at(15))).toBe(24_000)
    expect(waitAfter([...ten, at(29)], at(29))).toBe(30_000)
    expect(waitAfter(ten, at(29.9))).toBe(0)
  })
})
