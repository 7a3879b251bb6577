import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { aFolder, testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

const programs = {
  user: () => import('../../src/cli/user.js'),
  token: () => import('../../src/cli/token.js'),
  judge: () => import('../../src/cli/judge.js'),
  'rebuild-counts': () => import('../../src/cli/rebuild-counts.js'),
}
const { argv, env } = process
let said: string[]
let more: Record<string, string>
const umask = process.umask()

beforeEach(() => {
  said = []
  more = {}
  for (const stream of ['log', 'error'] as const)
    vi.spyOn(console, stream).mockImplementation((...words) => void said.push(words.join(' ')))
})
afterEach(() => {
  vi.restoreAllMocks()
  process.argv = argv
  process.env = env
  process.umask(umask)
  process.exitCode = undefined
})

/** Runs a command as a terminal would. @returns what it printed and how it ended */
async function command(name: keyof typeof programs, dataDir: string, ...args: string[]) {
  vi.resetModules()
  said = []
  process.argv = ['node', name, ...args]
  process.env = { ...env, DATA_DIR: dataDir, BASE_URL: '', ...more }
  process.exitCode = undefined
  await programs[name]()
  return { printed: said.join('\n'), code: process.exitCode ?? 0 }
}

/** An installation with one campaign and one settled event, as a stopped server leaves it. */
async function anInstallation() {
  const app = await testApp()
  const { id } = await aCampaign(app)
  await anEvent(app, { cid: id, ua: 'Googlebot/2.1' })
  app.clock.pass(600_000)
  await app.settling.run()
  await app.stop()
  return app.dataDir
}

describe('a command', () => {
  it.each(['token', 'judge', 'rebuild-counts'] as const)('%s refuses a folder without data', async (name) => {
    const dataDir = aFolder()
    expect(await command(name, dataDir, ...(name === 'token' ? ['list'] : []))).toEqual({
      printed: `DATA_DIR must be a folder with data; ${dataDir} has none. Run npm start first.`,
      code: 1,
    })
  })

  it('names a variable that is wrong', async () => {
    more = { TIME_ZONE: 'Nowhere' }
    const { printed, code } = await command('user', aFolder(), 'list')
    expect(code).toBe(1)
    expect(printed).toBe('TIME_ZONE must be the name of a time zone, such as UTC or Europe/Berlin.')
  })

  it('lists accounts and tokens, makes a token and shows it once', async () => {
    const dataDir = await anInstallation()
    expect((await command('user', dataDir, 'list')).code).toBe(0)
    const made = await command('token', dataDir, 'create', 'reports')
    expect(made.printed).toMatch(/tl_[\w-]{40,}/)
    const listed = await command('token', dataDir, 'list')
    expect(listed.printed).toContain('reports')
    expect(listed.printed).not.toMatch(/tl_[\w-]{40,}/)
    expect((await command('token', dataDir, 'nonsense')).code).toBe(1)
  })

  it('keeps what it makes to its owner', async () => {
    const dataDir = join(aFolder(), 'new')
    await command('user', dataDir, 'create', '')
    expect(statSync(dataDir).mode & 0o777).toBe(0o700)
    expect(statSync(join(dataDir, 'throughline.db')).mode & 0o777).toBe(0o600)
  })

  it('counts all events anew', async () => {
    const { printed, code } = await command('rebuild-counts', await anInstallation())
    expect(code).toBe(0)
    expect(printed).toMatch(/Counted 1 events in \d+\.\d s\./)
  })

  it('judges the past again, or a part of it', async () => {
    const dataDir = await anInstallation()
    expect((await command('judge', dataDir)).printed).toMatch(
      /Judged 1 events again .* 0 have another verdict/s,
    )
    expect((await command('judge', dataDir, '--since', '2026-11-22')).printed).toMatch(
      /Judged 0 events again/,
    )
    expect((await command('judge', dataDir, 'all')).printed).toMatch(/^judge takes --since DAY/)
    const wrong = await command('judge', dataDir, '--since', 'yesterday')
    expect(wrong).toEqual({ printed: '--since must be a day, such as 2026-09-01.', code: 1 })
  })
})
