import supertest from 'supertest'
import { hashPassword } from '../../src/accounts/passwords.js'
import type { TestApp } from '../support/app.js'
import { firefox } from '../support/builders.js'

export const goodPassword = 'a quiet harbour at dusk'
let goodHash: Promise<string> | undefined

/** An account that can log in with `goodPassword`; say only what the test is about. */
export async function anAccount(
  { db, clock }: Pick<TestApp, 'db' | 'clock'>,
  given: Partial<{ username: string; full_name: string; email: string; active: 0 | 1 }> = {},
) {
  goodHash ??= hashPassword(goodPassword)
  const account = { username: 'ada', full_name: 'Ada Lindqvist', email: '', active: 1 as 0 | 1, ...given }
  const { id } = await db
    .insertInto('accounts')
    .values({ ...account, password_hash: await goodHash, created_at: clock.now() })
    .returning('id')
    .executeTakeFirstOrThrow()
  return { id, ...account }
}

/** The token in a page's form or head. */
export const tokenIn = (html: string) =>
  /name="(?:_csrf" value|csrf-token" content)="([0-9a-f]+)"/.exec(html)?.[1] ?? ''

/** A browser with cookies of its own, which sends what a person types. */
export function aBrowser({ app }: Pick<TestApp, 'app'>, { userAgent = firefox } = {}) {
  const agent = supertest.agent(app).set('User-Agent', userAgent).set('Accept', 'text/html')
  const browser = {
    agent,
    get: (path: string) => agent.get(path),
    /** Fetches the form's page for its token, and sends the fields. */
    async send(path: string, fields: Record<string, string> = {}, { from = '/settings' } = {}) {
      const page = await agent.get(from)
      return agent
        .post(path)
        .type('form')
        .send({ _csrf: tokenIn(page.text), ...fields })
    },
    logIn: (fields: Record<string, string> = {}) =>
      browser.send('/login', { username: 'ada', password: goodPassword, ...fields }, { from: '/login' }),
  }
  return browser
}

/** A browser that has logged in, as a new account. */
export async function aPerson(app: TestApp, given: Parameters<typeof anAccount>[1] = {}) {
  const account = await anAccount(app, given)
  const browser = aBrowser(app)
  const { status } = await browser.logIn({ username: account.username })
  if (status !== 303) throw new Error(`The login answered ${status}.`)
  return { ...browser, account }
}
