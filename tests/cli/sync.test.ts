import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { progressLines, progressMeter } from '../../src/cli/progress.js'
import { projectRoot } from '../../src/config.js'
import { openDatabase } from '../../src/database/open.js'
import { runWords } from '../../src/esp/buttondown/run-words.js'
import type { Run } from '../../src/esp/runs.js'
import { aFolder, testApp } from '../support/app.js'
import { startButtondown } from '../support/buttondown.js'
import { startEmailOctopus } from '../support/emailoctopus.js'

/** An installation without a server, and a stand-in Buttondown with a few subscribers. */
async function anInstallation({ subscribers = 120 } = {}) {
  const standIn = await startButtondown()
  onTestFinished(() => standIn.close())
  const email = standIn.world.addEmail({ subject: 'Issue 1' })
  for (let i = 0; i < subscribers; i++) {
    const subscriber = standIn.world.addSubscriber({ email: `reader${i}@fernmail.example` })
    standIn.world.addEvent({ type: 'delivered', subscriber, email })
  }
  const app = await testApp({ dataDir: aFolder() })
  await app.stop()
  return { standIn, dataDir: app.dataDir, env: environmentOf(standIn, app.dataDir) }
}
interface Installation {
  dataDir: string
  env: Record<string, string>
}

/** The same beside a stand-in EmailOctopus, with one campaign that everybody was sent. */
async function anOctopusInstallation({ contacts = 120 } = {}) {
  const standIn = await startEmailOctopus()
  onTestFinished(() => standIn.close())
  const list = standIn.world.addList({ name: 'Weekly letter' })
  for (let i = 0; i < contacts; i++) standIn.world.addContact(list, { email: `reader${i}@fernmail.example` })
  standIn.world.addCampaign({ subject: 'Issue 1', lists: [list], at: Date.now() - 7_200_000 })
  const app = await testApp({ dataDir: aFolder() })
  await app.stop()
  const { dataDir } = app
  const env: Record<string, string> = {
    ...serverOn(dataDir),
    EMAILOCTOPUS_API_URL: standIn.url,
    EMAILOCTOPUS_API_KEY: standIn.key,
    EMAILOCTOPUS_REQUESTS_PER_SECOND: '0',
  }
  return { standIn, dataDir, env }
}

const serverOn = (dataDir: string) => ({
  DATA_DIR: dataDir,
  NODE_ENV: 'production',
  BASE_URL: 'http://localhost:4000',
  PORT: '0',
  LOG_LEVEL: 'info',
})

const environmentOf = (standIn: { url: string; key: string }, dataDir: string): Record<string, string> => ({
  ...serverOn(dataDir),
  BUTTONDOWN_API_URL: standIn.url,
  BUTTONDOWN_API_KEY: standIn.key,
  BUTTONDOWN_REQUESTS_PER_MINUTE: '0',
})

/** Starts a program of ours as a process of its own. */
function start(program: string, args: string[], env: Record<string, string>) {
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    cwd: projectRoot,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Runs `sync`. @returns what it printed and how it ended */
function sync({ env }: Pick<Installation, 'env'>, args = ['buttondown']) {
  const child = start('src/cli/sync.ts', args, env)
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      printed += data
    })
  const ended = once(child, 'close').then(() => ({ printed, code: child.exitCode }))
  return { child, ended, printed: () => printed }
}

/** Starts the server and waits until it listens. */
async function serve({ env }: Pick<Installation, 'env'>) {
  const child = start('src/main.ts', [], env)
  for await (const line of createInterface(child.stdout)) if (line.includes('"msg":"listening"')) break
  child.stdout.resume()
  return child
}

async function stop(server: ChildProcess) {
  server.kill('SIGTERM')
  if (server.exitCode === null) await once(server, 'exit')
}

function look({ dataDir }: Pick<Installation, 'dataDir'>) {
  const db = openDatabase(join(dataDir, 'throughline.db'))
  onTestFinished(() => db.destroy())
  return db
}

const countOf = async (db: ReturnType<typeof look>, table: 'contacts' | 'engagements') =>
  (
    await db
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as('rows'))
      .executeTakeFirstOrThrow()
  ).rows

describe('npm run sync', () => {
  it('fetches everything by itself where no server runs, and no server starts meanwhile', async () => {
    const here = await anInstallation()
    const release = here.standIn.hold()
    const running = sync(here)
    await here.standIn.arrived(1)
    const server = start('src/main.ts', [], here.env)
    let complaint = ''
    server.stderr.on('data', (data) => {
      complaint += data
    })
    await once(server, 'close')
    expect(complaint).toContain('another one is already running on')
    release()
    const { printed, code } = await running.ended
    expect(printed).toMatch(/^Subscribers: 120$/m)
    expect(printed).toMatch(/^First sync done in .*\. 120 new contacts, 1 new mailing, 120 events\.$/m)
    expect(code).toBe(0)
    const db = look(here)
    expect(await countOf(db, 'contacts')).toBe(120)
    const scored = await db.selectFrom('contacts').select('id').where('score', 'is not', null).execute()
    expect(scored).toHaveLength(120)

    const again = await sync(here).ended
    expect(again).toMatchObject({ code: 0 })
    expect(again.printed).toMatch(/^By hand done in .*\. Nothing changed\.$/m)
  }, 400_000)

  it('is cancelled by ctrl-C, and the next one goes on from there', async () => {
    const here = await anInstallation({ subscribers: 240 })
    const release = here.standIn.hold()
    const running = sync(here)
    await here.standIn.arrived(1)
    running.child.kill('SIGINT')
    const { printed, code } = await running.ended
    expect(printed).toContain('Cancelled. What came in stays, and the next sync goes on from there.')
    expect(code).toBe(130)
    release()
    const db = look(here)
    expect(await db.selectFrom('sync_runs').select('state').executeTakeFirst()).toEqual({
      state: 'cancelled',
    })
    expect((await sync(here).ended).printed).toContain('240 new contacts')
    expect(await countOf(db, 'engagements')).toBe(240)
  }, 400_000)

  it('goes on where a process was that was killed', async () => {
    const here = await anInstallation({ subscribers: 240 })
    here.standIn.weather.slow = 20
    const killed = sync(here)
    await here.standIn.arrived(6)
    killed.child.kill('SIGKILL')
    await killed.ended
    const { printed, code } = await sync(here).ended
    expect(code).toBe(0)
    expect(printed).toContain('First sync done')
    const db = look(here)
    expect(await countOf(db, 'contacts')).toBe(240)
    expect(await countOf(db, 'engagements')).toBe(240)
    expect(await db.selectFrom('sync_runs').select('state').execute()).toEqual([{ state: 'done' }])
  }, 400_000)

  it('hands over to a server that runs, and shows how far that is', async () => {
    const here = await anInstallation()
    const server = await serve(here)
    // The command itself need not know the key then.
    const { printed, code } = await sync({ env: { ...here.env, BUTTONDOWN_API_KEY: '' } }).ended
    expect(printed).toContain('The server that is running performs the sync.')
    expect(printed).toMatch(/^First sync done in .*\. 120 new contacts, 1 new mailing, 120 events\.$/m)
    expect(code).toBe(0)

    const release = here.standIn.hold()
    const asked = here.standIn.requests.length
    const first = sync(here)
    await here.standIn.arrived(asked + 1)
    const second = sync(here)
    while (!second.printed().includes('A sync is under way')) await once(second.child.stdout, 'data')
    second.child.kill('SIGINT')
    const watched = await second.ended
    expect(watched.printed).toContain(
      'The server goes on. To cancel it: http://localhost:4000/providers/buttondown/sync',
    )
    expect(watched.code).toBe(130)
    release()
    expect((await first.ended).printed).toContain('Nothing changed.')
    await stop(server)
  }, 400_000)

  it('says in a sentence what is wrong, and ends with 1', async () => {
    const here = await anInstallation({ subscribers: 1 })
    const withEnv = (more: Record<string, string>, args?: string[]) =>
      sync({ env: { ...here.env, ...more } }, args).ended
    expect(await withEnv({ BUTTONDOWN_API_KEY: '' })).toEqual({
      printed:
        'There is no API key for Buttondown. Set BUTTONDOWN_API_KEY, or start the server and enter it at http://localhost:4000/providers/buttondown.\n',
      code: 1,
    })
    const refused = await withEnv({ BUTTONDOWN_API_KEY: 'wrong' })
    expect(refused).toEqual({
      printed: 'Buttondown refuses the API key. Copy it once more from the settings of Buttondown.\n',
      code: 1,
    })
    const usage = await withEnv({}, ['mailchimp'])
    expect(usage.code).toBe(1)
    expect(usage.printed).toMatch(
      /^Usage:\n {2}npm run sync -- buttondown .*\n {2}npm run sync -- emailoctopus /,
    )
    expect((await withEnv({}, ['buttondown', 'emailoctopus'])).printed).toMatch(/^Usage:/)
  }, 400_000)
})

describe('npm run sync -- emailoctopus', () => {
  const octopus = ['emailoctopus']
  const everything =
    /^First sync done in .*\. 120 new contacts, 1 new mailing, new numbers of 1 mailing, 1 new list, 120 events\.$/m

  it('fetches everything by itself where no server runs', async () => {
    const here = await anOctopusInstallation()
    const { printed, code } = await sync(here, octopus).ended
    expect(printed).toMatch(/^Campaigns: 1$/m)
    expect(printed).toMatch(/^Contacts: 120$/m)
    expect(printed).toMatch(everything)
    expect(code).toBe(0)
    const db = look(here)
    expect(await countOf(db, 'contacts')).toBe(120)
    expect(await countOf(db, 'engagements')).toBe(120)
    const scored = await db.selectFrom('contacts').select('id').where('score', 'is not', null).execute()
    expect(scored).toHaveLength(120)

    const again = await sync(here, octopus).ended
    expect(again).toMatchObject({ code: 0 })
    expect(again.printed).toMatch(/^By hand done in .*\. Nothing changed\.$/m)
  }, 400_000)

  it('goes on where a process was that was killed', async () => {
    const here = await anOctopusInstallation({ contacts: 420 })
    here.standIn.weather.slow = 20
    const killed = sync(here, octopus)
    // Lists, campaigns, a summary, links, and then pages of contacts.
    await here.standIn.arrived(7)
    killed.child.kill('SIGKILL')
    await killed.ended
    const { printed, code } = await sync(here, octopus).ended
    expect(code).toBe(0)
    expect(printed).toContain('First sync done')
    const db = look(here)
    expect(await countOf(db, 'contacts')).toBe(420)
    expect(await countOf(db, 'engagements')).toBe(420)
    expect(await db.selectFrom('sync_runs').select('state').execute()).toEqual([{ state: 'done' }])
  }, 400_000)

  it('hands over to a server that runs, which can be left to itself', async () => {
    const here = await anOctopusInstallation()
    const release = here.standIn.hold()
    const server = await serve(here)
    // The command itself need not know the key then.
    const env = { ...here.env, EMAILOCTOPUS_API_KEY: '' }
    const first = sync({ env }, octopus)
    await here.standIn.arrived(1)
    const second = sync({ env }, octopus)
    while (!second.printed().includes('A sync is under way')) await once(second.child.stdout, 'data')
    second.child.kill('SIGINT')
    const watched = await second.ended
    expect(watched.printed).toContain(
      'The server goes on. To cancel it: http://localhost:4000/providers/emailoctopus/sync',
    )
    expect(watched.code).toBe(130)
    release()
    const { printed, code } = await first.ended
    expect(printed).toContain('performs the sync.')
    expect(printed).toMatch(everything)
    expect(code).toBe(0)
    await stop(server)
  }, 400_000)

  it('says in a sentence what is wrong, and ends with 1', async () => {
    const here = await anOctopusInstallation({ contacts: 1 })
    const withKey = (key: string) => sync({ env: { ...here.env, EMAILOCTOPUS_API_KEY: key } }, octopus).ended
    expect(await withKey('')).toEqual({
      printed:
        'There is no API key for EmailOctopus. Set EMAILOCTOPUS_API_KEY, or start the server and enter it at http://localhost:4000/providers/emailoctopus.\n',
      code: 1,
    })
    const refused = await withKey('eo_of-nobody')
    expect(refused.printed).toMatch(/^The key was refused: keys made before October 2024 do not work/)
    expect(refused.code).toBe(1)
  }, 400_000)
})

describe('how far a sync is', () => {
  const run = (stage: string, stages: Run['progress']['stages'], seenAt = 10_000): Run => ({
    id: 1,
    provider: 'buttondown',
    kind: 'first',
    state: 'running',
    askedBy: 'the test',
    startedAt: 0,
    seenAt,
    endedAt: null,
    checkpoint: {},
    progress: { stage, stages, since: { at: 0, done: 0 }, requests: 0, remaining: null },
    changes: {},
    error: null,
  })

  it('is a bar on one line of a terminal', () => {
    let written = ''
    const write = (text: string | Uint8Array) => {
      written += text
      return true
    }
    const meter = progressMeter({ columns: 99, write }, runWords)
    meter.show(run('', {}))
    expect(written).toBe('\r░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ About to begin\x1b[K')
    written = ''
    const halfway = run('subscribers', { tags: { done: 3, of: 3 }, subscribers: { done: 600, of: 1200 } })
    meter.show(halfway)
    meter.show(halfway)
    expect(written).toBe(
      '\r███████████░░░░░░░░░░░░░░░░░░░ Step 2 of 4: subscribers, 600 of 1,200, about 10 s left in this ste\x1b[K',
    )
    written = ''
    meter.end()
    meter.end()
    expect(written).toBe('\r\x1b[K')
  })

  it('is a line at each tenth where nobody looks', () => {
    const said: string[] = []
    const meter = progressLines((line) => said.push(line), runWords)
    for (let done = 0; done <= 1000; done += 10)
      meter.show(run('subscribers', { subscribers: { done, of: 1000 } }))
    meter.show(run('events', { subscribers: { done: 1000, of: 1000 }, events: { done: 7, of: null } }))
    meter.end()
    expect(said).toHaveLength(12)
    expect(said[0]).toBe('Subscribers: 0 of 1,000')
    expect(said.slice(-2)).toEqual(['Subscribers: 1,000', 'Events: 7'])
  })
})
