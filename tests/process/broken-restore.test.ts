import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { projectRoot } from '../../src/config.js'
import { openDatabase } from '../../src/database/open.js'
import { aFolder, testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

async function eventsIn(path: string) {
  const db = openDatabase(path)
  const rows = await db.selectFrom('events').select('id').execute()
  await db.destroy()
  return rows.length
}

/** An installation of four events, the last of which is in its log alone, with a backup of three. */
async function anInstallation() {
  const app = await testApp({ dataDir: aFolder() })
  const { id: cid } = await aCampaign(app)
  for (const name of ['one', 'two', 'three']) await anEvent(app, { cid, email: `${name}@fernmail.example` })
  await app.jobs.perform('back-up')
  await anEvent(app, { cid, email: 'four@fernmail.example' })
  const dataDir = aFolder()
  for (const name of ['throughline.db', 'throughline.db-wal'])
    cpSync(join(app.dataDir, name), join(dataDir, name))
  await app.stop()
  writeFileSync(join(dataDir, 'secret'), `${'a'.repeat(64)}\n`)
  return { dataDir, backups: app.backups.folder }
}

/** Starts the server, waits until it listens, and ends it again. */
async function startAndEnd(env: NodeJS.ProcessEnv) {
  const server = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: projectRoot,
    env: { ...env, NODE_ENV: 'production', PORT: '0', LOG_LEVEL: 'info', EXPECT_EXISTING_DATA: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void server.kill('SIGKILL'))
  const exit = once(server, 'exit')
  for await (const line of createInterface(server.stdout)) if (line.includes('"listening"')) break
  server.kill('SIGTERM')
  await exit
  expect(server.exitCode).toBe(0)
}

it('a restore that ends at any step is brought to its end by the next start, and loses nothing', async () => {
  const { dataDir: whole, backups } = await anInstallation()
  /** What stood there after each death, in the order of the steps. */
  const found: string[] = []
  for (let steps = 0; ; steps++) {
    const parent = aFolder()
    const dataDir = join(parent, 'data')
    cpSync(whole, dataDir, { recursive: true })
    const env = {
      ...process.env,
      BASE_URL: '',
      DATA_DIR: dataDir,
      BACKUP_DIR: backups,
      DIE_IN: dataDir,
      DIE_AFTER: String(steps),
    }
    const command = ['src/cli/restore.ts', '--from', 'latest', '--force']
    const { signal } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--import', './tests/support/dying-rename.ts', ...command],
      { cwd: projectRoot, env, stdio: ['ignore', 'ignore', 'inherit'] },
    )
    if (signal === null) {
      expect(await eventsIn(join(dataDir, 'throughline.db'))).toBe(3)
      break
    }
    found.push(existsSync(join(dataDir, 'throughline.db')) ? 'a database' : 'none')
    await startAndEnd(env)
    const aside = readdirSync(dataDir).find((name) => name.startsWith('replaced-'))
    // Either nothing has happened yet, or all has.
    if (aside === undefined) expect(await eventsIn(join(dataDir, 'throughline.db'))).toBe(4)
    else {
      expect(await eventsIn(join(dataDir, 'throughline.db'))).toBe(3)
      renameSync(join(dataDir, aside), join(parent, 'aside'))
      expect(await eventsIn(join(parent, 'aside', 'throughline.db'))).toBe(4)
    }
    expect(readdirSync(dataDir).filter((name) => /restor/.test(name))).toEqual([])
  }
  expect(found).toContain('none') // the steps between which there is no database were among them
}, 300_000)
