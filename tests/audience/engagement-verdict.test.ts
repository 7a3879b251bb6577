import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type EngagementKind,
  engagementKinds,
  engagementNumber,
} from '../../src/audience/engagement-kinds.js'
import {
  counts,
  isUnjudged,
  type JudgedEngagement,
  judge,
  judgeReception,
  engagementReason as reason,
  reasonsInWords,
  reasonWords,
  staticReasons,
  engagementVerdict as verdict,
  verdictOf,
} from '../../src/audience/engagement-verdict.js'
import { networksOf } from '../../src/audience/networks.js'
import { firefox } from '../support/builders.js'

const networks = networksOf({
  as_of: '2026-11-21',
  classes: {
    apple: [{ operator: 'Apple', blocks: ['17.0.0.0/8'] }],
    gmail: [{ operator: 'Google', blocks: ['66.249.80.0/20'] }],
    scanner: [{ operator: 'Proofpoint', blocks: ['67.231.144.0/20'] }],
    'data-centre': [{ operator: 'Hetzner', blocks: ['5.9.0.0/16'] }],
  },
})
const home = '203.0.113.7'
const gmailAgent = 'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)'

const traces = (kind: EngagementKind, given: Partial<Parameters<typeof staticReasons>[0]> = {}) =>
  staticReasons({
    kind,
    userAgent: null,
    address: null,
    os: null,
    browser: null,
    metadata: null,
    networks,
    ...given,
  })

describe('what speaks for itself', () => {
  it('finds nothing in a browser at home', () => {
    expect(traces('opened', { userAgent: firefox, address: home })).toBe(0)
    expect(traces('clicked', { userAgent: firefox, address: home })).toBe(0)
    expect(traces('clicked', { os: 'iOS', browser: 'Safari' })).toBe(0)
  })

  it('says of what tells nothing that it cannot be judged', () => {
    expect(traces('opened')).toBe(reason.unjudged)
    expect(traces('clicked', { userAgent: ' ', os: '', browser: '' })).toBe(reason.unjudged)
    expect(isUnjudged(traces('opened'))).toBe(true)
    expect(isUnjudged(traces('opened', { address: home }))).toBe(false)
  })

  it.each([
    ['a bot', 'clicked', { userAgent: 'Googlebot/2.1' }, reason.agent],
    ['a library', 'opened', { userAgent: 'python-requests/2.32' }, reason.agent],
    ['a browser without a head', 'clicked', { os: 'Linux', browser: 'HeadlessChrome' }, reason.agent],
    ['a scanner', 'clicked', { userAgent: firefox, address: '67.231.150.9' }, reason.scanner],
    ['a data centre', 'clicked', { userAgent: firefox, address: '5.9.1.1' }, reason.dataCentre],
    ['a prefetch', 'opened', { userAgent: firefox, metadata: { Purpose: 'prefetch' } }, reason.prefetch],
    [
      'a prerender',
      'opened',
      { userAgent: firefox, metadata: { sec_purpose: 'prefetch;prerender' } },
      reason.prefetch,
    ],
    ['Apple by agent', 'opened', { userAgent: 'Mozilla/5.0', address: home }, reason.apple],
    ['Apple by network', 'opened', { address: '17.58.1.1', os: 'iOS', browser: 'Safari' }, reason.apple],
    ['Gmail by agent', 'opened', { userAgent: gmailAgent }, reason.gmail],
    ['Gmail by browser', 'opened', { browser: 'Gmail image proxy' }, reason.gmail],
    ['Gmail by network', 'opened', { address: '66.249.84.1' }, reason.gmail],
  ] as const)('knows %s', (_, kind, given, bits) => {
    expect(traces(kind, given)).toBe(bits)
  })

  it('takes a click through Private Relay for a person, and one from Google for suspicious', () => {
    expect(traces('clicked', { userAgent: firefox, address: '17.58.1.1' })).toBe(0)
    expect(traces('clicked', { userAgent: firefox, address: '66.249.84.1' })).toBe(reason.dataCentre)
  })

  it('takes a click that calls itself Mozilla/5.0 for a program', () => {
    expect(traces('clicked', { userAgent: 'Mozilla/5.0', address: home })).toBe(reason.agent)
  })

  it('takes no picture that Yahoo loads on opening for a program', () => {
    const userAgent = 'YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html'
    expect(traces('opened', { userAgent, address: home })).toBe(0)
  })

  it('does not take other metadata for a prefetch', () => {
    expect(traces('opened', { userAgent: firefox, metadata: { url: 'https://a.example/prefetch' } })).toBe(0)
  })

  it('judges opens and clicks alone', () => {
    for (const kind of engagementKinds)
      if (kind !== 'opened' && kind !== 'clicked')
        expect(traces(kind, { userAgent: 'Googlebot/2.1', address: '67.231.150.9' })).toBe(0)
  })
})

describe('the verdict', () => {
  const [open, click] = [engagementNumber('opened'), engagementNumber('clicked')]

  it.each([
    ['nothing', click, 0, 'person'],
    ['nothing to judge by', open, reason.unjudged, 'person'],
    ['a data centre alone', click, reason.dataCentre, 'suspected'],
    ['haste alone', click, reason.haste | reason.unjudged, 'suspected'],
    ['two suspicions', click, reason.dataCentre | reason.haste, 'machine'],
    ['an agent', click, reason.agent, 'machine'],
    ['a scanner', open, reason.scanner, 'machine'],
    ['a prefetch', open, reason.prefetch, 'machine'],
    ['a canary', click, reason.canary, 'machine'],
    ['a burst', click, reason.burst, 'machine'],
    ['Apple', open, reason.apple, 'proxy'],
    ['Apple beside a canary', open, reason.apple | reason.canary, 'proxy'],
    ['Gmail later', open, reason.gmail, 'person'],
    ['Gmail at once', open, reason.gmail | reason.early, 'proxy'],
    ['a reply', engagementNumber('replied'), reason.agent, 'person'],
  ] as const)('of %s', (_, kind, bits, expected) => {
    expect(verdictOf(judge(kind, bits))).toBe(expected)
  })

  it('counts persons and suspected ones', () => {
    expect([0, 1, 2, 3].map(counts)).toEqual([true, true, false, false])
  })

  it('has words for each reason, each of them a bit of its own', () => {
    const bits = Object.values(reason)
    expect(bits.reduce((sum, bit) => sum + bit, 0)).toBe(2 ** bits.length - 1)
    for (const bit of bits) expect(reasonWords[bit]).toBeTruthy()
    expect(reasonsInWords(reason.burst | reason.dataCentre)).toEqual([
      'three or more different links of the mailing within 10 seconds',
      'it came from a data centre',
    ])
  })
})

const start = Date.UTC(2026, 10, 20, 9)
const canaryUrl = 'https://news.example/.well-known/canary?k=7'

function reception(
  ...rows: [kind: EngagementKind, seconds: number, link?: string | null, reasons?: number][]
): JudgedEngagement[] {
  return rows.map(([kind, seconds, link = null, reasons = 0], index) => ({
    id: index + 1,
    kind: engagementNumber(kind),
    happened_at: start + seconds * 1000,
    link,
    reasons,
    verdict: 0,
  }))
}
const judged = (rows: JudgedEngagement[]) =>
  judgeReception(rows, { canaryUrl }).map(({ reasons, verdict }) => [reasons, verdictOf(verdict)])

describe('a reception', () => {
  it('takes three links within ten seconds for a machine', () => {
    expect(judged(reception(['clicked', 100, 'a'], ['clicked', 105, 'b'], ['clicked', 110, 'c']))).toEqual([
      [reason.burst, 'machine'],
      [reason.burst, 'machine'],
      [reason.burst, 'machine'],
    ])
  })

  it('takes two links, three clicks on one, or a slow three for a person', () => {
    const slow = reception(['clicked', 100, 'a'], ['clicked', 105, 'b'], ['clicked', 110.001, 'c'])
    const few = reception(['clicked', 100, 'a'], ['clicked', 101, 'a'], ['clicked', 102, 'b'])
    for (const row of [...judged(slow), ...judged(few)]) expect(row).toEqual([0, 'person'])
  })

  it('counts no unknown link as another one, but lets it share the fate of those around it', () => {
    const unknown = reception(['clicked', 100], ['clicked', 101], ['clicked', 102, 'a'])
    for (const row of judged(unknown)) expect(row).toEqual([0, 'person'])
    const among = reception(
      ['clicked', 1e3, 'a'],
      ['clicked', 1e3, 'b'],
      ['clicked', 1e3],
      ['clicked', 1e3, 'c'],
    )
    for (const row of judged(among)) expect(row).toEqual([reason.burst, 'machine'])
  })

  it('takes all that came within a minute of the canary for a machine', () => {
    const rows = reception(
      ['opened', 39],
      ['clicked', 41, 'a'],
      ['clicked', 100, `${canaryUrl}&utm_source=mail#top`],
      ['opened', 160],
      ['clicked', 161, 'b'],
    )
    expect(judged(rows).map(([, verdict]) => verdict)).toEqual([
      'person',
      'machine',
      'machine',
      'machine',
      'person',
    ])
  })

  it('knows the canary by the id of its link as well, and nothing else by it', () => {
    const rows = [{ ...reception(['clicked', 100])[0]!, link: 7 }]
    const verdictOfFirst = (canary: string | number | null) =>
      judgeReception(rows, { canaryUrl: canary })[0]!.verdict
    expect(verdictOfFirst(7)).toBe(verdict.machine)
    expect(verdictOfFirst(8)).toBe(verdict.person)
    expect(verdictOfFirst(canaryUrl)).toBe(verdict.person)
    expect(verdictOfFirst(null)).toBe(verdict.person)
    for (const link of ['https://news.example/.well-known/canary', 'no address', 'https://other.example/'])
      expect(judged(reception(['clicked', 100, link]))[0]![1]).toBe('person')
  })

  it('suspects a click within five seconds of the delivery, whether or not it can be judged', () => {
    expect(
      judged(
        reception(
          ['delivered', 0],
          ['clicked', -2, 'a', reason.unjudged],
          ['clicked', 5, 'a', reason.dataCentre],
          ['clicked', 5.001, 'a', reason.dataCentre],
          ['opened', 1],
          ['clicked', -3, 'a'],
        ),
      ),
    ).toEqual([
      [0, 'person'],
      [reason.haste | reason.unjudged, 'suspected'],
      [reason.haste | reason.dataCentre, 'machine'],
      [reason.dataCentre, 'suspected'],
      [0, 'person'],
      [0, 'person'],
    ])
  })

  it('takes Gmail within a minute of the delivery for its proxy, and later for the person', () => {
    const rows = reception(
      ['delivered', 10],
      ['opened', 70, null, reason.gmail],
      ['opened', 70.001, null, reason.gmail],
    )
    expect(judged(rows).slice(1)).toEqual([
      [reason.gmail | reason.early, 'proxy'],
      [reason.gmail, 'person'],
    ])
  })

  it('goes by the sending as long as nobody has told of the delivery', () => {
    const open: Parameters<typeof reception>[0] = ['opened', 100, null, reason.gmail]
    expect(judged(reception(['sent', 50], open))[1]![1]).toBe('proxy')
    expect(judged(reception(['sent', 50], ['delivered', 20], open))[2]![1]).toBe('person')
    expect(judged(reception(open))[0]![1]).toBe('person')
  })

  const someRows = fc
    .array(
      fc.record({
        kind: fc.constantFrom('sent', 'delivered', 'opened', 'clicked', 'clicked', 'replied' as const),
        seconds: fc.integer({ min: 0, max: 120 }),
        link: fc.constantFrom(
          'https://a.example/',
          'https://b.example/',
          'https://c.example/',
          canaryUrl,
          null,
        ),
        reasons: fc.nat({ max: 2047 }),
      }),
      { maxLength: 12 },
    )
    .map((rows) =>
      rows.map(
        ({ kind, seconds, link, reasons }, index): JudgedEngagement => ({
          id: index + 1,
          kind: engagementNumber(kind as EngagementKind),
          happened_at: start + seconds * 1000,
          link,
          reasons,
          verdict: 0,
        }),
      ),
    )
  const byId = (rows: JudgedEngagement[]) =>
    Object.fromEntries(judgeReception(rows, { canaryUrl }).map((row) => [row.id, row]))

  it('comes out the same in whatever order facts arrive', () => {
    fc.assert(
      fc.property(
        someRows.chain((rows) =>
          fc.tuple(
            fc.constant(rows),
            fc.shuffledSubarray(rows, { minLength: rows.length, maxLength: rows.length }),
          ),
        ),
        ([rows, shuffled]) => {
          expect(byId(shuffled)).toEqual(byId(rows))
        },
      ),
    )
  })

  it('comes out the same when facts arrive one by one and all are judged each time', () => {
    fc.assert(
      fc.property(someRows, (rows) => {
        let known: JudgedEngagement[] = []
        for (const row of rows) {
          const outcome = byId([...known, row])
          known = [...known, row].map((each) => ({ ...each, ...outcome[each.id]! }))
        }
        expect(byId(known)).toEqual(byId(rows))
        expect(known.map(({ id, reasons, verdict }) => ({ id, reasons, verdict }))).toEqual(
          judgeReception(rows, { canaryUrl }),
        )
      }),
    )
  })

  it('never makes a person of a machine because of one more click', () => {
    fc.assert(
      fc.property(
        someRows,
        fc.integer({ min: 0, max: 120 }),
        fc.constantFrom('d', canaryUrl, null),
        (rows, seconds, link) => {
          const before = byId(rows)
          const click = { ...reception(['clicked', seconds, link])[0]!, id: 99 }
          const after = byId([...rows, click])
          for (const { id, verdict: then } of Object.values(before))
            if (then >= verdict.machine) expect(after[id]!.verdict).toBeGreaterThanOrEqual(verdict.machine)
        },
      ),
    )
  })
})
