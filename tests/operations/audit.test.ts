import { describe, expect, it } from 'vitest'
import { auditedAs } from '../../src/operations/audited.js'
import { aBrowser, aPerson, goodPassword } from '../accounts/people.js'
import { type TestApp, testApp } from '../support/app.js'
import { pathWith, routesOf } from '../support/routes.js'

const entries = async ({ db }: TestApp) =>
  (await db.selectFrom('audit_log').selectAll().orderBy('id').execute()).map(
    ({ action, actor, subject, outcome }) => [action, actor, subject, outcome].join(' | '),
  )

describe('the audit log', () => {
  it('holds logins and refused ones, without what was typed for a name', async () => {
    const app = await testApp()
    const { send } = await aPerson(app)
    await aBrowser(app).logIn({ password: 'not the right one' })
    await aBrowser(app).logIn({ username: 'my password by mistake' })
    await app.http.post('/api/v1/auth/token').send({ username: 'ada', password: goodPassword }).expect(200)
    await send('/logout')
    expect(await entries(app)).toEqual([
      'login | ada |  | done',
      'login_refused | ada |  | refused',
      'login_refused |  |  | refused',
      'access_token | ada |  | done',
      'logout | ada |  | done',
    ])
  })

  it('holds exports, erasures, deletions and changes of settings, and shows them', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    await send('/settings', { full_name: 'Ada', email: '' })
    await send('/settings', { full_name: 'Ada', email: 'not an address' })
    await get('/audience/export.csv').expect(200)
    await send('/settings/tokens', { name: 'Script' })
    await send('/campaign/99/delete', {})
    await get('/ada@example.com.csv').expect(404)
    expect((await entries(app)).slice(1)).toEqual([
      'settings | ada | /settings | done',
      'export | ada | /audience/export.csv | done',
      'token | ada | /settings/tokens | done',
    ])
    const page = await get('/operations/audit').expect(200)
    expect(page.text).toMatch(/Exported[\s\S]*\/audience\/export\.csv[\s\S]*ada/)
    const part = await get('/operations/audit?action=export').set('HX-Request', 'true').expect(200)
    expect(part.text).toContain('Exported')
    expect(part.text).not.toContain('Logged in')
  })

  it('pages by key', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    for (let number = 0; number < 120; number++)
      await app.db
        .insertInto('audit_log')
        .values({
          happened_at: number,
          account_id: null,
          action: 'export',
          subject: `/no-${number}.csv`,
          outcome: 'done',
        })
        .execute()
    const first = await get('/operations/audit?action=export').expect(200)
    expect(first.text).toContain('/no-119.csv')
    expect(first.text).not.toContain('/no-19.csv')
    const more = /href="(\/operations\/audit\?[^"]+)"/.exec(first.text)![1]!.replaceAll('&amp;', '&')
    const second = await get(more).expect(200)
    expect(second.text).toContain('/no-19.csv')
    expect(second.text).toContain('/no-0.csv')
  })

  it('refuses what cannot be written down', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    const { sql } = await import('kysely')
    await sql`create trigger full before insert on audit_log begin select raise(abort, 'full'); end`.execute(
      app.db,
    )
    await get('/audience/export.csv').expect(500)
    await get('/audience').expect(200)
  })

  it('leaves out no export, deletion, erasure or setting that has a route', async () => {
    const delicate = routesOf(await testApp()).filter(
      ({ method, path }) =>
        (method === 'GET' && /\.(csv|json|pdf)$/.test(path) && !path.startsWith('/api/')) ||
        (method === 'POST' &&
          /export|delet|eras|^\/settings|^\/providers|^\/operations/.test(path) &&
          !path.startsWith('/settings/two-factor')) ||
        method === 'DELETE',
    )
    expect(delicate.length).toBeGreaterThan(20)
    expect(delicate.filter(({ method, path }) => !auditedAs(method, pathWith(path, '7')))).toEqual([])
  })

  it.each([
    ['/reports/7/links', 'export'],
    ['/reports/7/renderings/2/send', 'export'],
    ['/reports/7/deliveries/3/sending', 'export'],
    ['/reports/7/schedules', 'export'],
    ['/reports/7/schedules/2', 'export'],
    ['/reports/7/schedules/2/pausing', null],
    ['/reports/7/schedules/2/deletion', 'deletion'],
    ['/operations/alerts', 'settings'],
    ['/operations/privacy', 'settings'],
    ['/operations/jobs/back-up', 'operations'],
    ['/reports/7/renderings', null],
  ])('tells a POST to %s as %s', (path, action) => {
    expect(auditedAs('POST', path)).toBe(action)
  })
})

it.each([
  ['GET', '/AUDIENCE/EXPORT.CSV', 'export'],
  ['GET', '/audience/activity.csv//', 'export'],
  ['POST', '/audience/5/ERASE', 'erasure'],
  ['POST', '/CAMPAIGN/6/Delete/', 'deletion'],
  ['POST', '/Operations/Privacy', 'settings'],
  ['POST', '/API/V1/JOBS/back-up', 'operations'],
] as const)('%s %s is written down as Express understands it', (method, path, action) => {
  expect(auditedAs(method, path)).toBe(action)
})
