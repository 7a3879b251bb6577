import { describe, expect, it } from 'vitest'
import { dayLength, hourLength } from '../../src/web/calendar.js'
import { change } from '../../src/web/changes.js'
import { dateFormats, duration, number, percent, plural } from '../../src/web/formats.js'

const at = Date.UTC(2026, 10, 20, 14, 32, 4)

describe('numbers', () => {
  it('are grouped, and an en dash where there is none', () => {
    expect(number(12480)).toBe('12,480')
    expect(number(0)).toBe('0')
    expect(number(null)).toBe('–')
  })
  it('turn shares into per cent', () => {
    expect(percent(0.0473)).toBe('4.73%')
    expect(percent(0)).toBe('0.00%')
    expect(percent(0.12345, 1)).toBe('12.3%')
    expect(percent(null)).toBe('–')
  })
  it('agree with their word', () => {
    expect(plural(1, 'person', 'people')).toBe('1 person')
    expect(plural(0, 'person', 'people')).toBe('0 people')
    expect(plural(2000, 'person', 'people')).toBe('2,000 people')
  })
})

describe('dates', () => {
  const utc = dateFormats({ timeZone: 'UTC' })

  it('have one look each', () => {
    expect(utc.date(at)).toBe('20 Nov 2026')
    expect(utc.date(Date.UTC(2026, 8, 1))).toBe('1 Sep 2026')
    expect(utc.moment(at)).toBe('Fri 20 Nov, 14:32')
    expect(utc.exact(at)).toBe('Fri 20 Nov 2026, 14:32:04 UTC')
    expect(utc.clock(at)).toBe('14:32:04')
    expect(utc.iso(at)).toBe('2026-11-20T14:32:04.000Z')
  })
  it('follow the reporting time zone', () => {
    expect(dateFormats({ timeZone: 'Pacific/Auckland' }).exact(at)).toBe(
      'Sat 21 Nov 2026, 03:32:04 Pacific/Auckland',
    )
  })
  it.each([
    [0, 'just now'],
    [4_000, '4 s ago'],
    [59_999, '59 s ago'],
    [60_000, '1 min ago'],
    [hourLength, '1 h ago'],
    [dayLength, '1 day ago'],
    [13 * dayLength, '13 days ago'],
    [14 * dayLength, '6 Nov'],
    [400 * dayLength, '16 Oct 2025'],
    [-5_000, 'just now'],
  ])('are relative under two weeks: %i ms is %s', (past, words) => {
    expect(utc.ago(at - past, at)).toBe(words)
  })
  it.each([
    [200, '1 s'],
    [45_000, '45 s'],
    [240_000, '4 min'],
    [3 * hourLength, '3 h'],
    [2 * dayLength, '2 days'],
  ])('%i ms last %s', (length, words) => expect(duration(length)).toBe(words))
})

describe('changes', () => {
  it('say which way, how much and whether that is good', () => {
    expect(change(1124, 1000, { as: 'ratio' })).toEqual({
      way: 'up',
      tone: 'good',
      size: '12.4%',
      value: 0.124,
    })
    expect(change(8, 10, { as: 'amount' })).toEqual({ way: 'down', tone: 'bad', size: '2', value: -2 })
    expect(change(0.0391, 0.0403, { as: 'points' })).toEqual({
      way: 'down',
      tone: 'bad',
      size: '0.12 pt',
      value: expect.closeTo(-0.0012, 6),
    })
  })
  it('know that more bounces are bad, and that some changes are neither', () => {
    expect(change(2, 1, { as: 'amount', good: 'down' })?.tone).toBe('bad')
    expect(change(1, 2, { as: 'amount', good: 'down' })?.tone).toBe('good')
    expect(change(1, 2, { as: 'amount', good: 'neither' })?.tone).toBe('plain')
  })
  it('tell no ratio from nothing', () => {
    expect(change(46, 0, { as: 'ratio' })).toMatchObject({ size: '46', value: 46 })
  })
  it('round large ratios to whole per cent', () => {
    expect(change(1500, 100, { as: 'ratio' })?.size).toBe('1,400%')
  })
  it('are none when nothing that shows has changed, or something is unknown', () => {
    const same = { way: 'same', tone: 'plain', size: '' }
    expect(change(5, 5, { as: 'ratio' })).toEqual({ ...same, value: 0 })
    expect(change(0.040301, 0.0403, { as: 'points' })).toMatchObject(same)
    expect(change(100_001, 100_000, { as: 'ratio' })).toEqual({ ...same, value: 0.00001 })
    expect(change(null, 5, { as: 'ratio' })).toBeNull()
    expect(change(5, null, { as: 'ratio' })).toBeNull()
  })
})
