import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAccount } from '../../src/accounts/commands.js'
import { testApp } from '../support/app.js'
import { aPerson } from '../support/person.js'
import { aContact } from './rows.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  const upload = (csv: string | Buffer, { token = person.token } = {}) =>
    person.http
      .post('/audience/import')
      .field('_csrf', token)
      .attach('file', Buffer.from(csv), { filename: 'readers.csv', contentType: 'text/csv' })
  /** Uploads and goes on to the preview. */
  async function preview(csv: string | Buffer) {
    const { headers } = await upload(csv).expect(303)
    const address = headers.location!
    return { address, page: (await person.http.get(address).expect(200)).text }
  }
  const confirm = (address: string, columns: string[], fields: Record<string, string> = {}) =>
    person.http
      .post(address)
      .type('form')
      .send(
        new URLSearchParams([
          ['_csrf', person.token],
          ['header', '1'],
          ...columns.map((role): [string, string] => ['column', role]),
          ...Object.entries(fields),
        ]).toString(),
      )
  const waiting = () => {
    try {
      return readdirSync(join(app.dataDir, 'imports'))
    } catch {
      return []
    }
  }
  const contacts = () =>
    app.db
      .selectFrom('contacts')
      .select(['email', 'name', 'source', 'subscribed_at', 'status'])
      .orderBy('id')
      .execute()
  return { ...app, ...person, upload, preview, confirm, waiting, contacts }
}

/** What the preview says of each column. */
const rolesIn = (page: string) =>
  [...page.matchAll(/<select[^>]*name="column"[\s\S]*?<\/select>/g)].map(
    ([select]) => /value="([^"]*)" selected/.exec(select)?.[1] ?? '',
  )

const mailchimp = `Email Address,First Name,Last Name,TAGS,OPTIN_TIME,MEMBER_RATING
ada@fernmail.example,Ada,Okonkwo,"buyer, reader",2026-01-31 10:00:00,4
Ben@Posteo.example ,Ben,,,2025-12-01,2
`

describe('an import', () => {
  it('guesses the columns of other services, and shows their first values', async () => {
    const { preview } = await aRoom()
    const { page } = await preview(mailchimp)
    expect(rolesIn(page)).toEqual(['email', 'first_name', 'last_name', 'tags', 'subscribed', ''])
    expect(page).toContain('<span class="under">Ben@Posteo.example </span>')
    expect(page).toContain('2 lines with contacts')
    expect(page).toContain('name="header" value="1" checked')
  })

  it('writes all rows, and says how many are new', async () => {
    const room = await aRoom()
    await aContact(room, { email: 'ben@posteo.example', name: '' })
    const { address } = await room.preview(mailchimp)
    const answer = await room
      .confirm(address, ['email', 'first_name', 'last_name', 'tags', 'subscribed', ''], {
        tag: 'from mailchimp',
        list: 'Old readers',
      })
      .expect(303)
    expect(answer.headers.location).toBe('/audience')
    expect(await room.contacts()).toEqual([
      expect.objectContaining({ email: 'ben@posteo.example', name: 'Ben', source: 'buttondown' }),
      {
        email: 'ada@fernmail.example',
        name: 'Ada Okonkwo',
        source: 'csv',
        status: 'subscribed',
        subscribed_at: Date.UTC(2026, 0, 31, 10),
      },
    ])
    const { text } = await room.http.get('/audience').expect(200)
    expect(text).toContain('1 contact is new, 1 was known and is brought up to date.')
    expect((await room.http.get('/audience?tag=from+mailchimp')).text).toContain('2 contacts')
    expect((await room.http.get('/audience?tag=buyer')).text).toContain('1 contact<')
    expect(room.waiting()).toEqual([])
  })

  it('imports nothing while one line is wrong, and names each of them', async () => {
    const room = await aRoom()
    const { address } = await room.preview(
      `email,joined,tags\nada@x.example,2026-01-01,a\nnobody,2026-01-01,\n\n,2026-01-01,\nben@x.example,11/20/2025,\ncleo@x.example,2026-02-31,\ndora@x.example,2030-01-01,\neve@x.example,,${'t'.repeat(81)}\n`,
    )
    const { text } = await room.confirm(address, ['email', 'subscribed', 'tags']).expect(422)
    expect(text).toContain('6 lines are wrong')
    expect(text).toContain('Nothing has been imported.')
    const told = [...text.matchAll(/data-value="(\d+)">\d+<\/td><td class="anywhere">([^<]*)</g)].map(
      ([, line, sentence]) => `${line}: ${sentence}`,
    )
    expect(told).toEqual([
      '3: “nobody” is no address: it has one @ with something on both sides.',
      '5: The address is missing.',
      '6: “11/20/2025” is no day. Write it as 2026-11-20.',
      '7: “2026-02-31” is no day. Write it as 2026-11-20.',
      '8: The day 2030-01-01 is yet to come.',
      expect.stringContaining('9: The tag “ttt'),
    ])
    expect(await room.contacts()).toEqual([])
    expect(room.waiting()).toHaveLength(1)

    // What was chosen is still chosen, and the wrong lines can be left out.
    expect(rolesIn(text)).toEqual(['email', 'subscribed', 'tags'])
    expect(text).toContain('Leave the 6 wrong lines out and import the other 1 contact')
    await room.confirm(address, ['email', 'subscribed', 'tags'], { skip: '1' }).expect(303)
    expect((await room.contacts()).map(({ email }) => email)).toEqual(['ada@x.example'])
    expect((await room.http.get('/audience')).text).toContain('6 wrong lines are left out.')
  })

  it('takes lines with the same address together', async () => {
    const room = await aRoom()
    const { address } = await room.preview('email,name,tags\nada@x.example,,a\nADA@x.example,Ada,b;A\n')
    await room.confirm(address, ['email', 'name', 'tags']).expect(303)
    expect(await room.contacts()).toEqual([expect.objectContaining({ email: 'ada@x.example', name: 'Ada' })])
    expect(await room.db.selectFrom('tags').select('name').orderBy('name').execute()).toHaveLength(2)
    expect((await room.http.get('/audience')).text).toContain('1 line repeats an address')
  })

  it('wants to know which column holds the address', async () => {
    const { preview, confirm } = await aRoom()
    const { address } = await preview('a,b\nada@x.example,eve@x.example\n')
    expect((await confirm(address, ['', '']).expect(422)).text).toContain(
      'Say which column holds the address.',
    )
    expect((await confirm(address, ['email', 'email']).expect(422)).text).toContain(
      'Only one column can hold the address.',
    )
  })

  it.each([
    ['semicolons and a mark', '\uFEFFe-mail;name\nada@x.example;"Okonkwo; Ada"\n', 'Okonkwo; Ada'],
    ['tabs', 'Email\tName\nada@x.example\tAda\n', 'Ada'],
    ['no head', 'ada@x.example,Ada\n', ''],
  ])('reads %s', async (_, csv, name) => {
    const room = await aRoom()
    const { address, page } = await room.preview(csv)
    const roles = rolesIn(page)
    expect(roles[0]).toBe('email')
    await room.confirm(address, roles, name ? {} : { header: '0' }).expect(303)
    const [contact] = await room.contacts()
    expect(contact).toMatchObject({ email: 'ada@x.example', name })
  })

  it('reads what older spreadsheets write', async () => {
    const room = await aRoom()
    const { address, page } = await room.preview(Buffer.from('email,name\njo@x.example,Zo\xEB\n', 'latin1'))
    await room.confirm(address, rolesIn(page)).expect(303)
    expect((await room.contacts())[0]!.name).toBe('Zoë')
  })

  it('takes pasted lines as well', async () => {
    const room = await aRoom()
    const { headers } = await room.http
      .post('/audience/import')
      .field('_csrf', room.token)
      .field('pasted', 'ada@x.example\nben@x.example')
      .expect(303)
    const { text } = await room.http.get(headers.location!).expect(200)
    expect(rolesIn(text)).toEqual(['email'])
    expect(text).not.toContain('name="header" value="1" checked')
  })

  it('does not bring back who was erased', async () => {
    const room = await aRoom()
    const id = await aContact(room, { email: 'ada@x.example' })
    await room.audience.erase(id)
    const { address } = await room.preview('email\nada@x.example\nben@x.example\n')
    await room.confirm(address, ['email']).expect(303)
    expect((await room.contacts()).map(({ email }) => email)).toEqual([`erased:${id}`, 'ben@x.example'])
  })
})

describe('an upload', () => {
  it.each([
    ['nothing', '', 'The file is empty.'],
    ['a head alone', 'email,name\n', 'no contacts below them'],
    ['a spreadsheet', 'PK\u0003\u0004\u0000\u0000', 'This is no CSV file.'],
    ['a quotation mark that stays open', 'email,name\nada@x.example,"Ada\n', 'A quotation mark is opened'],
  ])('is refused with a reason: %s', async (_, csv, reason) => {
    const { upload, waiting } = await aRoom()
    const { text } = await upload(csv).expect(422)
    expect(text).toContain(reason)
    expect(waiting()).toEqual([])
  })

  it('has a limit, and says which', async () => {
    const { upload, waiting } = await aRoom()
    const answer = await upload(Buffer.alloc(20 * 1024 * 1024 + 1, 'a')).expect(422)
    expect(answer.text).toContain('The file is longer than 20 MB.')
    expect(waiting()).toEqual([])
  })

  it('holds 50,000 contacts at most', async () => {
    const { upload } = await aRoom()
    const lines = Array.from({ length: 50_001 }, (_, index) => `r${index}@x.example`)
    expect((await upload(lines.join('\n')).expect(422)).text).toContain('more than 50,000 lines')
    await upload(lines.slice(1).join('\n')).expect(303)
  })

  it('without a file asks for one', async () => {
    const { http, token } = await aRoom()
    const answer = await http.post('/audience/import').field('_csrf', token).field('pasted', ' ').expect(422)
    expect(answer.text).toContain('Choose a file, or paste some lines.')
  })

  it('from another site is not even stored', async () => {
    const { upload, waiting } = await aRoom()
    await upload('email\nada@x.example\n', { token: 'forged' }).expect(403)
    expect(waiting()).toEqual([])
  })

  it('from a stranger is not even read', async () => {
    const { app, dataDir } = await testApp()
    const { default: supertest } = await import('supertest')
    await supertest(app).post('/audience/import').attach('file', Buffer.from('a'), 'a.csv').expect(303)
    expect(readdirSync(dataDir)).not.toContain('imports')
  })

  it('waits for an hour, readable by nobody else', async () => {
    const room = await aRoom()
    const { address } = await room.preview('email\nada@x.example\n')
    const [file] = room.waiting()
    expect(statSync(join(room.dataDir, 'imports')).mode & 0o077).toBe(0)
    expect(file).not.toContain('ada')
    for (let passed = 0; passed < 60; passed += 20) {
      await room.http.get(address).expect(200)
      room.clock.pass(20 * 60_000 + 1)
    }
    await room.http.get(address).expect(404)
    await room.jobs.perform('remove-old-imports')
    expect(room.waiting()).toEqual([])
  })

  it('is seen by nobody but who sent it', async () => {
    const room = await aRoom()
    const { address } = await room.preview('email\nada@x.example\n')
    const account = { username: 'noor', full_name: '', email: '', password: 'another quiet harbour' }
    await createAccount(room.db, account, { by: null, at: room.clock.now() })
    const { default: supertest } = await import('supertest')
    const other = supertest.agent(room.app)
    const login = await other.get('/login').expect(200)
    const token = /name="_csrf" value="([^"]*)"/.exec(login.text)![1]
    await other
      .post('/login')
      .type('form')
      .send({ username: 'noor', password: account.password, _csrf: token })
      .expect(303)
    await other.get(address).expect(404)
    await room.http.get('/audience/import/..%2F..%2Fthroughline.db').expect(404)
  })

  it('is removed when somebody thinks better of it', async () => {
    const room = await aRoom()
    const { address } = await room.preview('email\nada@x.example\n')
    await room.send(`${address}/cancel`, {}).expect(303)
    expect(room.waiting()).toEqual([])
  })
})
