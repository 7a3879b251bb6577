import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalId } from '../../../src/esp/buttondown/ids.js'
import { typeId } from '../../support/buttondown.js'

/** From the vendor's fixtures. */
const known = [
  ['0k28edc3fw896bp4mrhc535z5k', '13121cd6-0dfc-424c-bb12-988b0a32fcb3'],
  ['29fxqcmrkp969vzttksexvmvr8', '497f6eca-6276-4993-bfeb-53cbbbba6f08'],
  ['3bmyw117dd278r1d00r17x8c68', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
] as const

describe('the one spelling of an id', () => {
  it.each(known)('reads %s', (suffix, uuid) => {
    expect(canonicalId(uuid)).toBe(uuid)
    expect(canonicalId(uuid.toUpperCase())).toBe(uuid)
    expect(canonicalId(`sub_${suffix}`)).toBe(uuid)
    expect(canonicalId(`ext_evt_${suffix}`)).toBe(uuid)
    expect(canonicalId(`sub_tag_${uuid}`)).toBe(uuid)
    expect(canonicalId(`em_${suffix.toUpperCase()}`)).toBe(uuid)
  })

  it('reads both ends of what an id can be', () => {
    expect(canonicalId('em_00000000000000000000000000')).toBe('00000000-0000-0000-0000-000000000000')
    expect(canonicalId('em_7zzzzzzzzzzzzzzzzzzzzzzzzz')).toBe('ffffffff-ffff-ffff-ffff-ffffffffffff')
  })

  it.each([
    '',
    'sub',
    'sub_',
    '_0k28edc3fw896bp4mrhc535z5k',
    '0k28edc3fw896bp4mrhc535z5k',
    'sub0k28edc3fw896bp4mrhc535z5k',
    'sub_0k28edc3fw896bp4mrhc535z5',
    'sub_0k28edc3fw896bp4mrhc535z5kk',
    'sub_8k28edc3fw896bp4mrhc535z5k',
    'sub_0k28edc3fw896bp4mrhc535z5i',
    'sub_0k28edc3fw896bp4mrhc535z5l',
    'sub_0k28edc3fw896bp4mrhc535z5o',
    'sub_0k28edc3fw896bp4mrhc535z5u',
    'sub_0k28edc3fw896bp4mrhc535zé5',
    'sub 0k28edc3fw896bp4mrhc535z5k',
    '9_0k28edc3fw896bp4mrhc535z5k',
    '13121cd60dfc424cbb12988b0a32fcb3',
    '13121cd6-0dfc-424c-bb12-988b0a32fcb',
    '13121cd6-0dfc-424c-bb12-988b0a32fcb3 ',
    '13121cd6-0dfc-424c-bb12-988b0a32fcbg',
    'sub_13121cd6-0dfc-424c-bb12-988b0a32fcb3\n',
    'ada@example.com',
  ])('takes %j for no id', (text) => {
    expect(canonicalId(text)).toBeNull()
  })

  it('reads every spelling of every id alike', () => {
    const prefix = fc.stringMatching(/^[a-z]([a-z_]{0,10}[a-z])?$/)
    fc.assert(
      fc.property(fc.uuid({ version: [1, 4, 7] }), prefix, (uuid, kind) => {
        const spellings = [uuid, uuid.toUpperCase(), typeId(kind, uuid), `${kind}_${uuid}`]
        expect(spellings.map(canonicalId)).toEqual(spellings.map(() => uuid.toLowerCase()))
      }),
    )
  })

  it('answers with an id in its one spelling or with nothing, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60, unit: 'binary' }), (text) => {
        const id = canonicalId(text)
        if (id !== null) expect(canonicalId(id)).toBe(id)
      }),
    )
  })
})
