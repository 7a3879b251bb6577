import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished, vi } from 'vitest'
import { projectRoot, readConfig } from '../../src/config.js'
import { openDatabase } from '../../src/database/open.js'
import { listBackups } from '../../src/operations/backup-files.js'
import { restore } from '../../src/operations/restore.js'
import { listSegments } from '../../src/operations/segments.js'
import { aFolder, testApp } from '../support/app.js'
import { aCampaign } from '../support/builders.js'

const patience = { timeout: 60_000, interval: 100 }

async function aServer(dataDir: string) {
  const server = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: projectRoot,
    env: {
      ...process.env,
      NODE_ENV: 'production',
      DATA_DIR: dataDir,
      PORT: '0',
      LOG_LEVEL: 'info',
      BASE_URL: '',
      BACKUP_SEGMENT_SECONDS: '5',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void server.kill('SIGKILL'))
  const lines = createInterface(server.stdout)
  const port = await new Promise<number>((resolve, reject) => {
    lines.on('line', (line) => {
      const found = /"port":(\d+).*"msg":"listening"/.exec(line)?.[1]
      if (found) resolve(Number(found))
    })
    server.once('exit', () => reject(new Error('The server ended before it listened.')))
  })
  return { server, port }
}

it('brings back what was acknowledged and sealed, up to the instant that is asked for', async () => {
  const dataDir = aFolder()
  const app = await testApp({ dataDir })
  const { id: cid } = await aCampaign(app)
  await app.stop()
  const backups = join(dataDir, 'backups')
  /** Each acknowledged event: its number, when it was sent, when it was answered. */
  const events: { id: number; sentAt: number; answeredAt: number }[] = []
  const send = async (port: number) => {
    const sentAt = Date.now()
    const query = new URLSearchParams({
      cid: String(cid),
      event: 'email_click',
      email: `reader${events.length}@fernmail.example`,
      domain: 'd.example',
    })
    const answer = await fetch(`http://127.0.0.1:${port}/api/event?${query}`)
    const { event_id } = (await answer.json()) as { event_id: number }
    events.push({ id: event_id, sentAt, answeredAt: Date.now() })
  }
  /** Sends events until something was sealed that was not when it began. */
  const sendUntilSealed = async (port: number) => {
    for (let count = 0; count < 20; count++) await send(port)
    const after = Date.now()
    await vi.waitUntil(async () => {
      await send(port)
      return (listSegments(backups).at(-1)?.sealedAt ?? 0) > after
    }, patience)
  }

  const first = await aServer(dataDir)
  await vi.waitUntil(() => listBackups(backups).length > 0, patience)
  await sendUntilSealed(first.port)
  const between = listSegments(backups).at(-1)!.sealedAt
  await sendUntilSealed(first.port)
  first.server.kill('SIGKILL')
  await once(first.server, 'exit')

  const second = await aServer(dataDir)
  await sendUntilSealed(second.port)
  second.server.kill('SIGTERM')
  await once(second.server, 'exit')
  expect(second.server.exitCode).toBe(0)
  const third = await aServer(dataDir)
  await sendUntilSealed(third.port)
  third.server.kill('SIGKILL')
  await once(third.server, 'exit')

  // Through a kill and a stop in order it stayed one chain, so the one backup is enough.
  expect(readdirSync(join(backups, 'segments')).filter((name) => !name.includes('.'))).toHaveLength(1)
  expect(listBackups(backups)).toHaveLength(1)

  for (const at of [between, null]) {
    const folder = aFolder()
    const restored = await restore({
      config: readConfig({ DATA_DIR: folder, BACKUP_DIR: backups }),
      from: 'latest',
      at,
      force: false,
      now: Date.now,
      say() {},
    })
    expect(restored.corrected).toEqual([])
    expect(restored.asOf).toBe(at ?? listSegments(backups).at(-1)!.sealedAt)
    const db = openDatabase(join(folder, 'throughline.db'))
    const ids = new Set((await db.selectFrom('events').select('id').execute()).map(({ id }) => id))
    await db.destroy()
    for (const { id, sentAt, answeredAt } of events) {
      if (answeredAt < restored.asOf) expect(ids).toContain(id)
      if (sentAt > restored.asOf) expect(ids).not.toContain(id)
    }
    expect(ids.size).toBeGreaterThan(20)
  }
}, 400_000)
