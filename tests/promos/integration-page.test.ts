import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { textOf } from '../../src/campaigns/recipes.js'
import { projectRoot } from '../../src/config.js'
import { generatorSnippet, redirectSnippet } from '../../src/promos/recipes.js'
import { aFolder, testApp } from '../support/app.js'
import { firefox } from '../support/builders.js'
import { aPerson } from '../support/person.js'
import { aPromo, countsOf } from '../support/promos.js'

const run = promisify(execFile)

async function listening(app: { listen: (port: number, host: string) => import('node:http').Server }) {
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Somebody who takes connections and never says anything. */
async function silence() {
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('shows code that tracks a newsletter and its clicks from end to end', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app, { texts: 2 })
  const baseUrl = await listening(app.app)
  const person = await aPerson(app)
  const page = (await person.http.get(`/promos/integration?offer=${offer.id}`).expect(200)).text
  expect(page).toContain(`<mark>${offer.slug}</mark>`)

  const folder = aFolder()
  const given = { baseUrl, newsletter: 'morning', slug: offer.slug, destination: offer.destination_url }
  const script = join(folder, 'promo.py')
  writeFileSync(script, textOf(generatorSnippet(given)))
  const { stdout } = await run('python3', [script, 'issue-1'])
  const [, id] = /promo_var=(\d+)/.exec(stdout)!
  expect(ids).toContain(Number(id))
  expect(stdout).toContain('Text')
  expect(await countsOf(app, Number(id))).toMatchObject({ impressions: 1 })

  const redirect = await aRedirect(folder, textOf(redirectSnippet(given)))
  const answer = await fetch(`${redirect}/${offer.slug}?promo_var=${id}&utm_source=letter`, {
    redirect: 'manual',
    headers: { 'User-Agent': firefox, 'X-Forwarded-For': '203.0.113.7', Referer: 'https://mail.example/x' },
  })
  expect(answer.status).toBe(302)
  expect(answer.headers.get('location')).toBe('https://bindery.example/notebooks?utm_source=letter')
  await expect.poll(() => countsOf(app, Number(id)), { timeout: 20_000 }).toMatchObject({ clicks: 1 })
  const click = await app.db.selectFrom('promo_clicks').selectAll().executeTakeFirstOrThrow()
  expect(click).toMatchObject({ referrer: 'mail.example', device: 'desktop', offer_id: offer.id })
  expect((await fetch(`${redirect}/nothing`)).status).toBe(404)
})

it('shows code that says why no text may run', async () => {
  const baseUrl = await listening((await testApp()).app)
  const script = join(aFolder(), 'promo.py')
  const given = { baseUrl, newsletter: 'morning', slug: 'moka', destination: 'https://stove.example/' }
  writeFileSync(script, textOf(generatorSnippet(given)))
  const { stdout, stderr } = await run('python3', [script, 'issue-1'])
  expect(stdout).toBe('')
  expect(stderr).toContain('There is no offer yet.')
})

it('shows code that goes on when nobody answers', async () => {
  const baseUrl = await silence()
  const folder = aFolder()
  const given = { baseUrl, newsletter: 'morning', slug: 'moka', destination: 'https://stove.example/?size=3' }
  const script = join(folder, 'promo.py')
  writeFileSync(script, textOf(generatorSnippet(given)))
  const { stdout, stderr } = await run('python3', [script, 'issue-1'])
  expect(stdout).toBe('')
  expect(stderr).toContain('no promo')
  const gone = textOf(generatorSnippet({ ...given, baseUrl: 'http://127.0.0.1:9' }))
  writeFileSync(
    script,
    `${gone}\n    track_impression({'offer_id': 1, 'variation_id': 1}, 'x')\n    print('sent')\n`,
  )
  expect((await run('python3', [script, 'issue-1'])).stdout).toBe('sent\n')

  const redirect = await aRedirect(folder, textOf(redirectSnippet(given)))
  const answer = await fetch(`${redirect}/moka?promo_var=7&size=9`, { redirect: 'manual' })
  expect(answer.headers.get('location')).toBe('https://stove.example/?size=3')
})

it('shows code that goes on whatever is asked of it and whatever answers it', async () => {
  const nonsense = ['{"ok":true}', '[1]', '"x"', '{"text":1,"link":null,"cta_text":[]}', '<p>', 'null', '']
  let answers = 0
  const proxy = createHttpServer((_req, res) => void res.end(nonsense[answers++])).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => void proxy.close())
  const folder = aFolder()
  const baseUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const given = { baseUrl, newsletter: 'morning', slug: 'moka', destination: 'https://stove.example/' }
  const script = join(folder, 'promo.py')
  const begins = textOf(generatorSnippet(given)).replace(/\nif __name__ [\s\S]*$/, '')
  writeFileSync(script, `${begins}\nfor _ in range(${nonsense.length}):\n    print(select_promo())\n`)
  const { stdout } = await run('python3', [script])
  expect(stdout).toBe('None\n'.repeat(nonsense.length))
  expect(answers).toBe(nonsense.length)

  const redirect = new URL(await aRedirect(folder, textOf(redirectSnippet(given))))
  const statusOf = async (path: string) => {
    const request = get({ host: redirect.hostname, port: redirect.port, path, agent: false })
    const [answer] = await once(request, 'response')
    answer.resume()
    return answer.statusCode
  }
  for (const path of ['//', '///', '/?//', '*', 'http://elsewhere.example//', '//[', '/%', '/%00'])
    expect(await statusOf(path)).toBe(404)
  expect(await statusOf('/moka')).toBe(302)
})

async function aRedirect(folder: string, code: string) {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  const file = join(folder, 'redirect.mts')
  writeFileSync(file, code)
  const child = spawn(
    process.execPath,
    ['--import', join(projectRoot, 'node_modules/tsx/dist/loader.mjs'), file],
    {
      env: { ...process.env, PORT: String(port) },
      stdio: 'ignore',
    },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  const origin = `http://127.0.0.1:${port}`
  await expect
    .poll(
      () =>
        fetch(origin).then(
          ({ status }) => status,
          () => 0,
        ),
      { timeout: 20_000 },
    )
    .toBe(404)
  return origin
}
