import fc from 'fast-check'
import { expect, it } from 'vitest'
import { testStart } from '../../support/app.js'
import { aCampaign, anEvent } from '../../support/builders.js'
import { startButtondown } from '../../support/buttondown.js'
import type { StoredType } from '../../support/buttondown-world.js'
import { aConnectedApp, type ConnectedApp } from './connected.js'

const second = 1_000
const people = ['ada@fernmail.example', 'ben@posteo.example', 'cy@lente.example']

type Deed =
  | { do: StoredType; who: number; issue: number; at: number; link: number; os: boolean }
  | { do: 'tags'; who: number; tags: string[]; at: number }
  | { do: 'leave'; who: number; at: number }
  | { do: 'move'; who: number; elsewhere: boolean; at: number }

const at = fc.integer({ min: 0, max: 40 }).map((step) => testStart - 3_600_000 + step * 3 * second)
const who = fc.integer({ min: 0, max: 2 })
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom<StoredType[]>(
        'delivered',
        'opened',
        'clicked',
        'clicked',
        'replied',
        'bounced',
        'complained',
      ),
      who,
      issue: fc.integer({ min: 0, max: 1 }),
      at,
      link: fc.integer({ min: 0, max: 4 }),
      os: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('tags' as const), who, tags: fc.subarray(['beta', 'press']), at }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), who, at }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      who,
      elsewhere: fc.boolean(),
      at,
    }),
  },
)

/** Everything that pages could tell apart, without the ids that depend on what came first. */
async function stateOf({ db }: ConnectedApp) {
  const engagements = await db
    .selectFrom('engagements')
    .innerJoin('contacts', 'contacts.id', 'contact_id')
    .leftJoin('mailings', 'mailings.id', 'mailing_id')
    .leftJoin('links', 'links.id', 'link_id')
    .select([
      'email',
      'mailings.provider_id as mailing',
      'kind',
      'happened_at',
      'exact',
      'engagements.provider_id',
      'links.url',
      'verdict',
      'reasons',
      'os',
    ])
    .orderBy('engagements.provider_id')
    .execute()
  const contacts = await db
    .selectFrom('contacts')
    .select([
      'email',
      'name',
      'status',
      'subscribed_at',
      'mailings',
      'opens',
      'clicks',
      'machine_clicks',
      'proxy_opens',
      'unjudged_opens',
      'replies',
      'last_active_at',
      'machine_last_active_at',
    ])
    .orderBy('email')
    .execute()
  const tags = await db
    .selectFrom('contact_tags')
    .innerJoin('contacts', 'contacts.id', 'contact_id')
    .innerJoin('tags', 'tags.id', 'tag_id')
    .select(['email', 'tags.name', 'origin'])
    .orderBy('email')
    .orderBy('tags.name')
    .execute()
  const mailings = await db
    .selectFrom('mailing_counts')
    .innerJoin('mailings', 'mailings.id', 'mailing_id')
    .selectAll('mailing_counts')
    .select(['mailings.name', 'mailings.provider_id', 'mailings.status'])
    .orderBy('mailings.provider_id')
    .execute()
  const changes = await db
    .selectFrom('subscription_changes')
    .innerJoin('contacts', 'contacts.id', 'contact_id')
    .select(['email', 'changed_at', 'subscription_changes.status', 'exact'])
    .orderBy('email')
    .orderBy('changed_at')
    .orderBy('subscription_changes.status')
    .execute()
  return {
    engagements,
    contacts,
    tags,
    mailings: mailings.map(({ mailing_id: _, ...row }) => row),
    changes,
    events: (
      await db
        .selectFrom('events')
        .innerJoin('contacts', 'contacts.id', 'contact_id')
        .select('email')
        .orderBy('email')
        .execute()
    ).map(({ email }) => email),
    days: await db
      .selectFrom('active_days')
      .selectAll()
      .where('all_people', '>', 0)
      .orderBy('day_on')
      .execute(),
    // Rows that have gone back to nothing say nothing.
    quarters: (
      await db
        .selectFrom('engagement_quarters')
        .selectAll()
        .orderBy('quarter_at')
        .orderBy('list_id')
        .execute()
    ).filter(({ list_id: _, quarter_at: __, ...counts }) =>
      Object.values(counts).some((count) => count !== 0),
    ),
    waiting: await db
      .selectFrom('inbox')
      .select(['event_type', 'reason'])
      .where('state', 'not in', ['done', 'kept'])
      .execute(),
  }
}

async function aWorld(deeds: Deed[]) {
  const standIn = await startButtondown({ now: () => testStart })
  const { world } = standIn
  const subscribers = people.map((email, index) =>
    world.addSubscriber({
      email,
      at: testStart - 86_400_000 + index,
      metadata: { first_name: email.slice(0, 2) },
    }),
  )
  const emails = ['Issue 1', 'Issue 2'].map((subject, index) =>
    world.addEmail({ subject, at: testStart - 7_200_000 + index }),
  )
  for (const now of deeds) {
    const subscriber = subscribers[now.who]!
    if (now.do === 'tags') world.setTags(subscriber, now.tags, { at: now.at })
    else if (now.do === 'leave') world.unsubscribe(subscriber, { at: now.at, email: emails[0]! })
    else if (now.do === 'move')
      world.changeEmail(subscriber, now.elsewhere ? `${now.who}@new.example` : `${now.who}@known.example`, {
        at: now.at,
      })
    else {
      const metadata: Record<string, string> = {}
      if (now.do === 'clicked') metadata.url = `https://bindery.example/${now.link}`
      if (now.os) Object.assign(metadata, { os: 'iOS', browser: 'Safari' })
      world.addEvent({ type: now.do, subscriber, email: emails[now.issue]!, at: now.at, metadata })
    }
  }
  return standIn
}

it('comes to the same state in whatever order, and however often, deliveries arrive', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(deed, { minLength: 1, maxLength: 25 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      async (deeds, dice) => {
        const standIn = await aWorld(deeds)
        const die = () => dice.next().value as number
        const plain = await aConnectedApp({ standIn })
        await knowByTheirClicks(plain)
        for (const happening of standIn.world.happenings) await plain.deliver(happening).expect(200)
        await plain.read()

        const mixed = await aConnectedApp({ standIn })
        await knowByTheirClicks(mixed)
        const order = [...standIn.world.happenings, ...standIn.world.happenings.filter(() => die() < 0.3)]
          .map((happening) => [die(), happening] as const)
          .sort(([one], [other]) => one - other)
          .map(([, happening]) => happening)
        for (const happening of order) {
          await mixed.deliver(happening, shapes[Math.floor(die() * shapes.length)]!).expect(200)
          if (die() < 0.3) await mixed.read()
        }
        await mixed.read()
        if (die() < 0.5) await mixed.sync()

        const [one, other] = [await stateOf(plain), await stateOf(mixed)]
        expect(other).toEqual(one)
        await Promise.all([plain.stop(), mixed.stop()])
        await standIn.close()
      },
    ),
    { numRuns: 25 },
  )
}, 400_000)

const shapes = [
  { email: true, metadata: 'nested' },
  { email: false, metadata: 'none' },
  { email: true, metadata: 'flat', ids: 'typeid' },
  { id: 'uuid', ids: 'uuid' },
] as const

/** The click tracker knows an address that a subscriber may move to: then two contacts turn out to be one. */
async function knowByTheirClicks(app: ConnectedApp) {
  const { id } = await aCampaign(app)
  for (const index of people.keys()) await anEvent(app, { cid: id, email: `${index}@known.example` })
}
