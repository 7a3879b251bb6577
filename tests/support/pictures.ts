import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { PNG } from 'pngjs'

/** Pixels on each side of a square whose ink is added up: what moves by a pixel mostly stays in its square. */
const square = 12

/** How much ink there is in each square of a picture, red, green and blue apart; white paper has none. */
function inkOf({ data, width, height }: PNG) {
  const across = Math.ceil(width / square)
  const ink = new Float64Array(across * Math.ceil(height / square) * 3)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let colour = 0; colour < 3; colour++)
        ink[(Math.floor(y / square) * across + Math.floor(x / square)) * 3 + colour]! +=
          255 - data[(y * width + x) * 4 + colour]!
  return ink
}

/**
 * The share of a stored picture's ink that lies elsewhere in another one, is missing or has another colour: a blank page
 * differs by 1, since paper is not counted. Where none is stored yet, it is stored, and the test fails once so that
 * somebody looks at it: `UPDATE_PICTURES=1` stores it anew.
 * @returns a share of one; more where there is more ink than there was
 */
export function differenceFrom(file: string, picture: Buffer): number {
  const drawn = PNG.sync.read(picture)
  if (process.env.UPDATE_PICTURES === '1' || !existsSync(file)) {
    const missing = !existsSync(file)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, PNG.sync.write(drawn, { deflateLevel: 9 }))
    if (missing) throw new Error(`${file} was not there and is now. Look at it, then run the test again.`)
    return 0
  }
  const stored = PNG.sync.read(readFileSync(file))
  if (stored.width !== drawn.width || stored.height !== drawn.height) return 1
  const [was, is] = [inkOf(stored), inkOf(drawn)]
  const all = was.reduce((sum, ink) => sum + ink, 0)
  return was.reduce((sum, ink, place) => sum + Math.abs(ink - is[place]!), 0) / all
}
