import { writeFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { networkClasses, networksOf, openNetworks } from '../../src/audience/networks.js'
import { ConfigError } from '../../src/config.js'
import { aFolder } from '../support/app.js'

const list = (classes: Record<string, string[]>) => ({
  as_of: '2026-11-21',
  classes: Object.fromEntries(
    Object.entries(classes).map(([name, blocks]) => [name, [{ operator: `${name}'s`, blocks }]]),
  ),
})

describe('the list that ships with the code', () => {
  const networks = openNetworks('/a folder that is not there')

  it('is dated, says how to replace it, and holds blocks of each class', () => {
    expect(networks.asOf).toMatch(/^\d{4}-\d\d-\d\d$/)
    expect(networks.note).toContain('DATA_DIR')
    expect(networks.blocks).toBeGreaterThan(300)
  })

  it.each([
    ['17.58.101.1', 'apple', 'Apple'],
    ['2a02:26f7:b0c0:4000::1', 'apple', 'iCloud Private Relay at Akamai'],
    ['172.225.33.70', 'apple', 'iCloud Private Relay at Akamai'],
    ['66.249.84.12', 'gmail', "Google's image proxy"],
    ['66.249.64.12', 'data-centre', "Google Cloud and Google's crawlers"],
    ['67.231.152.4', 'scanner', 'Proofpoint'],
    ['40.94.20.1', 'scanner', 'Microsoft Defender and Exchange Online Protection'],
    ['40.112.1.1', 'data-centre', 'Microsoft Azure'],
    ['3.120.1.1', 'data-centre', 'Amazon Web Services'],
    ['2a01:4f8:c0c::1', 'data-centre', 'Hetzner'],
  ])('knows %s', (address, name, operator) => {
    expect(networks.classOf(address)).toBe(name)
    expect(networks.operatorOf(address)).toBe(operator)
  })

  it.each([
    '192.0.2.1',
    '198.51.100.1',
    '203.0.113.7',
    '10.0.0.1',
    '127.0.0.1',
    '::1',
    '2001:db8::1',
    'x',
    '',
  ])('says nothing of %s', (address) => {
    expect(networks.classOf(address)).toBeNull()
    expect(networks.operatorOf(address)).toBeNull()
  })
})

describe('a list', () => {
  it('lets the more particular class go first', () => {
    const networks = networksOf(
      list({ 'data-centre': ['66.0.0.0/8'], scanner: ['66.1.0.0/16'], gmail: ['66.1.1.0/24'] }),
    )
    expect(['66.1.1.1', '66.1.2.1', '66.2.1.1', '67.1.1.1'].map(networks.classOf)).toEqual([
      'gmail',
      'scanner',
      'data-centre',
      null,
    ])
  })

  it('reads an address of version 4 in the clothes of version 6', () => {
    const networks = networksOf(list({ apple: ['17.0.0.0/8'] }))
    for (const address of ['::ffff:17.1.2.3', '::FFFF:1101:203', '17.1.2.3'])
      expect(networks.classOf(address)).toBe('apple')
    expect(networks.classOf('::17.1.2.3')).toBeNull()
    expect(networks.classOf('fe80::1%eth0')).toBeNull()
  })

  // Node lets ::/0 hold addresses of version 4 as well, and reads them in the clothes of version 6.
  const addresses = {
    ipv4: fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    ipv6: fc.tuple(
      fc.ipV6().filter((text) => isIP(text) === 6 && !/^[0:]+ffff:|^[0:]+\d+\./i.test(text)),
      fc.integer({ min: 0, max: 128 }),
    ),
  }
  it.each(['ipv4', 'ipv6'] as const)('finds what Node finds for %s', (version) => {
    const some = fc.array(addresses[version], { maxLength: 12 })
    fc.assert(
      fc.property(some, some, (blocks, others) => {
        const theirs = new BlockList()
        for (const [address, bits] of blocks) theirs.addSubnet(address, bits, version)
        const ours = networksOf(list({ scanner: blocks.map(([address, bits]) => `${address}/${bits}`) }))
        for (const [address] of [...blocks, ...others])
          expect(ours.classOf(address) !== null).toBe(theirs.check(address, version))
      }),
      { numRuns: 300 },
    )
  })
})

describe('a list of one’s own', () => {
  const written = (text: string) => {
    const folder = aFolder()
    writeFileSync(join(folder, 'networks.json'), text)
    return () => openNetworks(folder)
  }

  it('takes the place of the one that ships', () => {
    const networks = written(JSON.stringify(list({ scanner: ['203.0.113.0/24'] })))()
    expect(networks.classOf('203.0.113.7')).toBe('scanner')
    expect(networks.classOf('17.1.1.1')).toBeNull()
    expect(networks.blocks).toBe(1)
  })

  it.each([
    ['no JSON', '{', /networks\.json must be a JSON file/],
    ['no list', '[]', /networks\.json must be a list of networks; it is not/],
    ['no day', JSON.stringify({ classes: {} }), /as_of is not: a day such as/],
    ['a class of its own', JSON.stringify(list({ home: ['10.0.0.0/8'] })), /classes is not/],
    [
      'a block that is none',
      JSON.stringify(list({ scanner: ['10.0.0.0/8', '10.0.0.0/33'] })),
      /classes\.scanner\.0\.blocks\.1 is not: a network such as/,
    ],
    ['an address', JSON.stringify(list({ scanner: ['10.0.0.1'] })), /a network such as/],
    ['a name', JSON.stringify(list({ scanner: ['example.com/8'] })), /a network such as/],
  ])('is refused with %s', (_, text, sentence) => {
    const open = written(text)
    expect(open).toThrow(ConfigError)
    expect(open).toThrow(sentence)
  })

  it('may leave classes out', () => {
    expect(networksOf(list({})).blocks).toBe(0)
    expect(networkClasses).toContain('data-centre')
  })
})
