/** A picture that a report may print, as it was uploaded. */
export interface Logo {
  bytes: Buffer
  type: LogoType
}
export type LogoType = 'image/png' | 'image/jpeg' | 'image/webp'

/** Bytes. */
export const longestLogo = 512 * 1024
/** Pixels of a side: a small file can unpack to a picture that fills the memory of whoever draws it. */
const longestSide = 4096

/**
 * Looks at the bytes, and believes neither the name of a file nor the type that came with it.
 * @returns the logo, or a sentence that says why it is none
 */
export function readLogo(bytes: Buffer): Logo | string {
  if (bytes.length === 0) return 'This file is empty. Choose a PNG, JPEG or WebP.'
  if (bytes.length > longestLogo) return tooLong
  const type = typeOf(bytes)
  if (type === null) return `${whatElse(bytes)} Save the logo as PNG, JPEG or WebP and upload that.`
  const size = sizes[type](bytes)
  if (!size) return 'This picture is broken: its size cannot be read. Save it once more and upload that.'
  if (Math.max(size.width, size.height) > longestSide)
    return `This picture is ${size.width} by ${size.height} pixels. Make it smaller: at most ${longestSide} on a side.`
  return { bytes, type }
}

export const tooLong =
  'This file is longer than 512 KB. Make the picture smaller; 600 pixels are plenty for a logo.'

const ascii = (bytes: Buffer, from: number, to: number) => bytes.toString('latin1', from, to)

/** The signatures of PNG (ISO 15948, 5.2), JPEG (ITU T.81, B.1.1) and WebP (RFC 9649, 2.4). */
function typeOf(bytes: Buffer): LogoType | null {
  if (ascii(bytes, 0, 8) === '\x89PNG\r\n\x1a\n') return 'image/png'
  if (ascii(bytes, 0, 3) === '\xff\xd8\xff') return 'image/jpeg'
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') return 'image/webp'
  return null
}

/** What it is instead, as far as its beginning tells. */
function whatElse(bytes: Buffer) {
  const start = bytes.toString('utf8', 0, 4096).replaceAll('\0', '')
  if (/<svg[\s>]/i.test(start)) return 'This is an SVG, which can hold scripts, and is not taken.'
  if (/^GIF8/.test(start)) return 'This is a GIF, which is not taken.'
  if (/^%PDF/.test(start)) return 'This is a PDF, which is not taken.'
  if (/^....ftyp(heic|heix|mif1|avif)/s.test(ascii(bytes, 0, 12).replaceAll('\0', '.')))
    return 'This is a HEIC or AVIF, which is not taken.'
  return 'This file is no PNG, JPEG or WebP.'
}

type Size = { width: number; height: number } | null
/** Sizes in pixels, as the heads of the files tell them; null where there is none. */
const sizes: Record<LogoType, (bytes: Buffer) => Size> = {
  /** The first chunk is IHDR: width and height, four bytes each. */
  'image/png': (bytes) =>
    bytes.length >= 24 && ascii(bytes, 12, 16) === 'IHDR'
      ? checked(bytes.readUInt32BE(16), bytes.readUInt32BE(20))
      : null,
  /** Segments, each with its length, up to the frame header (SOF0 to SOF15, without DHT, JPG and DAC). */
  'image/jpeg'(bytes) {
    let at = 2
    while (at + 9 <= bytes.length) {
      if (bytes[at] !== 0xff) return null
      const marker = bytes[at + 1]!
      // A marker may be preceded by any number of fill bytes.
      if (marker === 0xff) {
        at++
        continue
      }
      if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
        return checked(bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5))
      at += 2 + bytes.readUInt16BE(at + 2)
    }
    return null
  },
  /** RFC 9649: lossy (2.5), lossless (2.6) and extended (2.7) files each say it in their first chunk. */
  'image/webp'(bytes) {
    if (bytes.length < 30) return null
    const chunk = ascii(bytes, 12, 16)
    if (chunk === 'VP8 ') return checked(bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff)
    if (chunk === 'VP8X') return checked(bytes.readUIntLE(24, 3) + 1, bytes.readUIntLE(27, 3) + 1)
    if (chunk !== 'VP8L') return null
    const bits = bytes.readUInt32LE(21)
    return checked((bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1)
  },
}
const checked = (width: number, height: number): Size => (width > 0 && height > 0 ? { width, height } : null)
