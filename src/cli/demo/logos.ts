import { crc32, deflateSync } from 'node:zlib'

/** Whether there is ink at a place, both coordinates from 0 to 1, from the upper left corner. */
type Drawing = (x: number, y: number) => boolean

/** A boat folded from paper: a hull, and a sail that stands in it. */
export const paperBoat: Drawing = (x, y) => {
  const hull = y > 0.56 && y < 0.8 && Math.abs(x - 0.5) < 0.44 - (y - 0.56) * 0.75
  const sail = y > 0.18 && y < 0.52 && Math.abs(x - 0.5) < (y - 0.18) * 0.62
  const fold = Math.abs(x - 0.5) < 0.012 && y > 0.3 && y < 0.52
  return (hull || sail) && !fold
}

/** The gable of a museum, with a window in it. */
export const gable: Drawing = (x, y) => {
  const house = Math.abs(x - 0.5) < 0.36 && y < 0.86 && y - 0.14 > Math.abs(x - 0.5) * 0.9
  const window = Math.hypot(x - 0.5, y - 0.58) < 0.15
  return house && !window
}

const side = 192
/** Edges are smooth: each pixel is looked at in so many places across and down. */
const looks = 4

/** Draws a logo of one colour on nothing. @param colour `#rrggbb`. @returns a PNG (ISO 15948) of 192 pixels a side */
export function drawLogo(drawing: Drawing, colour: string): Buffer {
  const ink = [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16))
  const rows = Buffer.alloc(side * (1 + 4 * side))
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      let hits = 0
      for (let look = 0; look < looks * looks; look++) {
        const across = column + ((look % looks) + 0.5) / looks
        const down = row + (Math.floor(look / looks) + 0.5) / looks
        if (drawing(across / side, down / side)) hits++
      }
      // The first byte of a row says that none of its pixels leans on another.
      rows.set([...ink, Math.round((hits / looks ** 2) * 255)], row * (1 + 4 * side) + 1 + 4 * column)
    }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(side, 0)
  header.writeUInt32BE(side, 4)
  header.set([8, 6], 8) // eight bits, colour with transparency
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(name: string, data: Buffer) {
  const named = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(named))
  return Buffer.concat([length, named, sum])
}
