import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { projectRoot } from '../../src/config.js'
import { LogOnDisk } from '../../src/database/log-on-disk.js'
import { openDatabase } from '../../src/database/open.js'
import { rebuildPromoCounts } from '../../src/promos/rebuild.js'
import { calendar } from '../../src/web/calendar.js'
import { type TestApp, testApp } from '../support/app.js'
import { firefox } from '../support/builders.js'
import { holdLock } from '../support/lock.js'
import { aPromo, countsOf, tellClick, tellImpression } from '../support/promos.js'
import { expectCountsToHold } from '../support/recount.js'
import { type Trouble, troubleNames, troubles } from '../support/troubles.js'

/** @returns how the database can be written again, and how much was spooled until nothing fitted in */
async function beginTrouble(app: TestApp, trouble: Trouble) {
  const other = trouble === 'full' ? await aPromo(app) : null
  const repair = await troubles[trouble](app)
  for (let issue = 0, status = 204; other && status === 204; issue++)
    status = (
      await tellImpression(app, {
        offer_id: other.offer.id,
        variation_id: other.ids[0],
        newsletter_send_id: `${issue} ${'x'.repeat(180)}`,
      })
    ).status
  return { repair, spooled: other ? 1 : 0 }
}

describe.each(troubleNames)('while the database is %s', (trouble) => {
  it('everything told is kept on disk, every reader arrives, and all of it counts once', async () => {
    const app = await testApp({ patience: 10 })
    const { offer, ids } = await aPromo(app, { texts: 2 })
    const told = { offer_id: offer.id, variation_id: ids[0], newsletter_send_id: 'issue-1' }
    await tellImpression(app, { ...told, newsletter_send_id: 'issue-0' }).expect(204)
    const { repair, spooled } = await beginTrouble(app, trouble)

    const failed = await tellImpression(app, told).expect(503)
    expect(failed.body).toEqual({
      error: 'tracking_failed',
      message: expect.stringContaining('kept on disk'),
      offer_id: offer.id,
      variation_id: ids[0],
      spooled: true,
    })
    expect((await tellImpression(app, told).expect(503)).body.spooled).toBe(true)
    expect(
      (await tellClick(app, { variation_id: ids[0], ip_address: '203.0.113.7' }).expect(503)).body.spooled,
    ).toBe(true)
    for (let reader = 0; reader < 20; reader++)
      await app.http
        .get(`/go/${offer.slug}?promo_var=${ids[1]}&n=${reader}`)
        .set('User-Agent', `${firefox} ${reader}`)
        .expect(302)
        .expect('Location', `https://bindery.example/notebooks?n=${reader}`)
    await tellImpression(app, { offer_id: 999, variation_id: 1 }).expect(400)
    await app.promos.settled()
    expect(await app.promos.replay()).toBe(0)

    await repair()
    expect(await app.promos.replay()).toBe(23 + spooled)
    expect(await app.promos.replay()).toBe(0)
    await tellImpression(app, told).expect(204) // told again after all: it counts once
    expect(await countsOf(app, ids[0]!)).toMatchObject({ impressions: 2, clicks: 1 })
    expect(await countsOf(app, ids[1]!)).toMatchObject({ clicks: 1, repeated_clicks: 19 })
    await app.db.deleteFrom('settings').where('name', 'like', 'filler%').execute()
    await expectCountsToHold(app.db)
  })
})

it('a disk that takes longer than anybody waits makes no second fact of one that is in the log', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  const { reach } = LogOnDisk.prototype
  vi.spyOn(LogOnDisk.prototype, 'reach').mockImplementation(async function (this: LogOnDisk) {
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    return reach.call(this)
  })
  onTestFinished(() => void vi.restoreAllMocks())
  await Promise.all([
    tellImpression(app, { offer_id: offer.id, variation_id: ids[0] }).expect(204),
    tellClick(app, { variation_id: ids[0] }).expect(204),
    app.http.get(`/go/${offer.slug}?promo_var=${ids[0]}`).set('User-Agent', firefox).expect(302),
  ])
  await app.promos.settled()
  vi.restoreAllMocks()
  await app.promos.replay()
  expect(await countsOf(app, ids[0]!)).toMatchObject({ impressions: 1, clicks: 2, repeated_clicks: 0 })
  await expectCountsToHold(app.db)
})

it('a redirect’s click is on disk soon after somebody holds the lock, and waits for no verdict on that', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  const release = holdLock(app.path)
  await app.http.get(`/go/${offer.slug}?promo_var=${ids[0]}`).set('User-Agent', firefox).expect(302)
  await vi.waitUntil(() => !app.promos.spool.isEmpty, { timeout: 10_000 })
  expect(app.promos.keeper.isDown).toBe(false)
  release()
  await app.promos.settled()
  await app.promos.replay()
  expect(await countsOf(app, ids[0]!)).toMatchObject({ clicks: 1, repeated_clicks: 0 })
  await expectCountsToHold(app.db)
})

it('spools nothing of a reader in plain text', async () => {
  const app = await testApp({ patience: 10 })
  const { offer, ids } = await aPromo(app)
  const release = holdLock(app.path)
  const told = {
    referrer: 'https://mail.example/?u=ada@fernmail.example',
    user_agent: `${firefox} ada@fernmail.example`,
    ip_address: '203.0.113.7',
  }
  await tellClick(app, { variation_id: ids[0], ...told }).expect(503)
  await app.http.get(`/go/${offer.slug}`).set('User-Agent', told.user_agent).set('Referer', told.referrer)
  await app.promos.settled()
  const lines = [...app.promos.spool.lines()]
  expect(lines).toHaveLength(2)
  expect(lines.join()).not.toMatch(/fernmail|mail\.example|Firefox|203\.0/)
  release()
  expect(await app.promos.replay()).toBe(2)
  expect(
    await app.db
      .selectFrom('promo_clicks')
      .innerJoin('user_agents', 'user_agents.id', 'user_agent_id')
      .select(['referrer', 'text', 'promo_clicks.device'])
      .execute(),
  ).toEqual(Array(2).fill({ referrer: 'mail.example', text: firefox, device: 'desktop' }))
})

it('says so when neither the database nor the disk takes anything', async () => {
  const app = await testApp({ patience: 10 })
  const { offer, ids } = await aPromo(app)
  const release = holdLock(app.path)
  app.promos.spool.append = async () => Promise.reject(new Error('no space left'))
  const failed = await tellClick(app, { variation_id: ids[0] }).expect(503)
  expect(failed.body).toMatchObject({ spooled: false, message: expect.stringContaining('Send it again') })
  expect(failed.headers['retry-after']).toBe('5')
  await app.http.get(`/go/${offer.slug}`).set('User-Agent', firefox).expect(302)
  release()
  await app.promos.settled()
  await app.promos.replay()
  expect(await app.db.selectFrom('promo_clicks').selectAll().execute()).toHaveLength(1)
})

it('records what an earlier process spooled, once, also when it is killed over it', async () => {
  const app = await testApp({ patience: 10 })
  const { offer, ids } = await aPromo(app)
  const release = holdLock(app.path)
  for (let click = 0; click < 30; click++)
    await tellClick(app, { variation_id: ids[0], ip_hash: `reader ${click}` }).expect(503)
  release()
  // Recorded, and killed before the file was removed: the same lines come again.
  const lines: string[] = []
  await app.promos.spool.drain(async (some) => void lines.push(...some))
  for (const line of lines) await app.promos.spool.append(line)
  await app.promos.replay()
  for (const line of lines) await app.promos.spool.append(line)
  await app.stop()
  const again = await testApp({ dataDir: app.dataDir })
  expect(await again.promos.replay()).toBe(30)
  expect(await countsOf(again, ids[0]!)).toMatchObject({ clicks: 30 })
  expect(offer.id).toBeGreaterThan(0)
  await expectCountsToHold(again.db)
})

it('loses nothing that was acknowledged when it is killed, and counts it once', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  await app.stop()
  const acknowledged = { impressions: 0, clicks: 0, redirects: 0, sent: 0 }
  for (let round = 0; round < 3; round++) {
    const server = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
      cwd: projectRoot,
      env: {
        ...process.env,
        NODE_ENV: 'production',
        DATA_DIR: app.dataDir,
        PORT: '0',
        LOG_LEVEL: 'info',
        BASE_URL: '',
        PROMO_IMPRESSIONS_PER_MINUTE: '0',
        PROMO_CLICKS_PER_MINUTE: '0',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void server.kill('SIGKILL'))
    let port = 0
    for await (const line of createInterface(server.stdout)) {
      port = Number(/"port":(\d+).*"msg":"listening"/.exec(line)?.[1] ?? 0)
      if (port) break
    }
    server.stdout.resume()
    const origin = `http://127.0.0.1:${port}`
    const post = (path: string, body: object) =>
      fetch(`${origin}/api/v1/promo/${path}`, { method: 'POST', body: JSON.stringify(body) })
    let alive = true
    let answers = 0
    const another = process.platform === 'linux' && round === 1 ? holdLock(app.path) : null
    const speak = async () => {
      while (alive) {
        const n = acknowledged.sent++
        try {
          const told = await (n % 3 === 0
            ? post('track-impression', {
                offer_id: offer.id,
                variation_id: ids[0],
                newsletter_send_id: `i${n}`,
              })
            : n % 3 === 1
              ? post('track-click', { variation_id: ids[0], ip_hash: `r${n}` })
              : fetch(`${origin}/go/${offer.slug}?promo_var=${ids[0]}`, { redirect: 'manual' }))
          const isKept =
            told.status === 204 ||
            (told.status === 503 && ((await told.json()) as { spooled: boolean }).spooled)
          if (n % 3 === 0 && isKept) acknowledged.impressions++
          if (n % 3 === 1 && isKept) acknowledged.clicks++
          if (told.status === 302) acknowledged.redirects++
        } catch {
          return
        }
        // Killed in the middle of the traffic, counted in answers.
        if (++answers === 150) {
          alive = false
          server.kill('SIGKILL')
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, speak))
    if (server.signalCode === null) await once(server, 'exit')
    another?.()
  }
  const again = await testApp({ dataDir: app.dataDir })
  await again.promos.replay()
  const impressions = await again.db.selectFrom('promo_impressions').select('send_id').execute()
  const clicks = await again.db.selectFrom('promo_clicks').select(['address', 'user_agent_id']).execute()
  const told = clicks.filter(({ user_agent_id }) => user_agent_id === null)
  expect(acknowledged.impressions).toBeGreaterThan(50)
  expect(impressions.length).toBeGreaterThanOrEqual(acknowledged.impressions)
  expect(new Set(impressions.map(({ send_id }) => send_id)).size).toBe(impressions.length)
  expect(told.length).toBeGreaterThanOrEqual(acknowledged.clicks)
  expect(new Set(told.map(({ address }) => address)).size).toBe(told.length)
  await again.stop()
  const db = openDatabase(join(app.dataDir, 'throughline.db'))
  onTestFinished(() => db.destroy())
  const before = await db.selectFrom('promo_variation_counts').selectAll().execute()
  await rebuildPromoCounts(db, calendar('UTC'))
  expect(await db.selectFrom('promo_variation_counts').selectAll().execute()).toEqual(before)
}, 400_000)
