import { describe, expect, it } from 'vitest'
import { verifySignature } from '../../src/esp/signature.js'

/** The test vector of our reference, computed there with two other implementations. */
const key = 'local-test-signing-key-001'
const body = Buffer.from(
  '{"id":"ext_evt_0k28edc3fw896bp4mrhc535z5k","event_type":"subscriber.clicked","data":{"newsletter":"497f6eca-6276-4993-bfeb-53cbbbba6f08","subscriber":"13121cd6-0dfc-424c-bb12-988b0a32fcb3"}}',
)
const header = 'sha256=4d1d136fb4e484922b08d1f4a6609d6e187ef558ca4aa8df82f1438c2cf4ecb8'

describe('the signature of a delivery', () => {
  it('passes as Buttondown makes it', () => {
    expect(body.length).toBe(190)
    expect(verifySignature({ header, body, key })).toBe(true)
  })

  it('does not pass when it is missing', () => {
    expect(verifySignature({ header: undefined, body, key })).toBe(false)
    expect(verifySignature({ header: '', body, key })).toBe(false)
  })

  it.each([
    ['of another key', 'sha256=0000000000000000000000000000000000000000000000000000000000000000'],
    ['without its scheme', header.slice('sha256='.length)],
    ['of another scheme', header.replace('sha256', 'sha512')],
    ['in upper case', `sha256=${header.slice(7).toUpperCase()}`],
    ['with its scheme in upper case', header.replace('sha256', 'SHA256')],
    ['cut short', header.slice(0, -1)],
    ['with more behind it', `${header}0`],
    ['sent twice', `${header}, ${header}`],
    ['as long in letters, but not in bytes', `${header.slice(0, -1)}é`],
    ['with a blank before it', ` ${header}`],
  ])('does not pass %s', (_, wrong) => {
    expect(verifySignature({ header: wrong, body, key })).toBe(false)
  })

  it('does not pass for a body that was changed by one byte', () => {
    const tampered = Buffer.from(body)
    tampered[20]! ^= 1
    expect(verifySignature({ header, body: tampered, key })).toBe(false)
    expect(verifySignature({ header, body: Buffer.concat([body, Buffer.from('\n')]), key })).toBe(false)
  })

  it('does not pass with another key, nor with none', () => {
    expect(verifySignature({ header, body, key: `${key} ` })).toBe(false)
    expect(verifySignature({ header, body, key: '' })).toBe(false)
    // What an empty key would sign.
    const empty = 'sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad'
    expect(verifySignature({ header: empty, body: Buffer.alloc(0), key: '' })).toBe(false)
  })

  it('takes the key as UTF-8', () => {
    const odd = Buffer.from('{"é":1}')
    const signed = 'sha256=03dd331e4a6212735f5b0b3ccb3fe14e4317baee42432ff4842df7daedec0c52'
    expect(verifySignature({ header: signed, body: odd, key: 'schlüssel-001' })).toBe(true)
  })
})
