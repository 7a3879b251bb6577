import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { tokenCommand, userCommand } from '../../src/accounts/terminal.js'
import { askPassword } from '../../src/cli/ask-password.js'
import { projectRoot } from '../../src/config.js'
import { aFolder, testApp } from '../support/app.js'
import { aBrowser, anAccount, aPerson, goodPassword } from './people.js'

const another = 'lanterns over the water'

async function aTerminal() {
  const app = await testApp()
  const said: string[] = []
  const run = (line: string, password = goodPassword) =>
    userCommand(line.split(' '), {
      db: app.db,
      now: app.clock.now,
      say: (text) => void said.push(text),
      askPassword: async () => password,
    })
  const token = (line: string) =>
    tokenCommand(line.split(' '), { db: app.db, now: app.clock.now, say: (text) => void said.push(text) })
  return { app, run, token, said }
}

describe('npm run user', () => {
  it('makes an account that can log in, and lists it', async () => {
    const { app, run, said } = await aTerminal()
    await run('list')
    expect(said.pop()).toContain('There is no account yet.')
    await run('create Ada')
    expect(said.pop()).toBe('ada can log in now.')
    expect((await aBrowser(app).logIn()).status).toBe(303)
    await run('list')
    expect(said.pop()).toMatch(/NAME .*\nada .* active +2026-11-21 10:00 UTC/)
    await expect(run('create ada')).rejects.toThrow('There is already an account named ada.')
    await expect(run('create bo', 'password123')).rejects.toThrow('among the first that others would guess')
    await expect(run('create -x')).rejects.toThrow('begins with a letter or a digit')
  })

  it('sets a password, and ends the sessions', async () => {
    const { app, run, said } = await aTerminal()
    const { get } = await aPerson(app)
    await run('password ada', another)
    expect(said).toEqual(['The password of ada is changed, and their sessions have ended.'])
    await get('/settings').expect(303)
    expect((await aBrowser(app).logIn({ password: another })).status).toBe(303)
    await expect(run('password bo')).rejects.toThrow('There is no account named bo.')
  })

  it('deactivates and activates, but for the last one', async () => {
    const { app, run, said } = await aTerminal()
    await anAccount(app)
    await expect(run('deactivate ada')).rejects.toThrow('The last active account stays.')
    await run('create bo')
    await run('deactivate ada')
    await run('deactivate ada')
    expect(said.slice(1)).toEqual([
      'ada can no longer log in, and their sessions have ended.',
      'ada is deactivated already.',
    ])
    await run('password ada')
    expect(said.at(-1)).toContain('npm run user -- activate ada')
    expect((await aBrowser(app).logIn()).status).toBe(422)
    await run('activate ada')
    expect((await aBrowser(app).logIn()).status).toBe(303)
  })

  it('says how it is used', async () => {
    const { run } = await aTerminal()
    for (const line of ['', 'create', 'remove ada', 'create ada bo', 'toString ada', 'list all'])
      await expect(run(line)).rejects.toThrow('npm run user -- create NAME')
  })
})

describe('npm run token', () => {
  it('makes, lists and revokes', async () => {
    const { app, token, said } = await aTerminal()
    await token('list')
    expect(said.pop()).toContain('There is no API token.')
    await token('create Newsletter script')
    const made = said.pop()!
    expect(made).toMatch(/^tl_[\w-]{43}$/)
    const row = await app.db.selectFrom('api_tokens').select('name').executeTakeFirstOrThrow()
    expect(row.name).toBe('Newsletter script')
    await token('list')
    expect(said.at(-1)).toContain(made.slice(-4))
    expect(said.pop()).not.toContain(made)
    await token('revoke 1')
    expect(said.pop()).toBe('The token "Newsletter script" no longer works.')
    await expect(token('revoke 1')).rejects.toThrow('There is no API token 1 that still works.')
    const noted = app.db.selectFrom('audit_log').select(['action', 'actor', 'subject']).orderBy('id')
    expect(await noted.execute()).toEqual([
      { action: 'token', actor: 'a terminal', subject: 'create Newsletter script' },
      { action: 'token', actor: 'a terminal', subject: 'revoke Newsletter script' },
    ])
    await expect(token('revoke it')).rejects.toThrow('npm run token -- create NAME')
    await expect(token(`create ${'x'.repeat(81)}`)).rejects.toThrow('under 81')
  })
})

describe('a password from the terminal', () => {
  function aTeletype() {
    const input = Object.assign(new PassThrough(), { isTTY: true })
    const output = new PassThrough()
    return { input, output, shown: () => String(output.read() ?? '') }
  }
  it('is typed twice and not shown', async () => {
    const { input, output, shown } = aTeletype()
    const asked = askPassword({ input, output })
    input.write(`${goodPassword}x\x7f\r`)
    await once(output, 'readable')
    while (!/Once more: $/.test(shown())) await once(output, 'readable')
    input.write(`${goodPassword}\r`)
    expect(await asked).toBe(goodPassword)
    expect(shown()).not.toContain('harbour')
  })
  it('is refused when the two differ, or somebody presses Ctrl+C', async () => {
    const first = aTeletype()
    const differing = askPassword(first)
    differing.catch(() => {})
    first.input.write('one thing\r')
    while (!/Once more: $/.test(first.shown())) await once(first.output, 'readable')
    first.input.write('another thing\r')
    await expect(differing).rejects.toThrow('The two passwords differ.')
    const second = aTeletype()
    const stopped = askPassword(second)
    second.input.write('half\x03')
    await expect(stopped).rejects.toThrow('Stopped.')
  })
  it('is the first line of what is piped in', async () => {
    const input = new PassThrough()
    input.end(`${goodPassword}\r\nmore\n`)
    expect(await askPassword({ input, output: new PassThrough() })).toBe(goodPassword)
  })
})

describe('the commands themselves', () => {
  it('work on a data folder that is not there yet, and end with a code', async () => {
    const dataDir = join(aFolder(), 'data')
    const run = async (file: string, args: string[], input = '') => {
      const child = spawn(
        process.execPath,
        [join(projectRoot, 'node_modules/tsx/dist/cli.mjs'), `src/cli/${file}.ts`, ...args],
        {
          cwd: projectRoot,
          // The test runner has a BASE_URL of its own.
          env: { PATH: process.env.PATH, DATA_DIR: dataDir },
        },
      )
      child.stdin.end(input)
      const [out, errors, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ])
      return { out, errors, code }
    }
    expect(await run('user', ['create', 'ada'], `${goodPassword}\n`)).toEqual({
      out: 'ada can log in now.\n',
      errors: '',
      code: 0,
    })
    expect(await run('user', ['create', 'bo'], 'short\n')).toEqual({
      out: '',
      errors: 'The password needs at least 10 characters.\n',
      code: 1,
    })
    const { out, code } = await run('token', ['create', 'script'])
    expect(out).toMatch(/^tl_[\w-]{43}\n$/)
    expect(code).toBe(0)
  }, 400_000)
})
