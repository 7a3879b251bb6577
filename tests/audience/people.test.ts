import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { canarySetting } from '../../src/audience/audience.js'
import type { SubscriberFact, SubscriptionFact } from '../../src/audience/people.js'
import { writeSetting } from '../../src/database/settings.js'
import { type TestApp, testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { expectCountsToHold } from '../support/recount.js'

const minute = 60_000

/** A newsletter's list, and its subscriber Ada. */
async function aReader() {
  const app = await testApp()
  const list = await aList(app)
  const subscribe = (given: Partial<SubscriberFact> = {}) =>
    app.audience.write({
      do: 'subscriber',
      subscriber: {
        provider: 'buttondown',
        providerId: 'ada',
        listId: list.id,
        email: 'ada@fernmail.example',
        name: 'Ada',
        status: 'subscribed',
        providerStatus: 'regular',
        source: 'form',
        subscribedAt: testStart - minute,
        unsubscribedAt: null,
        changes: [{ at: testStart - minute, status: 'subscribed' }],
        tags: ['beta'],
        seenAt: testStart,
        ...given,
      },
    })
  const tell = (change: Partial<SubscriptionFact>) =>
    app.audience.write({
      do: 'subscription',
      change: {
        provider: 'buttondown',
        providerId: 'ada',
        listId: list.id,
        status: 'unsubscribed',
        at: testStart + minute,
        exact: true,
        ...change,
      },
    })
  const { contact } = await subscribe()
  return { ...app, list, id: contact!, subscribe, tell }
}

const contactOf = ({ db }: Pick<TestApp, 'db'>, id: number) =>
  db.selectFrom('contacts').selectAll().where('id', '=', id).executeTakeFirst()
const changesOf = ({ db }: Pick<TestApp, 'db'>) =>
  db
    .selectFrom('subscription_changes')
    .select(['status', 'changed_at', 'exact'])
    .orderBy('changed_at')
    .execute()

describe('a change of a subscription', () => {
  it('is told by itself, of whoever is known', async () => {
    const reader = await aReader()
    expect((await reader.tell({})).contact).toBe(reader.id)
    expect(await contactOf(reader, reader.id)).toMatchObject({ status: 'unsubscribed' })
    await expect(reader.tell({ providerId: 'ben' })).rejects.toThrow(
      'Nobody knows whose subscription this is.',
    )
    // Who never had any on this list begins with it.
    const other = await aList(reader, { name: 'Other' })
    await reader.tell({ listId: other.id, status: 'paused', at: testStart })
    const rows = await reader.db
      .selectFrom('subscriptions')
      .select(['status', 'subscribed_at', 'unsubscribed_at', 'source'])
      .orderBy('id')
      .execute()
    expect(rows).toEqual([
      {
        status: 'unsubscribed',
        subscribed_at: testStart - minute,
        unsubscribed_at: testStart + minute,
        source: 'form',
      },
      { status: 'paused', subscribed_at: testStart, unsubscribed_at: null, source: 'buttondown' },
    ])
    expect(await contactOf(reader, reader.id)).toMatchObject({ status: 'paused' })
  })

  it('stands once when it is told by a delivery and then exactly, or the other way round', async () => {
    const reader = await aReader()
    await reader.tell({ at: testStart + 10 * minute, exact: false })
    await reader.tell({ at: testStart + 11 * minute, exact: false })
    await reader.subscribe({
      status: 'unsubscribed',
      changes: [{ at: testStart + 9 * minute, status: 'unsubscribed' }],
      seenAt: testStart + 12 * minute,
    })
    await reader.tell({ at: testStart + 12 * minute, exact: false })
    expect(await changesOf(reader)).toEqual([
      { status: 'subscribed', changed_at: testStart - minute, exact: 1 },
      { status: 'unsubscribed', changed_at: testStart + 9 * minute, exact: 1 },
    ])
  })

  it('leaves what is known to be newer, and adds to the history', async () => {
    const reader = await aReader()
    await reader.tell({ at: testStart - 2 * minute, status: 'paused' })
    expect(await contactOf(reader, reader.id)).toMatchObject({ status: 'subscribed' })
    expect((await changesOf(reader)).map(({ status }) => status)).toEqual(['paused', 'subscribed'])
    await reader.subscribe({ seenAt: testStart - 1, name: 'Older', status: 'paused' })
    expect(await contactOf(reader, reader.id)).toMatchObject({ status: 'subscribed', name: 'Ada' })
  })

  it('changes nothing of whoever was erased', async () => {
    const reader = await aReader()
    await reader.audience.erase(reader.id)
    const before = await changesOf(reader)
    expect(before.map(({ status }) => status)).toEqual(['subscribed', 'removed'])
    expect((await reader.tell({})).contact).toBe(reader.id)
    expect(await contactOf(reader, reader.id)).toMatchObject({ status: null })
    expect(await changesOf(reader)).toEqual(before)
    await reader.audience.retag({ contacts: [reader.id], add: ['buyer'], remove: [] })
    expect(await reader.db.selectFrom('contact_tags').selectAll().execute()).toEqual([])
  })
})

it('who goes by another id at the provider stays when one is gone there', async () => {
  const reader = await aReader()
  await reader.subscribe({ providerId: 'ada again' })
  await reader.tell({ gone: true, status: 'removed' })
  expect(await contactOf(reader, reader.id)).toMatchObject({ status: 'subscribed' })
  await reader.tell({ gone: true, status: 'removed', providerId: 'ada again' })
  expect(await contactOf(reader, reader.id)).toMatchObject({ status: 'removed' })
})

it('a contact is subscribed since the first of the days that are known', async () => {
  const reader = await aReader()
  const other = await aList(reader, { name: 'Other' })
  await reader.tell({ listId: other.id, status: 'paused', at: testStart })
  await reader.db
    .updateTable('subscriptions')
    .set({ subscribed_at: null })
    .where('list_id', '=', reader.list.id)
    .execute()
  await reader.tell({ listId: other.id, status: 'subscribed', at: testStart + 1 })
  expect(await contactOf(reader, reader.id)).toMatchObject({ subscribed_at: testStart })
})

describe('two contacts that turn out to be one', () => {
  it('may both have no subscription', async () => {
    const app = await testApp()
    const one = await aContact(app, { email: 'ada@a.example', name: '' })
    const other = await aContact(app, { email: 'ada@b.example', name: 'Ada', notes: 'Reads.' })
    await app.audience.mergeContacts({ from: other.id, into: one.id })
    expect(await contactOf(app, other.id)).toBeUndefined()
    expect(await contactOf(app, one.id)).toMatchObject({
      email: 'ada@a.example',
      name: 'Ada',
      notes: 'Reads.',
      status: null,
      subscribed_at: null,
    })
    expect(await app.audience.contacts.find(app.db, 'ada@b.example')).toBe(one.id)
  })

  it('keep the newer of two subscriptions to the same list', async () => {
    const reader = await aReader()
    const { contact } = await reader.subscribe({
      providerId: 'ada 2',
      email: 'ada@b.example',
      status: 'paused',
      seenAt: testStart + minute,
      changes: [{ at: testStart, status: 'paused' }],
    })
    const older = await reader.subscribe({
      providerId: 'ada 3',
      email: 'ada@c.example',
      status: 'complained',
      seenAt: testStart - minute,
      changes: [],
    })
    await reader.audience.mergeContacts({ from: contact!, into: reader.id })
    await reader.audience.mergeContacts({ from: older.contact!, into: reader.id })
    expect(await reader.db.selectFrom('subscriptions').select('status').execute()).toEqual([
      { status: 'paused' },
    ])
    expect(await changesOf(reader)).toMatchObject([{ status: 'subscribed' }, { status: 'paused' }])
    await expectCountsToHold(reader.db)
  })
})

describe('tags', () => {
  it('of more contacts than one transaction takes are merged and deleted to the last', async () => {
    const app = await testApp()
    const ids: number[] = []
    for (let index = 0; index < 230; index++)
      ids.push((await aContact(app, { email: `${index}@fernmail.example` })).id)
    await app.audience.retag({ contacts: ids, add: ['reader'], remove: [] })
    await app.audience.retag({ contacts: ids.slice(0, 10), add: ['buyer'], remove: ['no such tag'] })
    const tags = await app.db.selectFrom('tags').select(['id', 'name']).execute()
    const [reader, buyer] = ['reader', 'buyer'].map((name) => tags.find((tag) => tag.name === name)!.id)
    await app.audience.mergeTags({ from: reader!, into: buyer! })
    expect(await app.db.selectFrom('tag_counts').select(['tag_id', 'contacts']).execute()).toEqual([
      { tag_id: buyer, contacts: 230 },
    ])
    await expectCountsToHold(app.db)
    await app.audience.deleteTag(buyer!)
    for (const table of ['tags', 'tag_counts', 'contact_tags'] as const)
      expect(await app.db.selectFrom(table).selectAll().execute()).toEqual([])
  })

  it('follow whoever keeps them, and keep their own name and description', async () => {
    const reader = await aReader()
    const follow = (name: string, providerId: string, description = '') =>
      reader.db.transaction().execute((tx) =>
        reader.audience.people.tags.followProvider(tx, {
          provider: 'buttondown',
          providerId,
          name,
          description,
          at: testStart,
        }),
      )
    await follow('beta', '1')
    await follow('beta', '1', 'Reads drafts')
    await follow('  ', '2')
    await follow('press', '3')
    await follow('press', '1') // the name moves to the tag that was called beta
    const tags = await reader.db
      .selectFrom('tags')
      .select(['name', 'description', 'provider_id'])
      .orderBy('id')
      .execute()
    expect(tags).toEqual([
      { name: 'beta', description: 'Reads drafts', provider_id: null },
      { name: 'press', description: '', provider_id: '1' },
    ])
    await reader.subscribe({ tags: ['press', ' ', 'press'], seenAt: testStart + 1 })
    await reader.subscribe({ tags: null, seenAt: testStart + 2 })
    await reader.audience.retag({ contacts: [reader.id], add: ['press', 'press'], remove: ['nothing'] })
    const own = await reader.db.selectFrom('contact_tags').select('origin').orderBy('origin').execute()
    expect(own).toEqual([{ origin: 'buttondown' }, { origin: 'ours' }])
    await reader.audience.retag({ contacts: [reader.id], add: [], remove: ['press', 'beta'] })
    await expectCountsToHold(reader.db)
  })
})

it('a link that names somebody stays where somebody else has followed it too', async () => {
  const reader = await aReader()
  const ben = await aContact(reader, { email: 'ben@posteo.example' })
  const mailing = await aMailing(reader)
  const url = 'https://bindery.example/?e=ada%40fernmail.example'
  for (const contactId of [reader.id, ben.id])
    await anEngagement(reader, { contactId, kind: 'clicked', mailingId: mailing.id, url })
  await reader.audience.erase(reader.id)
  const rows = await reader.db.selectFrom('engagements').select(['contact_id', 'link_id']).execute()
  expect(rows).toEqual([
    { contact_id: reader.id, link_id: null },
    { contact_id: ben.id, link_id: 1 },
  ])
  await expectCountsToHold(reader.db)
})

it('a fact that the database refuses leaves everything as it was', async () => {
  const reader = await aReader()
  const file = new Sqlite(reader.path)
  file.exec(`create trigger broken before insert on subscription_changes when new.status = 'complained'
    begin select raise(abort, 'cannot be written'); end`)
  file.close()
  const counts = await reader.db.selectFrom('tag_counts').selectAll().execute()
  const mailing = await aMailing(reader)
  const [refused, taken] = await Promise.allSettled([
    reader.tell({ status: 'complained' }),
    anEngagement(reader, { contactId: reader.id, kind: 'opened', mailingId: mailing.id }),
  ])
  expect(refused.status).toBe('rejected')
  expect(taken.status).toBe('fulfilled')
  expect(await contactOf(reader, reader.id)).toMatchObject({ status: 'subscribed', opens: 1 })
  expect((await reader.db.selectFrom('tag_counts').selectAll().execute())[0]).toEqual({
    ...counts[0]!,
    opens: 1,
  })
  await expectCountsToHold(reader.db)
})

it('engagements of the past are judged anew by the hidden link of today', async () => {
  const app = await testApp()
  const judge = app.ledger.register(app.audience.engagements.judgements)
  const ada = await aContact(app)
  const mailing = await aMailing(app)
  const canary = 'https://bindery.example/canary'
  const clicked = { contactId: ada.id, kind: 'clicked', url: canary } as const
  await anEngagement(app, { ...clicked, mailingId: mailing.id })
  await anEngagement(app, { ...clicked, mailingId: null, happenedAt: testStart - minute })
  expect(await contactOf(app, ada.id)).toMatchObject({ clicks: 2, machine_clicks: 0 })
  await writeSetting(app.db, canarySetting, canary)
  app.audience.engagements.forgetSettings()
  const pairs = [
    { contact_id: ada.id, mailing_id: mailing.id },
    { contact_id: ada.id, mailing_id: 0 },
    { contact_id: 999, mailing_id: mailing.id },
  ]
  await judge({ pairs })
  expect(await contactOf(app, ada.id)).toMatchObject({ clicks: 0, machine_clicks: 2 })
  // A reception of which no engagement is left goes with them.
  await app.db.deleteFrom('engagements').where('mailing_id', 'is', null).execute()
  await judge({ pairs })
  expect(await app.db.selectFrom('receptions').select(['mailing_id', 'machine_clicks']).execute()).toEqual([
    { mailing_id: mailing.id, machine_clicks: 1 },
  ])
})

describe('two who turn out to be one', () => {
  const addresses = { one: 'one@known.example', other: 'other@known.example' }

  async function two(names: { one: string; other: string }) {
    const app = await aReader()
    const importOne = (email: string, name: string) =>
      app.audience.importContacts([{ email, name, tags: [], subscribedAt: null, list: '' }])
    await importOne(addresses.one, names.one)
    await importOne(addresses.other, names.other)
    const id = async (email: string) =>
      (await app.db.selectFrom('contacts').select('id').where('email', '=', email).executeTakeFirstOrThrow())
        .id
    return { ...app, into: await id(addresses.one), from: await id(addresses.other) }
  }

  it.each([
    ['Own Name', '', 'Own Name', 1],
    ['', 'Own Name', 'Own Name', 1],
    ['', '', '', 0],
  ])('keep the name that was given here: %o and %o', async (one, other, name, name_is_ours) => {
    const app = await two({ one, other })
    await app.audience.mergeContacts({ from: app.from, into: app.into })
    expect(await contactOf(app, app.into)).toMatchObject({ name, name_is_ours })
  })

  it('prefer a name of ours to a provider’s', async () => {
    const app = await two({ one: 'Own Name', other: '' })
    await app.audience.mergeContacts({ from: app.into, into: app.id })
    expect(await contactOf(app, app.id)).toMatchObject({ name: 'Own Name', name_is_ours: 1 })
    await app.subscribe({ name: 'Theirs', seenAt: testStart + minute })
    expect(await contactOf(app, app.id)).toMatchObject({ name: 'Own Name' })
  })

  it('keep the words that were had with either', async () => {
    const app = await two({ one: '', other: '' })
    const word = { contact_id: app.from, reason: 'replied', done_at: testStart, done_by: null }
    await app.db.insertInto('contact_words').values(word).execute()
    await app.audience.mergeContacts({ from: app.from, into: app.into })
    expect(await app.db.selectFrom('contact_words').select(['contact_id', 'reason']).execute()).toEqual([
      { contact_id: app.into, reason: 'replied' },
    ])
  })
})

it('gives an address that somebody left to whoever has it now', async () => {
  const app = await aReader()
  await app.subscribe({ email: 'new@fernmail.example', seenAt: testStart + minute })
  const { contact } = await app.subscribe({ providerId: 'ben', name: 'Ben', seenAt: testStart + 2 * minute })
  expect(contact).not.toBe(app.id)
  expect((await contactOf(app, contact!))!.email).toBe('ada@fernmail.example')
  expect((await contactOf(app, app.id))!.email).toBe('new@fernmail.example')
})

it('makes one of a subscriber and of whom a click tracker knows by the address that they move to', async () => {
  const app = await aReader()
  const { id: cid } = await aCampaign(app)
  const email = 'ada@work.example'
  await anEvent(app, { cid, email })
  const { id: mailingId } = await aMailing(app)
  const clicker = await app.db
    .selectFrom('contacts')
    .select('id')
    .where('email', '=', email)
    .executeTakeFirstOrThrow()
  for (const contactId of [clicker.id, app.id])
    await anEngagement(app, { contactId, mailingId, kind: 'opened', providerId: `by ${contactId}` })
  const { contact } = await app.subscribe({ email, seenAt: testStart + minute })
  expect(contact).toBe(Math.min(clicker.id, app.id))
  expect(await contactOf(app, contact!)).toMatchObject({ email, name: 'Ada', opens: 2, mailings: 1 })
  expect(await app.db.selectFrom('events').select('contact_id').execute()).toEqual([{ contact_id: contact }])
  expect(await app.db.selectFrom('contacts').select('id').execute()).toHaveLength(1)
  await expectCountsToHold(app.db)
})

it('takes an erased address out of the segments that look for it', async () => {
  const app = await aReader()
  for (const [name, query] of [
    ['Her', 'q=ada%40fernmail.example&band=active'],
    ['Others', 'q=ben&band=active'],
    ['Nobody', 'band=active'],
  ] as const)
    await app.db.insertInto('segments').values({ name, query, created_at: testStart }).execute()
  await app.audience.erase(app.id)
  expect(
    (await app.db.selectFrom('segments').select('query').orderBy('id').execute()).map(({ query }) => query),
  ).toEqual(['band=active', 'q=ben&band=active', 'band=active'])
})

describe('somebody who is named without being described', () => {
  const named = { provider: 'emailoctopus', providerId: 'ada there', listId: null, at: testStart }
  const identitiesOf = ({ db }: Pick<TestApp, 'db'>) =>
    db
      .selectFrom('contact_identities')
      .select(['provider_id', 'contact_id', 'email'])
      .where('provider', '=', 'emailoctopus')
      .execute()

  it('is the contact of that address, and is known by the identity from then on', async () => {
    const reader = await aReader()
    const acquaint = reader.ledger.register({
      record: (tx, email: string) => reader.audience.people.acquaint(tx, { ...named, email }),
    })
    expect(await acquaint('ada@fernmail.example')).toBe(reader.id)
    expect(await identitiesOf(reader)).toEqual([
      { provider_id: 'ada there', contact_id: reader.id, email: 'ada@fernmail.example' },
    ])
  })

  it('stays unknown who was erased', async () => {
    const reader = await aReader()
    await reader.audience.erase(reader.id)
    const acquaint = reader.ledger.register({
      record: (tx, email: string) => reader.audience.people.acquaint(tx, { ...named, email }),
    })
    expect(await acquaint('ada@fernmail.example')).toBe(reader.id)
    expect(await identitiesOf(reader)).toEqual([])
    const known = reader.ledger.register({
      record: (tx) => reader.audience.people.byIdentity(tx, named.provider, named.providerId),
    })
    expect(await known({})).toMatchObject({ contact_id: reader.id })
  })
})

it('an address that somebody had before is theirs still where the provider knows them no more', async () => {
  const reader = await aReader()
  await reader.subscribe({ email: 'ada@quill.example', seenAt: testStart + 1 })
  await reader.tell({ gone: true, status: 'removed', at: testStart + minute })
  const { contact } = await reader.subscribe({
    providerId: 'ada again',
    email: 'ada@fernmail.example',
    seenAt: testStart + 2 * minute,
  })
  expect(contact).toBe(reader.id)
})

it('an identity of which no address was kept yet takes the one that is told', async () => {
  const reader = await aReader()
  await reader.db.updateTable('contact_identities').set({ email: null }).execute()
  await reader.subscribe({ seenAt: testStart + 1 })
  const identity = await reader.db.selectFrom('contact_identities').select('email').executeTakeFirst()
  expect(identity).toEqual({ email: 'ada@fernmail.example' })
})
