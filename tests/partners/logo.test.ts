import { describe, expect, it } from 'vitest'
import { longestLogo, readLogo } from '../../src/partners/logo.js'
import { aPng } from '../support/partners.js'

/** The beginning of a JPEG: JFIF, a table, the frame header with its size. */
const aJpeg = ({ width = 8, height = 8, frame = 0xc0 } = {}) => {
  const size = Buffer.alloc(4)
  size.writeUInt16BE(height, 0)
  size.writeUInt16BE(width, 2)
  return Buffer.concat([
    Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 6, 0x4a, 0x46, 0x49, 0x46]),
    Buffer.from([0xff, 0xff, 0xdb, 0, 4, 1, 2]),
    // A Huffman table, whose marker looks like that of a frame.
    Buffer.from([0xff, 0xc4, 0, 4, 1, 2]),
    Buffer.from([0xff, frame, 0, 17, 8]),
    size,
    Buffer.alloc(12),
  ])
}

const aWebp = (chunk: string, head: number[]) =>
  Buffer.concat([
    Buffer.from('RIFF'),
    Buffer.from([40, 0, 0, 0]),
    Buffer.from(`WEBP${chunk}`),
    Buffer.from([10, 0, 0, 0]),
    Buffer.from(head),
    Buffer.alloc(16),
  ])
/** 4,100 pixels wide, as each of the three kinds writes it. */
const wide = {
  'VP8 ': [0, 0, 0, 0x9d, 0x01, 0x2a, 0x04, 0x10, 8, 0],
  VP8L: [0x2f, 0x03, 0x10, 0x02, 0],
  VP8X: [0, 0, 0, 0, 0x03, 0x10, 0, 7, 0, 0],
}
const small = {
  'VP8 ': [0, 0, 0, 0x9d, 0x01, 0x2a, 8, 0, 8, 0],
  VP8L: [0x2f, 0x07, 0xc0, 0x01, 0],
  VP8X: [0, 0, 0, 0, 7, 0, 0, 7, 0, 0],
}

describe('a logo', () => {
  it.each([
    ['image/png', aPng()],
    ['image/jpeg', aJpeg()],
    ['image/jpeg', aJpeg({ frame: 0xc2 })],
    ['image/webp', aWebp('VP8 ', small['VP8 '])],
    ['image/webp', aWebp('VP8L', small.VP8L)],
    ['image/webp', aWebp('VP8X', small.VP8X)],
  ])('is known by its bytes: %s', (type, bytes) => {
    expect(readLogo(bytes)).toEqual({ bytes, type })
  })

  it.each([
    ['', 'This file is empty.'],
    ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'This is an SVG, which can hold scripts'],
    ['\ufeff<?xml version="1.0"?>\n<!-- drawn -->\n<SVG>', 'This is an SVG'],
    ['GIF89a', 'This is a GIF'],
    ['%PDF-1.7', 'This is a PDF'],
    ['\0\0\0\x1cftypavif', 'This is a HEIC or AVIF'],
    ['<html><script>', 'This file is no PNG, JPEG or WebP.'],
    ['RIFF\0\0\0\0WAVE', 'This file is no PNG, JPEG or WebP.'],
  ])('is not %j', (text, sentence) => {
    expect(readLogo(Buffer.from(text))).toContain(sentence)
  })

  it('may be an SVG in disguise, and is refused all the same', () => {
    expect(readLogo(Buffer.from('<svg><script>1</script></svg>', 'utf16le'))).toContain('This is an SVG')
  })

  it('is 512 KB at most', () => {
    const longest = Buffer.concat([aPng(), Buffer.alloc(longestLogo - aPng().length)])
    expect(readLogo(longest)).toMatchObject({ type: 'image/png' })
    expect(readLogo(Buffer.concat([longest, Buffer.alloc(1)]))).toContain('longer than 512 KB')
  })

  it.each([
    ['PNG', aPng({ width: 1, height: 4097 }), '1 by 4097'],
    ['JPEG', aJpeg({ width: 5000, height: 20 }), '5000 by 20'],
    ['WebP', aWebp('VP8 ', wide['VP8 ']), '4100 by 8'],
    ['lossless WebP', aWebp('VP8L', wide.VP8L), '4100 by'],
    ['extended WebP', aWebp('VP8X', wide.VP8X), '4100 by 8'],
  ])('has at most 4096 pixels on a side: %s', (_name, bytes, size) => {
    expect(readLogo(bytes)).toContain(`This picture is ${size}`)
  })

  it.each([
    ['PNG', aPng().subarray(0, 20)],
    ['PNG without a size', aPng({ width: 0 })],
    ['JPEG', aJpeg().subarray(0, 20)],
    [
      'JPEG that goes on with something else',
      Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
    ['WebP', aWebp('VP8 ', small['VP8 ']).subarray(0, 24)],
    ['WebP of another kind', aWebp('ALPH', small['VP8 '])],
  ])('is refused when it is broken: %s', (_name, bytes) => {
    expect(readLogo(bytes)).toContain('This picture is broken')
  })
})
