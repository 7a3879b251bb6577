import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import pixelmatch from 'pixelmatch'
import { PNG } from 'pngjs'

/**
 * The share of pixels in which a picture differs from the stored one. Where none is stored yet, it is stored, and the test
 * fails once so that somebody looks at it: `UPDATE_PICTURES=1` stores it anew.
 * @returns a share of one
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
  const { width, height } = stored
  return pixelmatch(stored.data, drawn.data, undefined, width, height, { threshold: 0.25 }) / (width * height)
}
