import { describe, expect, it } from 'vitest'
import { noEngagements, receptionColumns } from '../../src/audience/receptions.js'
import type { ReceptionCounts } from '../../src/database/schema.js'
import { explain } from '../../src/mailings/differences.js'
import { funnelOf } from '../../src/mailings/funnel.js'
import { basisOf, peopleOfMailing, ratesOf, trackingMayBeOff } from '../../src/mailings/metrics.js'
import { noNumbers } from '../../src/mailings/record.js'
import { inPercent } from '../../src/web/shares.js'

const nobody = Object.fromEntries(receptionColumns.map((column) => [column, 0])) as unknown as ReceptionCounts
const rates = (counts: Partial<ReceptionCounts>, machines = false) =>
  ratesOf(peopleOfMailing({ ...nobody, ...counts }, null, { machines }), { untracked: false })

describe('the numbers of a mailing', () => {
  const told = { ...noNumbers, recipients: 100, deliveries: 96, unique_opens: 40, unique_clicks: 9 }

  it('are the provider’s where nothing of ours could be judged', () => {
    const unjudged = { ...noEngagements, opens: 30, unjudged_opens: 30, clicks: 4, unjudged_clicks: 4 }
    expect(basisOf(noEngagements, told)).toBe('provider')
    expect(basisOf(unjudged, told)).toBe('provider')
    expect(basisOf({ ...unjudged, machine_clicks: 2 }, told)).toBe('provider')
    expect(basisOf({ ...unjudged, opens: 31 }, told)).toBe('ours')
    expect(basisOf({ ...unjudged, clicks: 5 }, told)).toBe('ours')
    expect(basisOf({ ...unjudged, proxy_opens: 1 }, told)).toBe('ours')
    expect(basisOf(unjudged, { ...told, unique_opens: null })).toBe('ours')
    expect(basisOf(unjudged, null)).toBe('ours')
  })

  it('are by the provider’s people then, and by ours where it says nothing', () => {
    const report = { ...told, permanent_failures: 3, temporary_failures: 1, complaints: 0 }
    const ours = { ...nobody, people_sent: 80, people_opened: 30, people_unsubscribed: 2 }
    expect(peopleOfMailing(ours, report, { machines: false, basis: 'provider' })).toEqual({
      sent: 100,
      delivered: 96,
      opened: 40,
      clicked: 9,
      replied: 0,
      bounced: 4,
      unsubscribed: 2,
      complained: 0,
    })
  })
})

describe('the rates of a mailing', () => {
  it('are of unique people, as the design defines them', () => {
    const of = rates({
      people_sent: 210,
      people_bounced: 10,
      people_delivered: 150,
      people_opened: 80,
      people_clicked: 20,
      people_unsubscribed: 4,
      people_complained: 1,
      people_replied: 2,
    })
    expect(of).toEqual({
      delivery: 200 / 210,
      open: 0.4,
      click: 0.1,
      clickToOpen: 0.25,
      bounce: 10 / 210,
      unsubscribe: 0.02,
      complaint: 0.005,
      reply: 0.01,
    })
  })

  it('have no value without a denominator', () => {
    expect(Object.values(rates({}))).toEqual(Array.from({ length: 8 }, () => null))
    expect(rates({ people_sent: 3 })).toMatchObject({ open: 0, clickToOpen: null })
    expect(inPercent(null)).toBeNull()
    expect(inPercent(1 / 3)).toBe(33.33)
  })

  it('count machines in when asked to', () => {
    const counts = {
      people_sent: 10,
      people_opened: 2,
      all_people_opened: 6,
      people_clicked: 1,
      all_people_clicked: 3,
    }
    expect(rates(counts)).toMatchObject({ open: 0.2, click: 0.1 })
    expect(rates(counts, true)).toMatchObject({ open: 0.6, click: 0.3 })
  })

  it('are of the provider’s deliveries while events tell of fewer', () => {
    const report = { ...noNumbers, recipients: 1200, deliveries: 1000 }
    const people = peopleOfMailing({ ...nobody, people_sent: 50, people_opened: 50 }, report, {
      machines: false,
    })
    expect(people).toMatchObject({ sent: 1200, delivered: 1000 })
    expect(ratesOf(people, { untracked: false }).open).toBe(0.05)
    const more = { ...noNumbers, deliveries: 40 }
    expect(peopleOfMailing({ ...nobody, people_sent: 50 }, more, { machines: false })).toMatchObject({
      sent: 50,
      delivered: 50,
    })
  })
})

describe('tracking', () => {
  const report = { ...noNumbers, recipients: 60, deliveries: 60, unique_opens: 0, unique_clicks: 0 }
  it('may be off where nobody opened or clicked, at many deliveries, and the provider says so too', () => {
    expect(trackingMayBeOff({ ...nobody, people_sent: 60 }, report)).toBe(true)
    expect(trackingMayBeOff({ ...nobody, people_sent: 60 }, null)).toBe(false)
    expect(trackingMayBeOff({ ...nobody, people_sent: 60 }, { ...report, unique_opens: 3 })).toBe(false)
    expect(trackingMayBeOff({ ...nobody, people_sent: 60 }, { ...report, unique_opens: null })).toBe(false)
    expect(trackingMayBeOff({ ...nobody, people_sent: 60, all_people_opened: 1 }, report)).toBe(false)
    expect(trackingMayBeOff({ ...nobody, people_sent: 20 }, { ...report, deliveries: 20 })).toBe(false)
  })
})

describe('the funnel', () => {
  it('narrows from step to step, and leaves no line where nobody came', () => {
    expect(funnelOf([200, 100, 50, 0]).widths).toEqual([100, 50, 25, 0])
    expect(funnelOf([0, 0, 0, 0])).toEqual({ widths: [0, 0, 0, 0], stream: '' })
    const { stream } = funnelOf([200, 100, 50, 0])
    expect(stream).toMatch(/^M0 0H155C202.5 0 202.5 25 250 25H/)
    expect(stream).toMatch(/750 50H1000V50H750/)
    expect(stream).toMatch(/75 250 75|202.5 75 202.5 100 155 100H0Z$/)
  })
})

describe('the difference between a provider’s number and ours', () => {
  const telling = { provider: 'Buttondown', checkedAgo: 3 * 3_600_000 }
  const say = (theirs: number | null, ours: number, all = ours, events = ours) =>
    explain({ measure: 'opened', theirs, ours, all, events }, telling)

  it('is told in words', () => {
    expect(say(null, 5)).toBe('Buttondown does not report this.')
    expect(say(5, 5)).toBe('Both agree.')
    expect(say(5, 5, 5, 9)).toBe('Both agree. They are people: here they stand behind 9 opens.')
    expect(say(7, 5, 7)).toBe(
      '2 people opened only through a mail proxy or a machine; they are left out here.',
    )
    expect(say(10, 5, 7)).toContain('2 people opened only through a mail proxy or a machine')
    expect(say(10, 5, 7)).toContain('3 have not come in as events yet')
    expect(say(6, 5)).toBe(
      '1 has not come in as an event yet: the backfill or the nightly reconciliation fetches what can be fetched.',
    )
    expect(say(6, 5, 9)).toContain('Buttondown leaves out some machines as well.')
    expect(say(5, 8)).toContain(
      'was fetched 3 h ago, and its numbers are cached and rise late: 3 people are not in it.',
    )
  })
})
