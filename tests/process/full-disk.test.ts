import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { projectRoot } from '../../src/config.js'
import { openDatabase } from '../../src/database/open.js'
import { aFolder, testApp } from '../support/app.js'
import { aCampaign } from '../support/builders.js'

/** A port on which nobody listens: a log that is refused cannot tell which one it was. */
async function aFreePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Files that refuse each write: wherever there is one, the device that is always full; and one that is open for reading. */
function refusingFiles(): [string, () => number][] {
  const forReading = () => {
    const path = join(aFolder(), 'log')
    writeFileSync(path, '')
    return openSync(path, 'r')
  }
  const full: [string, () => number] = ['a full disk', () => openSync('/dev/full', 'w')]
  return [...(existsSync('/dev/full') ? [full] : []), ['a file that cannot be written', forReading]]
}

describe('the process', () => {
  it.each(refusingFiles())(
    'goes on where its output is %s, and ends when it is asked to',
    async (_, open) => {
      const app = await testApp({ dataDir: aFolder() })
      const { id } = await aCampaign(app)
      await app.stop()
      const port = await aFreePort()
      const output = open()
      const server = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
        cwd: projectRoot,
        env: {
          ...process.env,
          NODE_ENV: 'production',
          DATA_DIR: app.dataDir,
          HOST: '127.0.0.1',
          PORT: String(port),
          LOG_LEVEL: 'debug',
          LOG_REQUESTS: 'all',
          BASE_URL: '',
        },
        stdio: ['ignore', output, output],
      })
      closeSync(output)
      onTestFinished(() => void server.kill('SIGKILL'))
      const ended = once(server, 'exit')
      const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).catch(() => null)
      await vi.waitUntil(async () => server.exitCode !== null || (await ask('/healthz'))?.status === 200, {
        timeout: 120_000,
        interval: 100,
      })
      expect(server.exitCode).toBeNull()
      for (let event = 0; event < 20; event++) {
        const query = new URLSearchParams({
          cid: String(id),
          eid: `event-${event}`,
          event: 'email_click',
          email: 'ada@fernmail.example',
          domain: 'd.example',
        })
        expect((await ask(`/api/event?${query}`))?.status).toBe(200)
      }
      expect((await ask('/healthz'))?.status).toBe(200)
      server.kill('SIGTERM')
      expect(await ended).toEqual([0, null])
      const db = openDatabase(join(app.dataDir, 'throughline.db'))
      onTestFinished(() => db.destroy())
      expect(await db.selectFrom('events').select('id').execute()).toHaveLength(20)
    },
  )
})
