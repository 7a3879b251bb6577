import fc from 'fast-check'
import { expect, it } from 'vitest'
import { normaliseEmail } from '../../src/audience/contacts.js'
import { rebuildAudienceCounts } from '../../src/audience/rebuild.js'
import type { Db } from '../../src/database/open.js'
import { countTables } from '../../src/operations/proof.js'
import { calendar } from '../../src/web/calendar.js'
import { type TestApp, testApp, testStart } from '../support/app.js'
import { aList, aMailing, anEngagement } from '../support/audience.js'
import { countsIn } from '../support/recount.js'

const wipe = async (db: Db) => {
  for (const table of [
    ...countTables,
    'engagements',
    'contact_tags',
    'tags',
    'contact_identities',
    'contact_aliases',
    'subscription_changes',
    'subscriptions',
    'erasures',
    'contacts_to_score',
    'contacts_to_index',
    'contacts',
    'mailings',
    'lists',
  ] as const)
    await db.deleteFrom(table).execute()
}

const minute = 60_000
const telling = fc.record({
  event: fc.integer({ min: 1, max: 12 }),
  named: fc.boolean(),
  exact: fc.boolean(),
  whole: fc.boolean(),
})
const step = fc.oneof(
  { weight: 20, arbitrary: fc.record({ do: fc.constant('tell' as const), telling }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('tag' as const),
      contact: fc.integer({ min: 0, max: 2 }),
      tag: fc.constantFrom('buyer', 'reader'),
      add: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('merge' as const),
      from: fc.integer({ min: 0, max: 2 }),
      into: fc.integer({ min: 0, max: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('erase' as const), contact: fc.integer({ min: 0, max: 2 }) }),
  },
)

it('counts equal the facts after any sequence of tellings, tags, merges and erasures', async () => {
  const app = await testApp({ env: { TIME_ZONE: 'Asia/Kathmandu' } })
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.array(fc.nat(5), { minLength: 12, maxLength: 12 }),
      async (steps, dice) => {
        await wipe(app.db)
        const people = await threePeople(app)
        const lists = [await aList(app), null]
        const mailings = [await aMailing(app, { list_id: lists[0]!.id }), await aMailing(app)]
        let arriving: Promise<unknown>[] = []
        for (const now of steps) {
          if (now.do === 'tell') {
            const { event, named, exact, whole } = now.telling
            const die = dice[event - 1]!
            arriving.push(
              anEngagement(app, {
                contactId: people[event % 3]!,
                mailingId: whole || event % 4 === 0 ? mailings[event % 2]!.id : null,
                kind: (
                  ['delivered', 'opened', 'clicked', 'clicked', 'clicked', 'replied', 'bounced'] as const
                )[event % 7]!,
                happenedAt: testStart + die * 3_000 + (exact ? 0 : 2 * minute),
                exact,
                providerId: named ? `event-${event}` : null,
                url: event % 5 === 0 ? null : `https://bindery.example/${event}`,
                ...(die === 1 ? { userAgent: 'Mozilla/5.0' } : {}),
                ...(die === 2 ? { os: null, browser: null } : {}),
                ...(die === 3 ? { userAgent: 'Mozilla/5.0 GoogleImageProxy' } : {}),
              }).catch(() => null),
            )
            continue
          }
          await Promise.all(arriving)
          arriving = []
          if (now.do === 'tag')
            await app.audience.retag({
              contacts: [people[now.contact]!],
              add: now.add ? [now.tag] : [],
              remove: now.add ? [] : [now.tag],
            })
          if (now.do === 'merge' && people[now.from] !== people[now.into]) {
            await app.audience.mergeContacts({ from: people[now.from]!, into: people[now.into]! })
            const gone = people[now.from]!
            people.forEach((id, index) => {
              if (id === gone) people[index] = people[now.into]!
            })
          }
          if (now.do === 'erase') await app.audience.erase(people[now.contact]!)
        }
        await Promise.all(arriving)

        const kept = await countsIn(app.db)
        await rebuildAudienceCounts(app.db, calendar('Asia/Kathmandu'))
        expect(kept).toEqual(await countsIn(app.db))
      },
    ),
    { numRuns: 200 },
  )
}, 400_000)

async function threePeople(app: TestApp) {
  const ids: number[] = []
  for (const name of ['ada', 'ben', 'cy']) {
    const { contact } = await app.audience.write({
      do: 'subscriber',
      subscriber: {
        provider: 'buttondown',
        providerId: name,
        listId:
          (await app.db.selectFrom('lists').select('id').executeTakeFirst())?.id ??
          (await aList(app, { name: 'First' })).id,
        email: normaliseEmail(`${name}@fernmail.example`),
        name,
        status: 'subscribed',
        providerStatus: 'regular',
        source: 'form',
        subscribedAt: testStart - 1000,
        unsubscribedAt: null,
        changes: [{ at: testStart - 1000, status: 'subscribed' }],
        tags: ['beta'],
        seenAt: testStart,
      },
    })
    ids.push(contact!)
  }
  return ids
}
