import { describe, expect, it } from 'vitest'
import { sparkline } from '../../src/web/charts.js'

describe('a sparkline', () => {
  it('runs from edge to edge and from the lowest value to the highest', () => {
    expect(sparkline([1, 3, 2])).toEqual({ line: 'M0 22 50 2 100 12', before: '', dot: 'M100 12h0' })
  })
  it('puts zero at the bottom when asked', () => {
    expect(sparkline([5, 10], { fromZero: true }).line).toBe('M0 12 100 2')
  })
  it('draws the span before on the same scale', () => {
    expect(sparkline([0, 10], { before: [5, 20] })).toEqual({
      line: 'M0 22 100 12',
      before: 'M0 17 100 2',
      dot: 'M100 12h0',
    })
  })
  it('leaves a gap where there is no value, and no dot at a last gap', () => {
    expect(sparkline([1, 2, null, 3, null])).toEqual({ line: 'M0 22 25 12M75 2h0', before: '', dot: '' })
  })
  it('lies flat in the middle when nothing moves, at the bottom when nothing happened', () => {
    expect(sparkline([4, 4]).line).toBe('M0 12 100 12')
    expect(sparkline([0, 0]).line).toBe('M0 22 100 22')
  })
  it('is empty without values, and a dot with one', () => {
    expect(sparkline([])).toEqual({ line: '', before: '', dot: '' })
    expect(sparkline([null])).toEqual({ line: '', before: '', dot: '' })
    expect(sparkline([7])).toEqual({ line: 'M100 12h0', before: '', dot: 'M100 12h0' })
  })
})
