import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as z from 'zod'
import { ConfigError } from '../config.js'

/**
 * What sort of network an address belongs to. Where blocks of several hold it, the first counts: Google's image proxy
 * lies inside Google's data centres, and scanners run in those of others.
 */
export const networkClasses = ['gmail', 'apple', 'scanner', 'data-centre'] as const
export type NetworkClass = (typeof networkClasses)[number]

export interface Networks {
  /** The day the list was made, `YYYY-MM-DD`. */
  asOf: string
  note: string
  /** How many blocks it holds. */
  blocks: number
  /** @returns null for an address of no class, for private ones, and for what is no address */
  classOf(address: string): NetworkClass | null
  /** Whose block it is that decides the class, in words: `Proofpoint`. */
  operatorOf(address: string): string | null
}

const Block = z
  .string()
  .refine((text) => blockOf(text) !== null, 'a network such as 192.0.2.0/24 or 2001:db8::/32')
const Operators = z.array(z.object({ operator: z.string().min(1), blocks: z.array(Block) }))
const NetworkList = z.object({
  as_of: z.iso.date('a day such as 2026-11-21'),
  note: z.string().default(''),
  classes: z
    .object({ gmail: Operators, apple: Operators, scanner: Operators, 'data-centre': Operators })
    .partial()
    .strict(),
})

const shipped = new URL('./networks.json', import.meta.url)

/**
 * Reads the list of networks: `networks.json` of the data folder, else the one that ships with the code.
 * @throws ConfigError when the data folder's list cannot be used
 */
export function openNetworks(dataDir: string): Networks {
  const path = join(dataDir, 'networks.json')
  const own = readList(path)
  return own === null ? shippedNetworks() : networksOf(own, path)
}

let shippedOnes: Networks | undefined
/** Read once: it does not change while the process runs. */
function shippedNetworks() {
  shippedOnes ??= networksOf(JSON.parse(readFileSync(shipped, 'utf8')))
  return shippedOnes
}

function readList(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new ConfigError(
      `${path} must be a JSON file that this user can read (${(error as Error).message}).`,
    )
  }
}

/**
 * @param json the list, see networks.json
 * @param name what to call it in the error
 * @throws ConfigError that names the first thing wrong
 */
export function networksOf(json: unknown, name = 'networks.json'): Networks {
  const read = NetworkList.safeParse(json)
  if (!read.success) {
    const { path, message } = read.error.issues[0]!
    throw new ConfigError(`${name} must be a list of networks; ${path.join('.') || 'it'} is not: ${message}.`)
  }
  const { as_of, note, classes } = read.data
  const tables = networkClasses.map((name) => tableOf(classes[name] ?? []))

  /** Reckoning takes less than remembering: most addresses come once. */
  function find(address: string) {
    const key = keyOf(address)
    if (key === null) return null
    for (const [index, table] of tables.entries()) {
      const operator = table.holder(key)
      if (operator !== null) return { name: networkClasses[index]!, operator }
    }
    return null
  }
  return {
    asOf: as_of,
    note,
    blocks: tables.reduce((sum, table) => sum + table.size, 0),
    classOf: (address) => find(address)?.name ?? null,
    operatorOf: (address) => find(address)?.operator ?? null,
  }
}

interface Block {
  from: string
  to: string
}

/**
 * Blocks lie inside each other or apart, never across. Which block of a nest holds an address makes no difference to
 * its class, so the widest is kept, and what is left never overlaps.
 */
function tableOf(operators: z.infer<typeof Operators>) {
  const sorted = operators
    .flatMap(({ operator, blocks }) => blocks.map((text) => ({ ...blockOf(text)!, operator })))
    .sort((one, other) => compare(one.from, other.from) || compare(other.to, one.to))
  const apart: typeof sorted = []
  for (const block of sorted) {
    const last = apart[apart.length - 1]
    if (!last || last.to < block.from) apart.push(block)
  }
  return {
    size: sorted.length,
    holder(key: string): string | null {
      let low = 0
      let high = apart.length
      while (low < high) {
        const middle = (low + high) >> 1
        if (apart[middle]!.from <= key) low = middle + 1
        else high = middle
      }
      const block = apart[low - 1]
      return block && key <= block.to ? block.operator : null
    },
  }
}
const compare = (one: string, other: string) => (one < other ? -1 : Number(one > other))

/** `4` or `6` and the address in hexadecimal digits of full length, so that texts compare as addresses do. */
function keyOf(address: string): string | null {
  switch (isIP(address)) {
    case 4:
      return `4${v4Digits(address)}`
    case 6: {
      const digits = v6Digits(address)
      // A socket that listens on both writes ::ffff:192.0.2.1
      return digits.startsWith(mapped) ? `4${digits.slice(mapped.length)}` : `6${digits}`
    }
    default:
      return null
  }
}
const mapped = '00000000000000000000ffff'

function v4Digits(address: string): string {
  let digits = ''
  let byte = 0
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index)
    if (code !== dot) {
      byte = byte * 10 + code - zero
      continue
    }
    digits += hexadecimal[byte]
    byte = 0
  }
  return digits + hexadecimal[byte]
}
const [dot, zero] = [46, 48]
const hexadecimal = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function v6Digits(address: string): string {
  const [bare] = address.toLowerCase().split('%')
  const hex = bare!.replace(/\d+\.\d+\.\d+\.\d+$/, (tail) => v4Digits(tail).replace(/^(.{4})/, '$1:'))
  const [head = '', tail] = hex.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => group.padStart(4, '0')))
  const [before, after] = [groups(head), groups(tail ?? '')]
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0000'), ...after].join('')
}

/** @param text a block in CIDR notation; bits beyond the prefix are taken for noughts */
function blockOf(text: string): Block | null {
  const [, address = '', length = ''] = /^([^/%]+)\/(\d{1,3})$/.exec(text) ?? []
  const version = isIP(address)
  const bits = version === 4 ? 32 : 128
  if (version === 0 || Number(length) > bits) return null
  const digits = version === 4 ? v4Digits(address) : v6Digits(address)
  const free = BigInt(bits - Number(length))
  const from = (BigInt(`0x${digits}`) >> free) << free
  const to = from | ((1n << free) - 1n)
  const spell = (number: bigint) => `${version}${number.toString(16).padStart(bits / 4, '0')}`
  return { from: spell(from), to: spell(to) }
}
