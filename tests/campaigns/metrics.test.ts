import { describe, expect, it } from 'vitest'
import { conversionRate, landingRate, orderRate, silence } from '../../src/campaigns/metrics.js'
import { inPercent, share } from '../../src/web/shares.js'

const minute = 60_000
const hour = 60 * minute

describe('rates', () => {
  it('are shares of one', () => {
    const steps = { email_clicks: 8412, landing_clicks: 5207, conversions: 398 }
    expect(conversionRate(steps)).toBeCloseTo(0.047313, 6)
    expect(landingRate(steps)).toBeCloseTo(0.618997, 6)
    expect(orderRate(steps)).toBeCloseTo(0.076436, 6)
  })

  it('have no value where there is no whole, and are 0 where there is one', () => {
    expect(share(0, 0)).toBeNull()
    expect(conversionRate({ email_clicks: 0, conversions: 3 })).toBeNull()
    expect(conversionRate({ email_clicks: 5, conversions: 0 })).toBe(0)
  })

  it('are per cent with two decimals in JSON', () => {
    expect(inPercent(0.047313)).toBe(4.73)
    expect(inPercent(0)).toBe(0)
    expect(inPercent(null)).toBeNull()
  })
})

describe('a domain is silent', () => {
  const reported = { events: 31, first_at: 0, last_at: 30 * 4 * minute }
  const end = reported.last_at

  it('after six hours without an event, where it reported every few minutes', () => {
    expect(silence(reported, end + 6 * hour)).toBe(4 * minute)
    expect(silence(reported, end + 6 * hour - 1)).toBeNull()
  })

  it('only after 20 times its usual gap, where it reports seldom', () => {
    const seldom = { events: 21, first_at: 0, last_at: 20 * hour }
    expect(silence(seldom, seldom.last_at + 20 * hour - 1)).toBeNull()
    expect(silence(seldom, seldom.last_at + 20 * hour)).toBe(hour)
  })

  it('never with fewer than 20 events, or none', () => {
    expect(silence({ ...reported, events: 19 }, end + 1000 * hour)).toBeNull()
    expect(silence({ events: 0, first_at: null, last_at: null }, end)).toBeNull()
  })
})
