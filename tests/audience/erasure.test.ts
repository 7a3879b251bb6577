import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { tryAgainAfter } from '../../src/esp/inbox.js'
import { aConnectedApp, type ConnectedApp, signingKey } from '../esp/buttondown/connected.js'
import { aFolder, testStart } from '../support/app.js'
import { aCampaign, anEvent, firefox } from '../support/builders.js'
import { typeId } from '../support/buttondown.js'
import type { WorldSubscriber } from '../support/buttondown-world.js'
import { aPerson } from '../support/person.js'
import { expectCountsToHold } from '../support/recount.js'

const minute = 60_000
const day = 86_400_000
const before = testStart - 10 * day

/** Every text and every blob of every table of a database file, search index included. */
function textsIn(path: string) {
  const file = new Sqlite(path, { readonly: true })
  const texts: { where: string; text: string }[] = []
  const tables = file
    .prepare("select name from sqlite_schema where type = 'table' and name <> 'contact_search'")
    .all() as { name: string }[]
  for (const { name } of tables)
    for (const row of file.prepare(`select * from "${name}"`).iterate() as Iterable<Record<string, unknown>>)
      for (const [column, value] of Object.entries(row))
        if (typeof value === 'string' || Buffer.isBuffer(value))
          texts.push({ where: `${name}.${column}`, text: value.toString('utf8').toLowerCase() })
  file.close()
  return texts
}

/** Where in the database any of these words stands. */
const tracesOf = (path: string, words: string[]) =>
  words.flatMap((word) =>
    textsIn(path)
      .filter(({ text }) => text.includes(word.toLowerCase()))
      .map(({ where }) => `${word} in ${where}`),
  )

/** Ada, of whom everything is known that can be, beside Ben. */
async function aStory(dataDir = aFolder()) {
  const app = await aConnectedApp({ now: () => testStart, dataDir })
  const { world, db, audience } = app
  const person = await aPerson(app)
  const ada = world.addSubscriber({
    email: 'ada.old@fernmail.example',
    at: before,
    tags: ['beta'],
    metadata: { first_name: 'Ada', last_name: 'Quillfeather' },
  })
  const ben = world.addSubscriber({ email: 'ben@posteo.example', at: before, tags: ['beta'] })
  const email = world.addEmail({ subject: 'Issue 1', at: before })
  const links = [
    'https://bindery.example/read',
    'https://bindery.example/leave?who=ada.quill%40fernmail.example',
    `https://bindery.example/prefs?s=${ada.id}`,
  ]
  for (const subscriber of [ada, ben]) {
    world.addEvent({ type: 'delivered', subscriber, email, at: before })
    world.addEvent({
      type: 'opened',
      subscriber,
      email,
      at: before + minute,
      metadata: { ip_address: '203.0.113.9', os: 'iOS', browser: 'Safari' },
    })
  }
  world.addEvent({ type: 'clicked', subscriber: ben, email, at: before, metadata: { url: links[0]! } })
  for (const [index, url] of links.entries())
    world.addEvent({ type: 'clicked', subscriber: ada, email, at: before + index * day, metadata: { url } })
  world.addEvent({
    type: 'replied',
    subscriber: ada,
    email,
    at: before + day,
    metadata: { from: 'ada.quill@fernmail.example', subject: 'Re: Issue 1', text: 'Yours, Quillfeather' },
  })
  await app.sync()
  app.clock.pass(minute)
  await app.deliver(world.changeEmail(ada, 'ada.quill@fernmail.example', { at: before + day })).expect(200)
  for (const happening of world.happenings) await app.deliver(happening).expect(200)
  await app.deliver(world.happen('subscriber.activation_opened', { subscriber: ada })).expect(200)
  await app.deliver(world.happen('subscriber.activation_clicked', { subscriber: ada }), { ids: 'typeid' })
  await app.deliver(world.happen('subscriber.activation_opened', { subscriber: ben })).expect(200)
  await app.deliver(world.happen('subscriber.opened', { subscriber: ada })).expect(200) // waits for its details
  await app.read()
  const { id } = await db
    .selectFrom('contacts')
    .select('id')
    .where('email', '=', 'ada.quill@fernmail.example')
    .executeTakeFirstOrThrow()

  const campaign = await aCampaign(app)
  const told = { cid: campaign.id, email: 'ada.quill@fernmail.example' }
  await anEvent(app, { ...told, eid: 'order-7-ada.quill@fernmail.example', ip: '203.0.113.9' })
  await anEvent(app, {
    ...told,
    link: 'https://a.example/?e=ada.quill@fernmail.example',
    event: 'landing_click',
  })
  await anEvent(app, { ...told, event: 'conversion', buyer: 'Ada Quillfeather' })
  await anEvent(app, { cid: campaign.id, email: 'ben@posteo.example', link: 'https://a.example/ben' })
  await person.send(`/audience/${id}/tags`, { tag: 'buyer' }).expect(303)
  await db
    .updateTable('contacts')
    .set({ notes: 'Quillfeather writes by hand.' })
    .where('id', '=', id)
    .execute()
  await audience.importContacts([
    { email: 'ada.quill@fernmail.example', name: '', tags: [], subscribedAt: null, list: 'Friends' },
  ])
  await db
    .insertInto('contact_words')
    .values({ contact_id: id, reason: 'rose', done_at: testStart })
    .execute()
  // What failed before anybody knew whom it was about.
  await db
    .insertInto('inbox')
    .values({
      provider: 'buttondown',
      key: 'failed',
      event_type: 'subscriber.opened',
      received_at: testStart,
      body: Buffer.from(JSON.stringify({ event_type: 'x', data: { subscriber: ada.id.toUpperCase() } })),
      state: 'failed',
      tries: 6,
      try_at: null,
      contact_id: null,
      reason: 'x',
      settled_at: testStart,
    })
    .execute()
  await app.jobs.perform('index-contacts')
  const traces = [
    'ada.quill',
    'ada.old',
    'quillfeather',
    ada.id,
    typeId('', ada.id).slice(1),
    'writes by hand',
  ]
  return {
    ...app,
    person,
    ada,
    ben,
    id,
    campaign,
    traces: () => tracesOf(app.path, traces),
    erase: () => person.send(`/audience/${id}/erase`, { sure: '1' }).expect(303),
  }
}

const numbersOf = async ({ db }: Pick<ConnectedApp, 'db'>) => ({
  mailings: await db.selectFrom('mailing_counts').selectAll().execute(),
  days: await db.selectFrom('active_days').selectAll().execute(),
  quarters: await db.selectFrom('engagement_quarters').selectAll().execute(),
  campaigns: await db.selectFrom('campaign_counts').selectAll().execute(),
  events: (await db.selectFrom('events').select('id').execute()).length,
  engagements: (await db.selectFrom('engagements').select('id').execute()).length,
  contacts: (await db.selectFrom('contacts').select('id').execute()).length,
})
const rowOf = ({ db }: Pick<ConnectedApp, 'db'>, id: number) =>
  db.selectFrom('contacts').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

it('the export holds everything that is known', async () => {
  const story = await aStory()
  const { body } = await story.person.http.get(`/audience/${story.id}/export.json`).expect(200)
  const text = JSON.stringify(body)
  for (const told of [
    'ada.quill@fernmail.example',
    'ada.old@fernmail.example',
    'Ada Quillfeather',
    'Quillfeather writes by hand.',
    'Yours, Quillfeather',
    'https://bindery.example/leave?who=ada.quill%40fernmail.example',
    'https://a.example/?e=ada.quill@fernmail.example',
    'order-7-ada.quill@fernmail.example',
    'Autumn Reading List',
    'Issue 1',
    'The Long Line',
    'Friends',
    'beta',
    'buyer',
    'rose',
    firefox,
  ])
    expect(text).toContain(told)
  expect(body.audience.identities).toEqual([{ provider: 'buttondown', provider_id: story.ada.id }])
  expect(body.audience.engagements.length).toBe(7)
  expect(body.campaigns.events.length).toBe(3)
  expect(body.deliveries.map((row: { event_type: string }) => row.event_type)).toContain('subscriber.clicked')
  expect(text).not.toContain('ben@posteo.example')
})

describe('erasing a person', () => {
  it('takes away all that tells who it was, and keeps the counts', async () => {
    const story = await aStory()
    const found = new Set(story.traces().map((trace) => trace.replace(/^.* in /, '')))
    // The search works: it is all over the place.
    for (const place of [
      'contacts.email',
      'contacts.name',
      'contacts.notes',
      'contact_aliases.email',
      'contact_identities.provider_id',
      'engagements.metadata',
      'links.url',
      'events.link',
      'events.caller_id',
      'events.extra',
      'inbox.body',
    ])
      expect(found).toContain(place)
    const numbers = await numbersOf(story)
    const { opens, clicks, replies, mailings } = await rowOf(story, story.id)
    await story.person.send(`/audience/${story.id}/erase`, {}).expect(422)
    expect(await numbersOf(story)).toEqual(numbers)

    await story.erase()
    expect(story.traces()).toEqual([])
    expect(await numbersOf(story)).toEqual(numbers)
    expect(await rowOf(story, story.id)).toMatchObject({
      email: `erased:${story.id}`,
      name: '',
      name_folded: '',
      notes: '',
      status: null,
      score: null,
      band: null,
      opens,
      clicks,
      replies,
      mailings,
      erased_at: story.clock.now(),
    })
    await expectCountsToHold(story.db, { score: () => story.scoring.run() })
    for (const path of ['', '/erase', '/export.json'])
      await story.person.http.get(`/audience/${story.id}${path}`).expect(410)
    await story.person.send(`/audience/${story.id}/erase`, { sure: '1' }).expect(410)
    await story.person.send('/audience/999/erase', { sure: '1' }).expect(404)
    await expect(story.audience.erase(999)).rejects.toThrow('No contact 999.')
    await story.audience.erase(story.id) // once more changes nothing
    const list = await story.person.http.get('/audience').query({ q: 'quill' }).expect(200)
    expect(list.text).not.toContain(`href="/audience/${story.id}"`)
    // Ben is as he was.
    expect(tracesOf(story.path, ['ben@posteo.example', 'https://bindery.example/read']).length).toBe(3)
    const kept = await story.db
      .selectFrom('inbox')
      .select('body')
      .where('event_type', '=', 'subscriber.activation_opened')
      .where('body', 'is not', null)
      .execute()
    expect(kept.length).toBe(1)
    const lines = readFileSync(join(story.dataDir, 'erasures'), 'utf8')
    expect(lines).toMatch(/^(\+ [\w-]{43} \d+\n){3}$/)
  })

  it('takes the address out of deliveries of which nobody can tell whom they are about, before and after', async () => {
    const story = await aStory()
    const other = { ben: 'ben@posteo.example', note: 'for “Ada”' }
    const post = async (id: string, data: Record<string, unknown>) => {
      const body = JSON.stringify({ id, event_type: 'subscriber.opened', data: { ...data, ...other } })
      const escaped = body.replaceAll('@', () => (escapes++ % 2 ? '\\u0040' : '@'))
      await story.http
        .post('/webhooks/buttondown')
        .set('Content-Type', 'application/json')
        .set(story.standIn.signature(escaped, signingKey))
        .send(escaped)
        .expect(200)
      return id
    }
    let escapes = 0
    const nameless = { email_address: 'Ada.Quill@fernmail.example', before: 'ada.old@fernmail.example' }
    const early = await post(story.world.newId(), nameless)
    const unknown = await post(story.world.newId(), { ...nameless, subscriber: story.world.newId() })
    await story.read()
    const waiting = () =>
      story.db
        .selectFrom('inbox')
        .select(['key', 'state', 'reason', 'body'])
        .where('contact_id', 'is', null)
        .where('key', 'in', [early, unknown, late])
        .orderBy('id')
        .execute()
    let late = ''
    const reason = 'It does not tell whom it is about, and Buttondown does not know this event.'
    const madeUp = 'Buttondown knows no such subscriber. Test deliveries have made-up ids.'
    expect(await waiting()).toMatchObject([
      { state: 'waiting', reason },
      { state: 'waiting', reason: madeUp },
    ])
    expect(story.traces()).toContain('ada.quill in inbox.body')

    await story.erase()
    expect(story.traces()).toEqual([])
    late = await post(story.world.newId(), nameless)
    await story.read()
    expect(story.traces()).toEqual([])
    for (const pause of tryAgainAfter) {
      story.clock.pass(pause)
      await story.read()
    }
    const failed = await waiting()
    expect(failed).toMatchObject([
      { state: 'failed', reason },
      { state: 'failed', reason: madeUp },
      { state: 'failed', reason },
    ])
    for (const { body } of failed)
      expect(JSON.parse(Buffer.from(body!).toString()).data).toMatchObject({ email_address: '', ...other })
    expect(story.traces()).toEqual([])
  })

  it('takes out of segments what tells who it was, and leaves what finds others too', async () => {
    const story = await aStory()
    const save = (q: string) =>
      story.db
        .insertInto('segments')
        .values({ name: `“${q}”`, query: new URLSearchParams({ q, score: '35' }).toString(), created_at: 0 })
        .execute()
    const telling = ['Quillfeather', 'ada quill', 'ada.quill@fernmail.example', 'ADA.O', 'qu']
    for (const q of [...telling, 'mail.example', 'example', 'e', 'nobody']) await save(q)
    await story.db
      .insertInto('segments')
      .values({ name: 'Without words', query: 'score=35', created_at: 0 })
      .execute()
    await story.erase()
    const left = await story.db.selectFrom('segments').select('query').orderBy('id').execute()
    expect(left.map(({ query }) => new URLSearchParams(query).get('q'))).toEqual([
      ...telling.map(() => null),
      null,
      'example',
      'e',
      'nobody',
      null,
    ])
    for (const { query } of left) expect(new URLSearchParams(query).get('score')).toBe('35')
  })

  it('is not undone by a sync, a delivery, an import, or an event', async () => {
    const story = await aStory()
    const { world } = story
    await story.erase()
    const numbers = await numbersOf(story)

    story.clock.pass(minute)
    await story.sync()
    await story.db.updateTable('sync_runs').set({ state: 'failed', checkpoint: '{}' }).execute()
    await story.sync() // a first one, from the beginning
    expect(story.traces()).toEqual([])
    expect(await numbersOf(story)).toEqual(numbers)

    for (const happening of world.happenings)
      for (const shape of [{}, { id: 'none', metadata: 'nested', email: true }] as const)
        await story.deliver(happening, shape).expect(200)
    await story.read()
    story.clock.pass(minute)
    await story.read()
    const kept = story.traces().filter((trace) => !trace.endsWith('inbox.body'))
    expect(kept).toEqual([])
    const bodies = await story.db
      .selectFrom('inbox')
      .select(['event_type', 'body'])
      .where('state', '<>', 'kept')
      .where('body', 'is not', null)
      .execute()
    for (const { body } of bodies) expect(Buffer.from(body!).toString()).not.toContain(story.ada.id)

    const counts = await story.audience.importContacts([
      {
        email: 'ada.quill@fernmail.example',
        name: 'Ada Quillfeather',
        tags: ['x'],
        subscribedAt: null,
        list: '',
      },
      { email: 'ada.old@fernmail.example', name: 'Ada', tags: [], subscribedAt: testStart, list: 'Friends' },
    ])
    expect(counts).toEqual({ added: 0, updated: 0, left: 2 })
    expect((await numbersOf(story)).contacts).toBe(numbers.contacts)
    await expectCountsToHold(story.db, { score: () => story.scoring.run() })
  })

  it('lets what still comes count for nobody', async () => {
    const story = await aStory()
    const { world, ada } = story
    await story.erase()
    const { clicks } = await rowOf(story, story.id)
    const [email] = world.emails.rows
    for (const [index, url] of [
      'https://bindery.example/read',
      'https://bindery.example/leave?who=ada.quill%40fernmail.example',
    ].entries())
      await story
        .deliver(
          world.addEvent({
            type: 'clicked',
            subscriber: ada,
            email: email!,
            at: testStart + index * minute,
            metadata: { url, ip_address: '203.0.113.9', os: 'iOS', browser: 'Safari' },
          }),
          { metadata: 'flat' },
        )
        .expect(200)
    await story.deliver(world.setTags(ada, ['press'])).expect(200)
    await story.deliver(world.unsubscribe(ada)).expect(200)
    await story.read()
    const told = { cid: story.campaign.id, email: 'ada.quill@fernmail.example', buyer: 'Ada Quillfeather' }
    await anEvent(story, {
      ...told,
      eid: 'ada.quill@fernmail.example-2',
      link: 'https://a.example/?e=ada.quill%40fernmail.example',
    })
    await anEvent(story, { ...told, eid: 'third', link: 'https://a.example/plain' })
    await anEvent(story, { cid: story.campaign.id, sub: 'third', event: 'conversion', ...noEmail })

    expect(story.traces()).toEqual([])
    expect((await rowOf(story, story.id)).clicks).toBe(clicks + 2)
    const engaged = await story.db
      .selectFrom('engagements')
      .leftJoin('links', 'links.id', 'link_id')
      .select(['url', 'address', 'os', 'browser', 'country', 'user_agent_id', 'metadata'])
      .where('contact_id', '=', story.id)
      .where('happened_at', '>=', testStart)
      .where('kind', '=', 7)
      .orderBy('happened_at')
      .execute()
    const nothing = {
      address: null,
      os: null,
      browser: null,
      country: null,
      user_agent_id: null,
      metadata: null,
    }
    expect(engaged).toEqual([
      { url: 'https://bindery.example/read', ...nothing },
      { url: null, ...nothing },
    ])
    const events = await story.db
      .selectFrom('events')
      .select(['link', 'caller_id', 'extra', 'address', 'country', 'user_agent_id'])
      .where('contact_id', '=', story.id)
      .orderBy('id', 'desc')
      .limit(3)
      .execute()
    const none = { extra: null, address: null, country: null, user_agent_id: null }
    expect(events).toEqual([
      { link: null, caller_id: null, ...none },
      { link: 'https://a.example/plain', caller_id: 'third', ...none },
      { link: null, caller_id: null, ...none },
    ])
    await expectCountsToHold(story.db, { score: () => story.scoring.run() })
  })

  it('is remembered under whatever else the person turns out to be called', async () => {
    const app = await aConnectedApp({ now: () => testStart })
    const { id: cid } = await aCampaign(app)
    await anEvent(app, { cid, email: 'ada@fernmail.example' })
    const { id } = await app.db.selectFrom('contacts').select('id').executeTakeFirstOrThrow()
    const ada = app.world.addSubscriber({ email: 'ada@fernmail.example', at: before })
    app.world.addEvent({ type: 'opened', subscriber: ada, at: before })
    await app.audience.erase(id)
    await app.sync()
    await app.sync()
    expect((await rowOf(app, id)).opens).toBe(1)
    app.world.changeEmail(ada, 'ada@new.example', { at: testStart - day })
    await app.sync()
    await anEvent(app, { cid, email: 'ada@new.example' })
    expect((await app.db.selectFrom('contacts').select('id').execute()).length).toBe(1)
    expect(tracesOf(app.path, ['ada@', ada.id])).toEqual([])
    await expectCountsToHold(app.db, { score: () => app.scoring.run() })
  })
})

const noEmail = { email: '', domain: '' }

describe('a database that is put back from an older copy', () => {
  /** Puts the copy where the database is, as an operator does it. */
  function putBack(copy: string, path: string) {
    for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true })
    copyFileSync(copy, path)
  }
  const copyOf = (story: Pick<ConnectedApp, 'path'>) => {
    const copy = join(aFolder(), 'copy.db')
    const file = new Sqlite(story.path)
    file.exec(`vacuum into '${copy}'`)
    file.close()
    return copy
  }

  it('is erased again at the start', async () => {
    const story = await aStory()
    const copy = copyOf(story)
    await story.erase()
    const erasedAt = story.clock.now()
    await story.stop()
    putBack(copy, story.path)
    const after = await aConnectedApp({ standIn: story.standIn, dataDir: story.dataDir })
    expect(story.traces()).not.toEqual([])
    after.clock.pass(day)
    expect(await after.audience.eraseAgain()).toBe(1)
    expect(story.traces()).toEqual([])
    expect((await rowOf(after, story.id)).erased_at).toBe(erasedAt)
    expect(await after.audience.eraseAgain()).toBe(0)
    await after.sync()
    expect(story.traces()).toEqual([])
    await expectCountsToHold(after.db, { score: () => after.scoring.run() })
  })

  it('does not meet the person anew when the copy is older than they are', async () => {
    const dataDir = aFolder()
    const early = await aConnectedApp({ dataDir })
    const copy = copyOf(early)
    await early.stop()
    const story = await aStory(dataDir)
    await story.erase()
    await story.stop()
    putBack(copy, story.path)
    const after = await aConnectedApp({ standIn: story.standIn, dataDir })
    expect(await after.audience.eraseAgain()).toBe(0)
    expect(await after.audience.eraseAgain()).toBe(0)
    const nobody = await after.db.selectFrom('contacts').selectAll().executeTakeFirstOrThrow()
    expect(nobody).toMatchObject({ email: `erased:${nobody.id}`, erased_at: story.clock.now() })
    await after.sync()
    expect(story.traces()).toEqual([])
    expect(await rowOf(after, nobody.id)).toMatchObject({ opens: 1, clicks: 3, replies: 1 })
    const rows = await after.db.selectFrom('erasures').select('contact_id').distinct().execute()
    expect(rows).toEqual([{ contact_id: nobody.id }])
    await expectCountsToHold(after.db, { score: () => after.scoring.run() })
  })

  it('tells the file of erasures what that does not know', async () => {
    const story = await aStory()
    await story.erase()
    const path = join(story.dataDir, 'erasures')
    const lines = readFileSync(path, 'utf8').trim().split('\n').sort()
    rmSync(path)
    expect(await story.audience.eraseAgain()).toBe(0)
    expect(readFileSync(path, 'utf8').trim().split('\n').sort()).toEqual(lines)
    expect(await story.audience.eraseAgain()).toBe(0)
    expect(readFileSync(path, 'utf8').trim().split('\n').length).toBe(3)
  })
})

describe('a person who subscribes again after the erasure', () => {
  const comeBack = async (
    act: (story: Awaited<ReturnType<typeof aStory>>) => WorldSubscriber,
    prepare: (subscriber: WorldSubscriber) => void = () => {},
  ) => {
    const story = await aStory()
    prepare(story.ada)
    await story.erase()
    story.clock.pass(day)
    const subscriber = act(story)
    await story.sync()
    const rows = await story.db
      .selectFrom('contacts')
      .selectAll()
      .where('email', '=', 'ada.quill@fernmail.example')
      .execute()
    return { story, subscriber, rows }
  }

  it('is a new contact when they sign up anew', async () => {
    const { story, subscriber, rows } = await comeBack(({ world, ada, clock }) => {
      world.deleteSubscriber(ada)
      return world.addSubscriber({
        email: 'ada.quill@fernmail.example',
        at: clock.now() - minute,
        metadata: { first_name: 'Ada' },
      })
    })
    expect(rows).toMatchObject([{ name: 'Ada', status: 'subscribed', opens: 0, erased_at: null }])
    expect(rows[0]!.id).not.toBe(story.id)
    story.world.addEvent({ type: 'opened', subscriber, at: story.clock.now() })
    await story.sync()
    expect((await rowOf(story, rows[0]!.id)).opens).toBe(1)
    expect((await rowOf(story, story.id)).opens).toBe(2)
    // The file knows it as well: no later start takes it for an older copy.
    expect(await story.audience.eraseAgain()).toBe(0)
    expect((await rowOf(story, rows[0]!.id)).email).toBe('ada.quill@fernmail.example')
    await expectCountsToHold(story.db, { score: () => story.scoring.run() })
  })

  it('is a new contact when they leave and come back, or confirm only then', async () => {
    const returned = await comeBack(({ ada, clock }) => {
      ada.transitions.push({ at: clock.now() - 2 * minute, type: 'unsubscribed' })
      ada.transitions.push({ at: clock.now() - minute, type: 'regular' })
      return ada
    })
    expect(returned.rows).toMatchObject([{ status: 'subscribed', clicks: 0 }])
    const confirmed = await comeBack(
      ({ world, ada, clock }) => {
        world.confirm(ada, { at: clock.now() - minute })
        return ada
      },
      (ada) => {
        ada.type = 'unactivated'
        ada.transitions = []
      },
    )
    expect(confirmed.rows).toMatchObject([{ status: 'subscribed' }])
  })

  it('stays erased when they pause, go on, leave, or their mailbox is back', async () => {
    for (const types of [
      ['paused'],
      ['paused', 'regular'],
      ['unsubscribed'],
      ['undeliverable', 'regular'],
      ['premium'],
    ]) {
      const { story, rows } = await comeBack(({ ada, clock }) => {
        for (const [index, type] of types.entries()) {
          ada.transitions.push({ at: clock.now() - minute + index, type })
          ada.type = type
        }
        return ada
      })
      expect(rows).toEqual([])
      expect(story.traces()).toEqual([])
      await story.stop()
    }
  })
})

it('there is no file of erasures before there is an erasure', async () => {
  const app = await aConnectedApp()
  expect(await app.audience.eraseAgain()).toBe(0)
  expect(existsSync(join(app.dataDir, 'erasures'))).toBe(false)
})
