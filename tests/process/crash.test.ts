import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { projectRoot } from '../../src/config.js'
import { openDatabase } from '../../src/database/open.js'
import { aFolder, testApp } from '../support/app.js'
import { aCampaign } from '../support/builders.js'

/** Starts the real process on a free port and waits until it listens. */
async function aServer(dataDir: string, env: Record<string, string> = {}) {
  const server = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: projectRoot,
    env: {
      ...process.env,
      NODE_ENV: 'production',
      DATA_DIR: dataDir,
      PORT: '0',
      LOG_LEVEL: 'info',
      BASE_URL: '',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void server.kill('SIGKILL'))
  const printed: string[] = []
  server.stderr.on('data', (data) => printed.push(String(data)))
  for await (const line of createInterface(server.stdout)) {
    printed.push(line)
    const port = /"port":(\d+).*"msg":"listening"/.exec(line)?.[1]
    if (port) return { server, port: Number(port), printed }
  }
  throw new Error(`The server ended before it listened: ${printed.join('\n')}`)
}

/** @returns the status and, for 200, the event's id; null when the connection broke */
function send(port: number, agent: Agent, query: Record<string, string | number>) {
  return new Promise<{ status: number; id: number } | null>((resolve) => {
    const search = new URLSearchParams(query as Record<string, string>)
    const request = get({ port, host: '127.0.0.1', agent, path: `/api/event?${search}` }, (response) => {
      let body = ''
      response.on('data', (data) => {
        body += data
      })
      response.on('end', () => resolve({ status: response.statusCode!, id: JSON.parse(body).event_id }))
      response.on('error', () => resolve(null))
    })
    request.on('error', () => resolve(null))
  })
}

async function dataWithCampaign() {
  const app = await testApp({ dataDir: aFolder() })
  const { id } = await aCampaign(app)
  await app.stop()
  return { dataDir: app.dataDir, cid: id }
}

async function ended(server: ChildProcess) {
  if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  return server.exitCode
}

describe('the process', () => {
  it('keeps every acknowledged event exactly once through ten kills', async () => {
    const { dataDir, cid } = await dataWithCampaign()
    const acknowledged = new Map<string, number>()
    let sent = 0
    for (let round = 0; round < 10; round++) {
      const { server, port } = await aServer(dataDir)
      const agent = new Agent({ keepAlive: true })
      const killAfter = 20 + Math.floor(Math.random() * 400)
      let inRound = 0
      let alive = true
      const connection = async () => {
        while (alive) {
          const eid = `event-${sent++}`
          const answer = await send(port, agent, {
            cid,
            eid,
            event: 'email_click',
            email: `reader${sent % 50}@fernmail.example`,
            domain: `d${sent % 5}.example`,
          })
          if (answer === null) return
          if (answer.status === 200) acknowledged.set(eid, answer.id)
          // Killed in the middle of the traffic, whenever that is: counted in answers, not in milliseconds.
          if (++inRound === killAfter) {
            server.kill('SIGKILL')
            alive = false
          }
        }
      }
      await Promise.all(Array.from({ length: 8 }, connection))
      agent.destroy()
      await ended(server)
    }
    const db = openDatabase(join(dataDir, 'throughline.db'))
    onTestFinished(() => db.destroy())
    const rows = await db.selectFrom('events').select(['id', 'caller_id']).execute()
    const found = new Map(rows.map((row) => [row.caller_id!, row.id]))
    expect(rows.length).toBe(found.size)
    expect(acknowledged.size).toBeGreaterThan(200)
    for (const [eid, id] of acknowledged) expect(found.get(eid)).toBe(id)
    const counts = await db.selectFrom('campaign_counts').selectAll().executeTakeFirstOrThrow()
    expect(counts.email_clicks + counts.machine_email_clicks).toBe(rows.length)
  }, 400_000)

  it('answers what is no HTTP, and will not share its data', async () => {
    const { dataDir } = await dataWithCampaign()
    const { port } = await aServer(dataDir)
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(Buffer.from('GET /api/event?domain=b\u00fccher.example HTTP/1.1\r\nHost: a\r\n\r\n')),
      )
      let text = ''
      socket.on('data', (data) => {
        text += data
      })
      socket.on('close', () => resolve(text))
    })
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request/)
    expect(answer).toContain('Access-Control-Allow-Origin: *')
    expect(answer).toContain('Letters outside ASCII have to be percent-encoded in an address.')
    const long = `${'%C3%BC'.repeat(4080)}`
    const kept = await send(port, new Agent(), { cid: 99, x: decodeURIComponent(long) })
    expect(kept?.status).toBe(400) // read, and refused for its campaign alone

    await expect(aServer(dataDir)).rejects.toThrow(/another one is already running on/)
  }, 400_000)

  it('answers all that is under way before it ends at SIGTERM', async () => {
    const { dataDir, cid } = await dataWithCampaign()
    const { server, port } = await aServer(dataDir)
    const agent = new Agent({ keepAlive: true })
    const answers = Array.from({ length: 30 }, (_, i) =>
      send(port, agent, {
        cid,
        eid: `last-${i}`,
        event: 'email_click',
        email: 'ada@a.example',
        domain: 'd.example',
      }),
    )
    await answers[0]
    server.kill('SIGTERM')
    expect(await ended(server)).toBe(0)
    agent.destroy()
    const acknowledged = (await Promise.all(answers)).filter((answer) => answer?.status === 200)
    const db = openDatabase(join(dataDir, 'throughline.db'))
    onTestFinished(() => db.destroy())
    const kept = new Set((await db.selectFrom('events').select('id').execute()).map((event) => event.id))
    expect(acknowledged.length).toBeGreaterThan(0)
    for (const answer of acknowledged) expect(kept).toContain(answer!.id)
  }, 400_000)
})
