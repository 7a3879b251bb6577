import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { calendar, hourLength } from '../../src/web/calendar.js'

const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Pacific/Kiritimati',
  'Pacific/Pago_Pago',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
]

describe('the calendar', () => {
  it('tells the day of an instant in its zone', () => {
    const evening = Date.UTC(2026, 10, 20, 23, 30)
    expect(calendar('UTC').dayOf(evening)).toBe('2026-11-20')
    expect(calendar('Europe/Berlin').dayOf(evening)).toBe('2026-11-21')
    expect(calendar('America/New_York').dayOf(evening)).toBe('2026-11-20')
  })
  it('knows days of 23 and of 25 hours', () => {
    const { startOf } = calendar('Europe/Berlin')
    expect(startOf('2026-03-30') - startOf('2026-03-29')).toBe(23 * hourLength)
    expect(startOf('2026-10-26') - startOf('2026-10-25')).toBe(25 * hourLength)
  })
  it('shifts days across months, years and changes of the clock', () => {
    const { shift } = calendar('Europe/Berlin')
    expect(shift('2026-03-01', -1)).toBe('2026-02-28')
    expect(shift('2026-12-31', 1)).toBe('2027-01-01')
    expect(shift('2026-03-28', 2)).toBe('2026-03-30')
    expect(shift('2026-11-21', 0)).toBe('2026-11-21')
  })
  it.each(zones)('begins each day of %s at its first instant', (zone) => {
    const { dayOf, startOf, shift } = calendar(zone)
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2035, 0) }), (instant) => {
        const day = dayOf(instant)
        const start = startOf(day)
        expect(start).toBeLessThanOrEqual(instant)
        expect(dayOf(start)).toBe(day)
        expect(dayOf(start - 1)).toBe(shift(day, -1))
        expect(startOf(shift(day, 1))).toBeGreaterThan(instant)
      }),
      { numRuns: 200 },
    )
  })
})
