import { describe, expect, it } from 'vitest'
import { contrastOnWhite, hexColour, inkOf, leastContrast } from '../../src/partners/colour.js'

const hex = (bytes: number[]) => `#${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
const bytesOf = (colour: string) =>
  [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16))

/** Every sixteenth step of each part, and the ends. */
const steps = [...Array.from({ length: 16 }, (_, step) => step * 16), 255]
const colours = steps.flatMap((red) => steps.flatMap((green) => steps.map((blue) => hex([red, green, blue]))))

describe('the contrast on white', () => {
  // As the definition of WCAG 2.2 has it, computed elsewhere.
  it.each([
    ['#000000', 21],
    ['#ffffff', 1],
    ['#767676', 4.54],
    ['#777777', 4.48],
    ['#ff0000', 4.0],
    ['#0000ff', 8.59],
    ['#00ff00', 1.37],
  ])('of %s is %f', (colour, contrast) => {
    expect(contrastOnWhite(colour)).toBeCloseTo(contrast, 2)
  })
})

describe('the ink of a report', () => {
  it('can always be read on white, and is the colour itself where that can be', () => {
    const wrong = colours.filter((colour) => {
      const { ink, contrast, isDarkened } = inkOf(colour)
      const isEnough = contrastOnWhite(colour) >= leastContrast
      return (
        contrast < leastContrast ||
        contrast !== contrastOnWhite(ink) ||
        isDarkened === isEnough ||
        (isEnough && ink !== colour)
      )
    })
    expect(wrong).toEqual([])
  })

  it('is darkened no further than it must be', () => {
    const tooDark = colours.filter((colour) => {
      const { ink, isDarkened } = inkOf(colour)
      // One step more in each part that is there at all, and it could not be read.
      return isDarkened && contrastOnWhite(hex(bytesOf(ink).map((byte) => byte && byte + 1))) >= leastContrast
    })
    expect(tooDark).toEqual([])
  })

  it('keeps the hue: what is strongest stays strongest, and grey stays grey', () => {
    expect(inkOf('#ffffff').ink).toBe('#767676')
    expect(inkOf('#ff0000').ink).toBe('#ee0000')
    expect(inkOf('#f0b400').ink).toBe('#977000')
    const order = (colour: string) => {
      const [red, green, blue] = bytesOf(colour) as [number, number, number]
      return [red >= green, green >= blue, blue >= red, red <= green, green <= blue, blue <= red]
    }
    const turned = colours.filter((colour) => {
      const [before, after] = [order(colour), order(inkOf(colour).ink)]
      return before.some((holds, index) => holds && !after[index])
    })
    expect(turned).toEqual([])
  })
})

describe('a colour', () => {
  it.each([
    ['#B23A1D', '#b23a1d'],
    [' b23a1d ', '#b23a1d'],
    ['#3a7', '#33aa77'],
    ['3A7', '#33aa77'],
  ])('%s is %s', (text, colour) => {
    expect(hexColour(text)).toBe(colour)
  })
  it.each(['', 'red', '#12', '#12345', '#1234567', '#gggggg', 'rgb(1,2,3)', '#b23a1d;'])(
    'is not %j',
    (text) => {
      expect(hexColour(text)).toBeNull()
    },
  )
})
