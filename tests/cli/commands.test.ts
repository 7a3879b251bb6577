import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openDatabase } from '../../src/database/open.js'
import { aFolder, stoppedClock, testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

const programs = {
  user: () => import('../../src/cli/user.js'),
  token: () => import('../../src/cli/token.js'),
  judge: () => import('../../src/cli/judge.js'),
  job: () => import('../../src/cli/job.js'),
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

/** Standard input that is no terminal. */
const piped = (text: string) => Readable.from([Buffer.from(text)]) as unknown as typeof process.stdin

/** An installation with one campaign and one settled event, as a stopped server leaves it. */
async function anInstallation() {
  // Commands go by the real clock. What happened less than ten minutes from it they would not judge yet.
  const app = await testApp({ clock: stoppedClock(Date.UTC(2026, 0, 5, 10)) })
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

  it('makes the folder and an account with the password that is piped in', async () => {
    const dataDir = join(aFolder(), 'new')
    const input = vi.spyOn(process, 'stdin', 'get').mockReturnValue(piped('lanterns over the water\n'))
    expect(await command('user', dataDir, 'create', 'Ada')).toEqual({
      printed: 'ada can log in now.',
      code: 0,
    })
    expect(input).toHaveBeenCalled()
    expect((await command('user', dataDir, 'list')).printed).toMatch(/^ada .*active/m)
  })

  it('judges by the rules of this version what an older one let through', async () => {
    const dataDir = await anInstallation()
    const db = openDatabase(join(dataDir, 'throughline.db'))
    onTestFinished(() => db.destroy())
    const judged = () => db.selectFrom('events').select(['verdict', 'reasons']).executeTakeFirstOrThrow()
    const counted = () =>
      db
        .selectFrom('campaign_counts')
        .select(['email_clicks', 'machine_email_clicks'])
        .executeTakeFirstOrThrow()
    const right = await judged()
    expect(right).toEqual({ verdict: 2, reasons: 1 })
    await db.updateTable('events').set({ verdict: 0, reasons: 0 }).execute()
    await db.updateTable('user_agents').set({ machine: 0 }).execute()
    await command('rebuild-counts', dataDir)
    expect(await counted()).toEqual({ email_clicks: 1, machine_email_clicks: 0 })

    expect((await command('judge', dataDir)).printed).toMatch(/1 have another verdict or other reasons now/)
    expect(await judged()).toEqual(right)
    expect(await counted()).toEqual({ email_clicks: 0, machine_email_clicks: 1 })
  })

  it('keeps what it makes to its owner', async () => {
    const dataDir = join(aFolder(), 'new')
    await command('user', dataDir, 'create', '')
    expect(statSync(dataDir).mode & 0o777).toBe(0o700)
    expect(statSync(join(dataDir, 'throughline.db')).mode & 0o777).toBe(0o600)
  })

  it('closes to others a data folder that is its own, and no other', async () => {
    const modeAfter = async (names: string[], mode: number) => {
      const dataDir = join(aFolder(), 'given')
      mkdirSync(dataDir)
      for (const name of names) {
        writeFileSync(join(dataDir, name), '')
        chmodSync(join(dataDir, name), 0o644)
      }
      chmodSync(dataDir, mode)
      await command('user', dataDir, 'create', '')
      expect(statSync(join(dataDir, 'throughline.db')).mode & 0o777).toBe(0o600)
      return (statSync(dataDir).mode & 0o7777).toString(8)
    }
    expect(await modeAfter([], 0o755)).toBe('700')
    expect(await modeAfter(['throughline.db'], 0o750)).toBe('700')
    expect(await modeAfter(['letters.txt'], 0o755)).toBe('755')
    expect(await modeAfter([], 0o1777)).toBe('1777')
  })

  it('counts all events anew', async () => {
    const { printed, code } = await command('rebuild-counts', await anInstallation())
    expect(code).toBe(0)
    expect(printed).toMatch(
      /Counted 1 events and 0 engagements, and of promos 0 impressions and 0 clicks, in \d+\.\d s\./,
    )
  })

  it('judges the past again, or a part of it', async () => {
    const dataDir = await anInstallation()
    expect((await command('judge', dataDir)).printed).toMatch(
      /Judged 1 events again .* 0 have another verdict/s,
    )
    expect((await command('judge', dataDir, '--since', '2026-01-06')).printed).toMatch(
      /Judged 0 events again/,
    )
    expect((await command('judge', dataDir, 'all')).printed).toMatch(/^judge takes --since DAY/)
    expect((await command('judge', dataDir, '--since', '2026-01-05')).printed).toMatch(
      /Judged 1 events again/,
    )
    const wrong = await command('judge', dataDir, '--since', 'yesterday')
    expect(wrong).toEqual({ printed: '--since must be a day, such as 2026-09-01.', code: 1 })
  })

  it('lists the jobs where none is named, and says which one does not exist', async () => {
    const dataDir = await anInstallation()
    const unrun = await command('job', dataDir)
    expect(unrun.code).toBe(0)
    expect(unrun.printed).toContain(
      '  destroy-address-salts\n    Destroys the salts of past months, after which hashed internet addresses can no longer be told apart.\n    Runs every day at 00:10. Last run: none\n',
    )
    const ran = await command('job', dataDir, 'destroy-address-salts')
    expect(ran.code).toBe(0)
    const { printed, code } = await command('job', dataDir)
    expect(code).toBe(0)
    expect(printed).toMatch(
      /destroy-address-salts\n.*\n {4}Runs every day at 00:10\. Last run: done, \w+ \d+ \w+ \d{4}, [\d:]+ UTC\n/,
    )
    expect(printed.match(/Last run: /g)!.length).toBeGreaterThan(20)
    for (const wrong of [['destroy-salts'], ['destroy-address-salts', 'back-up']]) {
      const refused = await command('job', dataDir, ...wrong)
      expect(refused).toEqual({
        printed: `There is no job called ${wrong.join(' ')}.\n\n${printed}`,
        code: 1,
      })
    }
  })
})
