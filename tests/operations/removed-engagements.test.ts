import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rebuildAudienceCounts, rebuildEngagementDays } from '../../src/audience/rebuild.js'
import type { EngagementFact } from '../../src/audience/record.js'
import { wasSealed } from '../../src/audience/sealing.js'
import { countTables } from '../../src/operations/proof.js'
import {
  type Retention,
  readRetention,
  retention,
  retentionRecorder,
  saveRetention,
} from '../../src/operations/retention.js'
import { calendar } from '../../src/web/calendar.js'
import { aPerson } from '../accounts/people.js'
import { stoppedClock, type TestApp, testApp } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { countsIn, expectCountsToHold } from '../support/recount.js'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const keep = async ({ db }: TestApp, days: Partial<Retention>) =>
  saveRetention(db, { ...(await readRetention(db)), ...days })

/** Nights in which what is recorded is noted, and what is old enough goes. */
async function nights(app: TestApp, days: number) {
  await app.retention.run()
  app.clock.pass(days * day)
  await app.retention.run()
}

type Telling = Pick<EngagementFact, 'contactId' | 'kind'> & Partial<EngagementFact>

/** Two installations that hear the same; the first removes engagements that are older than a year. */
async function twins() {
  const clock = stoppedClock()
  const env = { TIME_ZONE: 'Asia/Kathmandu' }
  const apps = [await testApp({ clock, env }), await testApp({ clock, env })] as const
  await keep(apps[0], { engagements_days: 365 })
  const both = async <Result>(work: (app: TestApp) => Promise<Result>) =>
    [await work(apps[0]), await work(apps[1])] as const
  return { apps, clock, both }
}

/** The counts that come from engagements, and what contacts have of them; scores have their own nights. */
async function counted({ db }: TestApp) {
  const counts = await countsIn(db)
  const contacts = await db
    .selectFrom('contacts')
    .select(['id', 'mailings', 'opens', 'proxy_opens', 'machine_opens', 'unjudged_opens', 'clicks'])
    .select(['machine_clicks', 'unjudged_clicks', 'replies', 'last_active_at', 'machine_last_active_at'])
    .orderBy('id')
    .execute()
  return { ...Object.fromEntries(countTables.map((table) => [table, counts[table]])), contacts }
}

const kinds = ['delivered', 'opened', 'clicked', 'clicked', 'replied', 'commented', 'unsubscribed'] as const
const what = fc.record({
  contact: fc.nat(2),
  kind: fc.nat(kinds.length - 1),
  at: fc.nat(12),
  link: fc.nat(3),
  die: fc.nat(9),
  told: fc.constantFrom('with an id', 'without one', 'twice', 'thinly first', 'without an instant'),
})
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('send' as const), deeds: fc.array(what, { maxLength: 8 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('come back' as const), mailing: fc.nat(20), deed: what }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('wait' as const), days: fc.integer({ min: 8, max: 300 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('tell again' as const), telling: fc.nat(200) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('merge' as const), from: fc.nat(2), into: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('erase' as const), contact: fc.nat(2) }) },
)

it('counts what an installation counts that removes nothing, and knows all that is told again', async () => {
  const { apps, clock, both } = await twins()
  let run = 0
  let removed = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 12, maxLength: 30 }),
      fc.infiniteStream(fc.nat()),
      async (steps, dice) => {
        run++
        const people: number[] = []
        const erased = new Set<number>()
        for (const name of ['ada', 'ben', 'cy']) {
          const [{ id }] = await both((app) => aContact(app, { email: `${name}${run}@fernmail.example` }))
          people.push(id)
          await both((app) => app.audience.retag({ contacts: [id], add: [name], remove: [] }))
        }
        const [{ id: list }] = await both((app) => aList(app, { name: `List ${run}` }))
        const mailings: { id: number; sent_at: number }[] = []
        const history: { who: number; telling: Telling }[] = []
        /** Those of one contact in one mailing are near each other; those of two are hours apart. */
        const tell = async (who: number, telling: Telling) => {
          history.push({ who, telling })
          return both((app) => anEngagement(app, { ...telling, contactId: people[who]! }))
        }
        const deed = async (
          given: typeof what extends fc.Arbitrary<infer What> ? What : never,
          mailing: { id: number },
          since: number,
        ) => {
          const { contact, at, link, die } = given
          const kind = kinds[given.kind]!
          const happenedAt = since + contact * 3 * hour + at * 4 * second + run
          const telling: Telling = {
            contactId: 0,
            mailingId: mailing.id,
            kind,
            happenedAt,
            providerId: `event ${run} ${history.length}`,
            url: kind === 'clicked' && link > 0 ? `https://bindery.example/${link}` : null,
            ...(die === 1 ? { userAgent: 'Mozilla/5.0' } : {}),
            ...(die === 2 ? { os: null, browser: null } : {}),
            ...(die === 3 ? { userAgent: 'Mozilla/5.0 GoogleImageProxy' } : {}),
          }
          // Who tells no ids tells no user agents: when those go, one that has them would be told twice.
          if (given.told === 'without one')
            return tell(contact, { ...telling, providerId: null, userAgent: null })
          if (given.told === 'without an instant')
            return tell(contact, { ...telling, exact: false, happenedAt: happenedAt + minute })
          if (given.told === 'thinly first')
            await tell(contact, {
              ...telling,
              exact: false,
              mailingId: null,
              url: null,
              happenedAt: happenedAt + minute,
            })
          await tell(contact, telling)
          if (given.told === 'twice') await tell(contact, { ...telling, providerId: null })
        }

        for (const now of steps) {
          if (now.do === 'send') {
            const sent_at = clock.at
            const provider_id = `mailing ${run} ${mailings.length}`
            const sentAt = mailings.length % 3 > 0 ? sent_at : (null as never)
            const [{ id }] = await both((app) =>
              aMailing(app, {
                provider_id,
                list_id: mailings.length % 2 ? list : null,
                created_at: sent_at,
                sent_at: sentAt,
              }),
            )
            mailings.push({ id, sent_at })
            for (const one of now.deeds) await deed(one, { id }, sent_at)
          }
          if (now.do === 'come back' && mailings.length > 0)
            await deed(now.deed, mailings[now.mailing % mailings.length]!, clock.at - 12 * hour)
          if (now.do === 'wait') {
            clock.pass(now.days * day)
            await both((app) => app.retention.run())
            await nights(apps[0], 0)
          }
          if (now.do === 'tell again' && history.length > 0) {
            const { who, telling } = history[now.telling % history.length]!
            const [one, other] = await both((app) =>
              anEngagement(app, { ...telling, contactId: people[who]! }),
            )
            expect(one.repeated).toBe(other.repeated)
          }
          // Nobody is merged into somebody who is nobody any more.
          if (now.do === 'merge' && people[now.from] !== people[now.into] && erased.size === 0) {
            const [from, into] = [people[now.from]!, people[now.into]!]
            await both((app) => app.audience.mergeContacts({ from, into }))
            people.forEach((id, index) => {
              if (id === from) people[index] = into
            })
          }
          if (now.do === 'erase') {
            erased.add(people[now.contact]!)
            await both((app) => app.audience.erase(people[now.contact]!))
          }
        }
        const [one, other] = await both(counted)
        expect(one).toEqual(other)
        await both((app) => rebuildAudienceCounts(app.db, calendar('Asia/Kathmandu')))
        const [again, otherAgain] = await both(counted)
        expect(again).toEqual(otherAgain)
        expect(otherAgain).toEqual(other)

        const rows = async ({ db }: TestApp) =>
          (
            await db
              .selectFrom('engagements')
              .select(({ fn }) => fn.countAll<number>().as('rows'))
              .executeTakeFirstOrThrow()
          ).rows
        const left = await both(rows)
        removed = left[1] - left[0]
        const shuffled = history
          .map((telling) => ({ telling, die: dice.next().value as number }))
          .sort((a, b) => a.die - b.die)
          .map(({ telling }) => telling)
        for (const { who, telling } of shuffled)
          expect(
            await both(
              async (app) => (await anEngagement(app, { ...telling, contactId: people[who]! })).repeated,
            ),
            JSON.stringify(telling),
          ).toEqual([true, true])
        expect(await both(counted)).toEqual([again, otherAgain])
        expect(await both(rows)).toEqual(left)
      },
    ),
    { numRuns: 15, endOnFailure: true },
  )
  expect(removed).toBeGreaterThan(50)
}, 400_000)

/** Three years of mailings at one installation: readers, machines, a proxy, somebody who comes back. */
async function threeYears() {
  const { apps, clock, both } = await twins()
  const people: number[] = []
  for (const name of ['ada', 'ben', 'cy', 'scanner'])
    people.push((await both((app) => aContact(app, { email: `${name}@fernmail.example` })))[0].id)
  const [{ id: list }] = await both((app) => aList(app))
  const mailings: number[] = []
  const history: Telling[] = []
  const tell = async (telling: Telling) => {
    history.push(telling)
    return both((app) => anEngagement(app, telling))
  }
  for (let quarter = 0; quarter < 12; quarter++) {
    const sent_at = clock.at - 17 * minute - 3 * second
    const [{ id: mailingId }] = await both((app) =>
      aMailing(app, { provider_id: `issue-${quarter}`, name: `Issue ${quarter}`, sent_at, list_id: list }),
    )
    mailings.push(mailingId)
    // Of one nobody says when it was sent.
    if (quarter === 3)
      await both((app) =>
        app.db.updateTable('mailings').set({ sent_at: null }).where('id', '=', mailingId).execute(),
      )
    for (const [index, contactId] of people.entries()) {
      const about = { contactId, mailingId, providerId: null }
      await tell({ ...about, kind: 'delivered', happenedAt: sent_at + index * second })
      if (index === 3) {
        for (const link of [1, 2, 3])
          await tell({
            ...about,
            kind: 'clicked',
            happenedAt: sent_at + hour + link * second,
            providerId: `burst ${quarter} ${link}`,
            url: `https://bindery.example/${link}`,
          })
        continue
      }
      const opened = { ...about, kind: 'opened' as const, happenedAt: sent_at + (1 + index * 7) * hour }
      await tell({
        ...opened,
        providerId: `open ${quarter} ${index}`,
        ...(index === 2 ? { userAgent: 'Mozilla/5.0' } : {}),
      })
      if (index === 1)
        await tell({
          ...opened,
          kind: 'clicked',
          happenedAt: opened.happenedAt + minute,
          providerId: `click ${quarter}`,
          url: 'https://bindery.example/1',
        })
      if (index === 0 && quarter % 2)
        await tell({ ...opened, kind: 'replied', happenedAt: opened.happenedAt + 3 * day })
    }
    clock.pass(91 * day)
    await both((app) => app.retention.run())
  }
  return { apps, clock, both, people, mailings, history, list, tell }
}

const numbersOf = (text: string) => text.replaceAll(/\b[0-9a-f]{64}\b/g, '')

describe('engagements that are removed', () => {
  it('stay in what every page says', async () => {
    const { apps, both, people, mailings, list } = await threeYears()
    const left = await both(
      async ({ db }) => (await db.selectFrom('engagements').select('id').execute()).length,
    )
    expect(left[0]).toBeLessThan(left[1] / 2)
    const persons = [await aPerson(apps[0]), await aPerson(apps[1])] as const
    const paths = [
      '/mailings',
      '/audience',
      '/audience/over-time?period=all',
      `/lists/${list}`,
      `/mailings/heatmap?list=${list}`,
      ...[mailings[0]!, mailings[3]!, mailings[6]!].flatMap((id) => [
        `/mailings/${id}`,
        `/mailings/${id}?machines=1&span=30d`,
        `/mailings/heatmap?mailing=${id}`,
        `/mailings/heatmap?mailing=${id}&machines=1`,
      ]),
    ]
    for (const path of paths) {
      const [one, other] = [await persons[0].get(path), await persons[1].get(path)]
      expect(other.status, path).toBe(200)
      expect(numbersOf(one.text), path).toBe(numbersOf(other.text))
    }
    const [{ text: mine }, { text: theirs }] = [
      await persons[0].get(`/audience/${people[1]}`),
      await persons[1].get(`/audience/${people[1]}`),
    ]
    const figures = (text: string) =>
      [...text.matchAll(/class="tile__figure"[^>]*data-value="([^"]*)"/g)].map(([, value]) => value)
    expect(figures(mine)).toEqual(figures(theirs))
    expect(figures(mine).length).toBeGreaterThan(2)
    expect(mine).toMatch(
      /of <span data-value="36">36 moments<\/span>; <span data-value="2[0-9]">2[0-9]<\/span> older ones are removed, and stay in the counts/,
    )
    expect(theirs).not.toContain('older ones are removed')
    expect((await persons[0].get('/audience/activity?kind=all')).text).toContain(
      'are removed, and stay in the counts',
    )
    expect((await persons[1].get('/audience/activity?kind=all')).text).not.toContain('are removed, and')
  })

  it('are told beforehand, and go in small batches that interrupt each other nowhere', async () => {
    const { apps, clock } = await threeYears()
    const [, app] = apps
    await keep(app, { engagements_days: 730 })
    const { engagements: would } = await app.retention.wouldGo()
    expect(would.from).toBe(clock.at - 12 * 91 * day - 17 * minute - 3 * second)
    const before = await counted(app)
    const rows = await app.db.selectFrom('engagements').select(['id', 'happened_at']).execute()
    const written = app.ledger.tally.written
    expect((await app.retention.run()).engagements).toBe(would.rows)
    expect(app.ledger.tally.written - written).toBeGreaterThanOrEqual(would.rows / 100)
    const left = await app.db.selectFrom('engagements').select(['id', 'happened_at']).execute()
    expect(rows.length - left.length).toBe(would.rows)
    expect(would.rows).toBe(rows.filter(({ happened_at }) => happened_at < clock.at - 730 * day).length)
    expect(await counted(app)).toEqual(before)
    expect((await app.retention.wouldGo()).engagements).toEqual({ rows: 0, from: null, isMore: false })
    await expectCountsToHold(app.db)
  })

  it('are sorted into the days of another time zone, too', async () => {
    const { both } = await threeYears()
    await both(({ db }) => rebuildEngagementDays(db, calendar('America/New_York')))
    const [one, other] = await both(counted)
    expect(one).toEqual(other)
  })

  it('are those of people and mailings that have only such, recorded a week ago and told completely', async () => {
    const app = await testApp()
    await keep(app, { engagements_days: 365 })
    const old = app.clock.at - 400 * day
    const { id: contactId } = await aContact(app)
    const stays: number[] = []
    const about = async (...tellings: Partial<EngagementFact>[]) => {
      const { id: mailingId } = await aMailing(app, { sent_at: old })
      const told = { contactId, mailingId, kind: 'opened' as const, happenedAt: old }
      for (const telling of tellings) stays.push((await anEngagement(app, { ...told, ...telling })).id!)
    }
    await about({ providerId: 'young' }, { kind: 'clicked', happenedAt: app.clock.at - 300 * day })
    await about({ providerId: 'thin' }, { kind: 'clicked', exact: false })
    await about({ providerId: 'left' }, { kind: 'unsubscribed' })
    await about({ providerId: 'nowhere', mailingId: null })
    await about(
      ...Array.from({ length: 101 }, (_, number) => ({ happenedAt: old + hour + number * 2 * minute })),
    )
    const { id: mailingId } = await aMailing(app, { sent_at: old })
    const goes = { contactId, mailingId, kind: 'opened' as const, happenedAt: old, providerId: 'goes' }
    await anEngagement(app, goes)
    const kept = async () =>
      (await app.db.selectFrom('engagements').select('id').orderBy('id').execute()).map(({ id }) => id)
    expect((await app.retention.run()).engagements).toBe(0)
    app.clock.pass(6 * day)
    expect((await app.retention.run()).engagements).toBe(0)
    const { id: late } = await aMailing(app, { sent_at: old })
    stays.push((await anEngagement(app, { ...goes, mailingId: late, providerId: 'late' })).id!)
    app.clock.pass(2 * day)
    expect((await app.retention.wouldGo()).engagements).toEqual({ rows: 1, from: old, isMore: false })
    expect((await app.retention.run()).engagements).toBe(1)
    expect(await kept()).toEqual(stays)
    expect(await anEngagement(app, goes)).toEqual({ id: null, repeated: true, whole: true })
    await expectCountsToHold(app.db)
  })

  it('are sealed once, however often that is begun, and not where something new has come', async () => {
    const app = await testApp()
    const old = app.clock.at - 400 * day
    const { id: contactId } = await aContact(app)
    const mailings = [await aMailing(app, { sent_at: old }), await aMailing(app, { sent_at: old })]
    const ids: number[] = []
    for (const { id: mailingId } of mailings)
      for (const kind of ['opened', 'clicked'] as const)
        ids.push((await anEngagement(app, { contactId, mailingId, kind, happenedAt: old })).id!)
    const settled = { before: app.clock.at - 365 * day, upTo: ids.at(-1)! }
    await anEngagement(app, { contactId, mailingId: mailings[1]!.id, kind: 'opened' })
    const counts = await counted(app)
    const recorder = retentionRecorder(app.db)
    const removal = { what: 'engagements', ids, settled } as const
    const killed = app.db.transaction().execute(async (tx) => {
      await recorder.record(tx, removal)
      throw new Error('The process ended.')
    })
    await expect(killed).rejects.toThrow('The process ended.')
    for (const ids of [[removal.ids[1]!], removal.ids, removal.ids])
      await app.db.transaction().execute((tx) => recorder.record(tx, { ...removal, ids }))
    const left = await app.db.selectFrom('engagements').select(['mailing_id']).execute()
    expect(left.map(({ mailing_id }) => mailing_id)).toEqual(Array(3).fill(mailings[1]!.id))
    expect(await counted(app)).toEqual(counts)
    await expectCountsToHold(app.db)
  })

  it('are known by whichever telling, and by no other', async () => {
    const app = await testApp()
    await keep(app, { engagements_days: 365 })
    const old = app.clock.at - 400 * day
    const { id: contactId } = await aContact(app)
    const { id: mailingId } = await aMailing(app, { sent_at: old })
    const told = { contactId, mailingId, kind: 'opened' as const, happenedAt: old }
    await anEngagement(app, { ...told, providerId: 'with an id' })
    await anEngagement(app, { ...told, kind: 'clicked', providerId: null })
    await nights(app, 8)
    expect(await app.db.selectFrom('engagements').selectAll().execute()).toEqual([])
    const again = async (telling: Partial<EngagementFact>) =>
      (await anEngagement(app, { ...told, ...telling })).repeated
    expect(await again({ providerId: 'with an id' })).toBe(true)
    expect(await again({ providerId: 'with an id', exact: false, happenedAt: app.clock.at })).toBe(true)
    expect(await again({ providerId: null, happenedAt: old + second })).toBe(true)
    expect(
      await again({ providerId: null, exact: false, happenedAt: old + 30 * minute, mailingId: null }),
    ).toBe(true)
    expect(await again({ kind: 'clicked', providerId: null })).toBe(true)
    expect(await again({ kind: 'clicked', providerId: 'now with one' })).toBe(true)
    expect(await again({ providerId: 'another' })).toBe(false)
    expect(await again({ providerId: null, happenedAt: old + hour })).toBe(false)
    expect(await again({ providerId: null, exact: false, happenedAt: old + 40 * minute })).toBe(false)
    expect(await again({ kind: 'replied', providerId: null })).toBe(false)
    expect(await again({ providerId: 'new', happenedAt: app.clock.at })).toBe(false)
    expect(await again({ providerId: null, happenedAt: app.clock.at - day })).toBe(false)
    for (const kind of ['sent', 'delivered', 'opened', 'clicked', 'replied'] as const)
      expect(await wasSealed(app.db, { contact_id: contactId, mailing_id: mailingId, kind }), kind).toBe(
        kind === 'opened' || kind === 'clicked',
      )
    expect(await wasSealed(app.db, { contact_id: contactId, mailing_id: 0, kind: 'opened' })).toBe(false)
    await expectCountsToHold(app.db)
  })

  it('are no others of the same person within the same minute', async () => {
    const app = await testApp()
    await keep(app, { engagements_days: 365 })
    const old = app.clock.at - 400 * day
    const { id: contactId } = await aContact(app)
    const [goes, stays, late] = [
      await aMailing(app, { sent_at: old }),
      await aMailing(app, { sent_at: old }),
      await aMailing(app, { sent_at: old }),
    ]
    const told = { contactId, kind: 'opened' as const, happenedAt: old, userAgent: 'Mozilla/5.0' }
    const removed = { ...told, mailingId: goes.id, providerId: 'goes' }
    await anEngagement(app, removed)
    const other = { ...told, userAgent: null, happenedAt: old + 30 * second, providerId: null }
    await anEngagement(app, { ...other, mailingId: stays.id })
    await anEngagement(app, { ...other, mailingId: stays.id, kind: 'unsubscribed' })
    await nights(app, 8)
    expect(await app.db.selectFrom('engagements').select('mailing_id').execute()).toEqual(
      Array(2).fill({ mailing_id: stays.id }),
    )
    const counts = await counted(app)
    // Thinly told it is as near to the one that stays as to itself.
    const thin = { ...removed, mailingId: null, exact: false, happenedAt: old + minute }
    expect(await anEngagement(app, thin)).toEqual({ id: null, repeated: true, whole: true })
    expect(await counted(app)).toEqual(counts)
    const first = { ...other, mailingId: late.id, happenedAt: old + 5 * second }
    expect((await anEngagement(app, first)).repeated).toBe(false)
    await expectCountsToHold(app.db)
  })

  it('are those that were old when the run began, whatever is looked at meanwhile', async () => {
    const app = await testApp()
    await keep(app, { engagements_days: 365 })
    const horizon = app.clock.at + 8 * day - 365 * day
    const { id: mailingId } = await aMailing(app, { sent_at: horizon - day })
    for (let reader = 0; reader < 30; reader++) {
      const { id: contactId } = await aContact(app, { email: `reader${reader}@fernmail.example` })
      await anEngagement(app, { contactId, mailingId, kind: 'delivered', happenedAt: horizon - day })
    }
    const { id: contactId } = await aContact(app)
    await anEngagement(app, { contactId, mailingId, kind: 'opened', happenedAt: horizon + hour })
    expect((await app.retention.run()).engagements).toBe(0)
    app.clock.pass(8 * day)
    const remove = app.ledger.register(retentionRecorder(app.db))
    let looks = 0
    const keeper = retention({
      db: app.db,
      readers: app.readers,
      async remove(removal) {
        if (looks++ === 0) {
          app.clock.pass(3 * hour)
          expect((await keeper.wouldGo()).engagements.rows).toBe(31)
        }
        return remove(removal)
      },
      providers: [],
      now: app.clock.now,
    })
    expect((await keeper.run()).engagements).toBe(30)
    expect(looks).toBeGreaterThan(1)
    const left = await app.db.selectFrom('engagements').select('happened_at').execute()
    expect(left).toEqual([{ happened_at: horizon + hour }])
  })

  it('keep their verdicts, and a later one is judged by when the mailing arrived', async () => {
    const app = await testApp()
    await keep(app, { engagements_days: 365 })
    const old = app.clock.at - 400 * day
    const { id: contactId } = await aContact(app)
    const { id: mailingId } = await aMailing(app, { sent_at: old })
    const told = { contactId, mailingId }
    await anEngagement(app, { ...told, kind: 'delivered', happenedAt: old })
    for (const link of [1, 2, 3])
      await anEngagement(app, {
        ...told,
        kind: 'clicked',
        happenedAt: old + minute + link * second,
        url: `https://bindery.example/${link}`,
      })
    await nights(app, 8)
    const clicks = () =>
      app.db.selectFrom('receptions').select(['clicks', 'machine_clicks']).executeTakeFirstOrThrow()
    expect(await clicks()).toEqual({ clicks: 0, machine_clicks: 3 })
    const clicked = { ...told, kind: 'clicked' as const, providerId: 'later', os: null, browser: null }
    await anEngagement(app, { ...clicked, happenedAt: app.clock.at })
    expect(await clicks()).toEqual({ clicks: 1, machine_clicks: 3 })
    await anEngagement(app, {
      ...told,
      kind: 'opened',
      happenedAt: old + 20 * second,
      userAgent: 'GoogleImageProxy',
    })
    expect(await app.db.selectFrom('receptions').select(['opens', 'proxy_opens']).executeTakeFirst()).toEqual(
      { opens: 1, proxy_opens: 0 },
    )
    await expectCountsToHold(app.db)
  })

  it('count for whom a contact was merged into, are known as theirs, and count for nobody who was erased', async () => {
    const { apps, both, people, history } = await threeYears()
    const [app] = apps
    const [from, into] = [people[1]!, people[0]!]
    const person = await aPerson(app)
    await both((one) => one.audience.mergeContacts({ from, into }))
    const [one, other] = await both(counted)
    expect(one).toEqual(other)
    for (const telling of history.filter(({ contactId }) => contactId === from))
      for (const receipt of await both((each) => anEngagement(each, { ...telling, contactId: into })))
        expect(receipt.repeated).toBe(true)
    await both((each) => each.audience.mergeContacts({ from: into, into: people[2]! }))
    for (const telling of history.filter(({ contactId }) => contactId !== people[3]))
      expect((await anEngagement(app, { ...telling, contactId: people[2]! })).repeated).toBe(true)
    expect(await counted(app)).toEqual(await counted(apps[1]))
    await expectCountsToHold(app.db)

    const { body } = await person.get(`/audience/${people[2]}/export.json`).expect(200)
    const { engagements, removed_engagements, removed_quarters_of_an_hour } = body.audience
    expect(engagements.length).toBeGreaterThan(0)
    expect(removed_engagements[0]).toMatchObject({
      mailing: 'Issue 0',
      engagements: 7,
      opens: 2,
      proxy_opens: 1,
      clicks: 1,
    })
    expect(removed_quarters_of_an_hour[0]).toMatchObject({ opens: 1, proxy_opens: 0 })

    const counts = await counted(app)
    await app.audience.erase(people[2]!)
    const { contacts: _, ...after } = await counted(app)
    const { contacts: __, ...before } = counts
    expect({ ...after, tag_counts: [] }).toEqual({ ...before, tag_counts: [] })
    await expectCountsToHold(app.db)
  })

  it('leave no link that names somebody who is erased, and their clicks in the counts', async () => {
    const app = await testApp()
    await keep(app, { engagements_days: 365 })
    const old = app.clock.at - 400 * day
    const { id: mailingId } = await aMailing(app, { sent_at: old })
    const readers: number[] = []
    for (const name of ['ada', 'ben']) {
      const { id: contactId } = await aContact(app, { email: `${name}@fernmail.example` })
      readers.push(contactId)
      const click = { contactId, mailingId, kind: 'clicked' as const, happenedAt: old }
      await anEngagement(app, {
        ...click,
        url: `https://bindery.example/leave?who=${name}%40fernmail.example`,
      })
      await anEngagement(app, { ...click, happenedAt: old + hour, url: 'https://bindery.example/read' })
      await anEngagement(app, { ...click, happenedAt: old + 2 * hour, url: null })
    }
    await nights(app, 8)
    await app.audience.erase(readers[0]!)
    const links = await app.db.selectFrom('links').select('url').orderBy('url').execute()
    expect(links.map(({ url }) => url)).toEqual([
      'https://bindery.example/leave?who=ben%40fernmail.example',
      'https://bindery.example/read',
    ])
    const person = await aPerson(app)
    const page = (await person.get(`/mailings/${mailingId}`).expect(200)).text
    const table = page.slice(page.indexOf('id="links"'), page.indexOf('id="people"'))
    expect([...table.matchAll(/class="num tell" data-value="(\d+)"/g)].map(([, value]) => value)).toEqual([
      '3',
      '2',
      '1',
    ])
    // Somebody comes back to a link.
    await anEngagement(app, {
      contactId: readers[1]!,
      mailingId,
      kind: 'clicked',
      url: 'https://bindery.example/read',
    })
    app.clock.pass(2 * minute)
    expect((await person.get(`/mailings/${mailingId}`).expect(200)).text).toContain(
      'counts twice among its people',
    )
    await expectCountsToHold(app.db)
  })
})
