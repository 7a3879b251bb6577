import { describe, expect, it } from 'vitest'
import {
  ContactFilter,
  contactsAddress,
  everybody,
  filterOf,
  partsInForce,
  queryOf,
} from '../../src/audience/contact-filter.js'

describe('a filter of contacts', () => {
  it('falls back to everybody, the highest score first, whatever the address says', () => {
    const nonsense = {
      q: { a: 1 },
      tags: 'some',
      list: '-4',
      status: 'gone',
      band: 'best',
      score: '999',
      active: 'soon',
      quiet: '0',
      machines: 'yes',
      sort: 'colour',
      order: 'up',
      after: 'x',
    }
    expect(ContactFilter.parse(nonsense)).toEqual(everybody)
    expect(everybody).toMatchObject({
      q: '',
      tag: [],
      not: [],
      sort: 'score',
      order: 'desc',
      machines: false,
    })
  })

  it('reads the same from an address as it was written into it', () => {
    const query =
      'q=ada&tag=buyer&tag=reader&not=customer-lost&list=3&status=subscribed&band=active&source=csv&score=35&active=30&quiet=7&domain=fernmail.example&tags=any&machines=1&sort=name-desc&after=12'
    expect(queryOf(filterOf(query))).toBe(query)
  })

  it('takes each tag once, whatever its case, and leaves empty ones out', () => {
    expect(filterOf('tag=Buyer&tag=buyer&tag=&tag=+reader+').tag).toEqual(['buyer', 'reader'])
  })

  it('says only what is not as usual', () => {
    expect(queryOf(everybody)).toBe('')
    expect(queryOf(filterOf('sort=score-desc&order=desc&tags=all&machines=0'))).toBe('')
    expect(queryOf(filterOf('sort=score&order=asc'))).toBe('sort=score-asc')
    // One tag is all tags, and any.
    expect(queryOf(filterOf('tag=buyer&tags=any'))).toBe('tag=buyer')
  })

  it('begins with the first page again when it changes', () => {
    expect(contactsAddress(filterOf('score=35&after=12'), { band: 'new' })).toBe(
      '/audience?band=new&score=35',
    )
  })

  it('knows which parts choose, as against those that only put in order', () => {
    expect(partsInForce(filterOf('sort=name&machines=1&after=4'))).toEqual([])
    expect(partsInForce(filterOf('q=a&not=b'))).toEqual(['q', 'not'])
  })

  it('takes the domain with or without its @', () => {
    expect(filterOf('domain=@Fernmail.example').domain).toBe('fernmail.example')
  })
})
