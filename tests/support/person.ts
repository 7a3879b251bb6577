import supertest from 'supertest'
import { createAccount } from '../../src/accounts/commands.js'
import type { TestApp } from './app.js'

const account = { username: 'maren', full_name: 'Maren', email: '', password: 'a quiet harbour at dawn' }

/**
 * Somebody who has logged in through the front door, and sends forms as the pages do.
 * @param options.remember stays logged in while the clock moves on
 */
export async function aPerson(
  { app, db, clock }: Pick<TestApp, 'app' | 'db' | 'clock'>,
  { remember = false } = {},
) {
  await anAccount(db, clock.now())
  const http = supertest.agent(app)
  const { username, password } = account
  const login = await http.get('/login').expect(200)
  await http
    .post('/login')
    .type('form')
    .send({ username, password, ...(remember ? { remember: '1' } : {}), _csrf: tokenOf(login.text) })
    .expect(303)
  const token = tokenOf((await http.get('/create').expect(200)).text)
  return {
    http,
    token,
    /** A form as a browser without JavaScript sends it. */
    send: (path: string, fields: Record<string, string>) =>
      http
        .post(path)
        .type('form')
        .send({ _csrf: token, ...fields }),
    /** A part of a page as htmx asks for it. */
    part: (path: string) => http.get(path).set('HX-Request', 'true'),
  }
}

/** Hashing a password takes as long as it should; of one password it need be done only once. */
let hashed: string | undefined
async function anAccount(db: TestApp['db'], at: number) {
  const { password, ...columns } = account
  if (hashed === undefined) {
    await createAccount(db, account, { by: null, at })
    const made = await db.selectFrom('accounts').select('password_hash').executeTakeFirstOrThrow()
    hashed = made.password_hash
  } else
    await db
      .insertInto('accounts')
      .values({ ...columns, password_hash: hashed, active: 1, created_at: at })
      .execute()
}

const tokenOf = (page: string) =>
  /(?:name="_csrf" value|name="csrf-token" content)="([^"]*)"/.exec(page)?.[1] ?? ''
