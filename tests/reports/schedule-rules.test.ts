import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { instantOf, lastDue, nextDue, type Rule, ruleWords } from '../../src/reports/schedule-rules.js'
import { calendar } from '../../src/web/calendar.js'

const berlin = calendar('Europe/Berlin')
const at = (text: string) => Date.parse(text)
const iso = (instant: number | null) => (instant === null ? null : new Date(instant).toISOString())

describe('the clock of a day', () => {
  it('is the wall clock of the time zone, in winter and in summer', () => {
    expect(iso(instantOf(berlin, '2026-01-15', 8 * 60 + 30))).toBe('2026-01-15T07:30:00.000Z')
    expect(iso(instantOf(berlin, '2026-07-15', 8 * 60 + 30))).toBe('2026-07-15T06:30:00.000Z')
    expect(iso(instantOf(berlin, '2026-07-15', 0))).toBe('2026-07-14T22:00:00.000Z')
    expect(iso(instantOf(berlin, '2026-07-15', 23 * 60 + 59))).toBe('2026-07-15T21:59:00.000Z')
  })

  it('takes the leap for a time that it leaps over, and the first of two', () => {
    // 29 March 2026: 02:00 becomes 03:00. 25 October 2026: 03:00 becomes 02:00.
    expect(iso(instantOf(berlin, '2026-03-29', 2 * 60 + 30))).toBe('2026-03-29T01:00:00.000Z')
    expect(iso(instantOf(berlin, '2026-03-29', 3 * 60))).toBe('2026-03-29T01:00:00.000Z')
    expect(iso(instantOf(berlin, '2026-10-25', 2 * 60 + 30))).toBe('2026-10-25T00:30:00.000Z')
    expect(iso(instantOf(berlin, '2026-10-25', 3 * 60))).toBe('2026-10-25T02:00:00.000Z')
  })

  it('knows zones that leap by half an hour, at midnight, or lie by quarters', () => {
    // Lord Howe: 4 October 2026, 02:00 becomes 02:30. Beirut: 29 March 2026, 00:00 becomes 01:00.
    expect(iso(instantOf(calendar('Australia/Lord_Howe'), '2026-10-04', 2 * 60 + 15))).toBe(
      '2026-10-03T15:30:00.000Z',
    )
    expect(iso(instantOf(calendar('Asia/Beirut'), '2026-03-29', 30))).toBe('2026-03-28T22:00:00.000Z')
    expect(iso(instantOf(calendar('Asia/Kathmandu'), '2026-03-29', 8 * 60 + 1))).toBe(
      '2026-03-29T02:16:00.000Z',
    )
  })
})

describe('a weekly rule', () => {
  const rule: Rule = { kind: 'weekly', day: 1, minute: 8 * 60 }
  it('keeps its hour across both changes of the clock', () => {
    const next = (after: string) => iso(nextDue(berlin, rule, { after: at(after) }))
    expect(next('2026-03-23T06:59:59Z')).toBe('2026-03-23T07:00:00.000Z')
    expect(next('2026-03-23T07:00:00Z')).toBe('2026-03-30T06:00:00.000Z')
    expect(next('2026-10-19T06:00:00Z')).toBe('2026-10-26T07:00:00.000Z')
  })
})

describe('a monthly rule', () => {
  it('takes the last day of a shorter month, and its own of a longer', () => {
    const rule: Rule = { kind: 'monthly', day: 31, minute: 0 }
    const utc = calendar('UTC')
    expect(iso(nextDue(utc, rule, { after: at('2026-01-31T00:00:00Z') }))).toBe('2026-02-28T00:00:00.000Z')
    expect(iso(nextDue(utc, rule, { after: at('2028-02-01T00:00:00Z') }))).toBe('2028-02-29T00:00:00.000Z')
    expect(iso(nextDue(utc, { ...rule, day: 30 }, { after: at('2026-04-30T00:00:00Z') }))).toBe(
      '2026-05-30T00:00:00.000Z',
    )
    expect(iso(lastDue(utc, { ...rule, day: 1 }, { until: at('2026-03-31T23:00:00Z') }))).toBe(
      '2026-03-01T00:00:00.000Z',
    )
  })
})

describe('a rule about mailings', () => {
  const rule: Rule = { kind: 'after-mailing', day: 3, minute: 9 * 60 }
  it('counts days of the calendar from the day of sending', () => {
    // Sent on Friday the 27th at 23:30 in Berlin, due on Monday, after the clock has changed.
    const sentAt = [at('2026-03-27T22:30:00Z')]
    expect(iso(nextDue(berlin, rule, { after: at('2026-03-28T00:00:00Z'), sentAt }))).toBe(
      '2026-03-30T07:00:00.000Z',
    )
    expect(lastDue(berlin, rule, { until: at('2026-03-30T06:59:59Z'), sentAt })).toBeNull()
    expect(iso(lastDue(berlin, rule, { until: at('2026-03-30T07:00:00Z'), sentAt }))).toBe(
      '2026-03-30T07:00:00.000Z',
    )
    expect(nextDue(berlin, rule, { after: 0, sentAt: [] })).toBeNull()
  })
})

describe('any rule of the calendar', () => {
  const rules = fc.oneof(
    fc.record({
      kind: fc.constant('weekly' as const),
      day: fc.integer({ min: 1, max: 7 }),
      minute: fc.integer({ min: 0, max: 1439 }),
    }),
    fc.record({
      kind: fc.constant('monthly' as const),
      day: fc.integer({ min: 1, max: 31 }),
      minute: fc.integer({ min: 0, max: 1439 }),
    }),
  )
  const zones = fc.constantFrom(
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Pacific/Apia',
  )
  const instants = fc.integer({ min: at('2020-01-01T00:00:00Z'), max: at('2036-01-01T00:00:00Z') })
  it('is next due after an instant, and was last due at that very time', () => {
    fc.assert(
      fc.property(rules, zones, instants, (rule, zone, instant) => {
        const days = calendar(zone)
        const next = nextDue(days, rule, { after: instant })!
        expect(next).toBeGreaterThan(instant)
        expect(lastDue(days, rule, { until: next })).toBe(next)
        const last = lastDue(days, rule, { until: next - 1 })!
        expect(last).toBeLessThanOrEqual(instant)
        expect(nextDue(days, rule, { after: last })).toBe(next)
      }),
      { numRuns: 60 },
    )
  })
})

it('says a rule in words', () => {
  expect(ruleWords({ kind: 'weekly', day: 1, minute: 510 })).toBe('Every Monday at 08:30')
  expect(ruleWords({ kind: 'monthly', day: 5, minute: 0 })).toBe('Day 5 of each month at 00:00')
  expect(ruleWords({ kind: 'monthly', day: 31, minute: 0 })).toBe('The last day of each month at 00:00')
  expect(ruleWords({ kind: 'after-mailing', day: 1, minute: 60 })).toBe(
    'The day after a mailing was sent, at 01:00',
  )
  expect(ruleWords({ kind: 'after-mailing', day: 3, minute: 60 })).toBe(
    '3 days after a mailing was sent, at 01:00',
  )
})
