import type { Countries } from '../../audience/countries.js'
import { publishers } from './stories.js'

export interface Reader {
  email: string
  /** Positions in `publishers`: what they are subscribed to, their first choice first. */
  reads: number[]
  address: string
  userAgents: string[]
  /** Hours their clock is ahead of UTC, about. */
  ahead: number
  /** How likely they are to click, around 1. */
  keen: number
  /** Their employer's mail gateway follows every link before they see it. */
  scanned: boolean
}

/** The same numbers for the same seed (mulberry32): the demo looks alike at every start. */
export function dice(seed: number) {
  let state = seed
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    random,
    below: (limit: number) => Math.floor(random() * limit),
    pick: <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!,
    chance: (share: number) => random() < share,
    /** Skewed to the right, with this median: how long people take. */
    delay: (median: number, spread = 1) =>
      median * Math.exp(spread * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())),
  }
}
export type Dice = ReturnType<typeof dice>

const firstNames =
  'anna ben clara david elif emil eva felix fiona greta hugo ida inês jan jonas julia karl lena leo lina louis lucia luise marco maria marie marta mats maya mia mila nadia nils noah nora olga oskar paul pia rosa ruth samir sara sofia theo tom ulla vera wanda yara yusuf zoe'
    .normalize('NFD')
    .replace(/[^a-z ]/g, '')
    .split(' ')
const lastNames =
  'abel almeida andersson bauer becker berg bianchi bos brandt carvalho conti costa cruz demir dubois duarte ekman ferrari fischer fontaine garcia girard gomes hansen hartmann hoffmann holm ito jansen keller kim klein kowalski kraus lambert lang larsen lehmann lind lopes maes marino martin meyer moreau moretti nakamura neumann nilsson novak okafor oliveira olsen peeters pereira petit ramos rossi roux santos sato schmid schulz silva simon sousa strand suzuki tanaka torres vidal visser vogel wagner weber winter wolf wright young zimmer'.split(
    ' ',
  )
const mailboxes = ['mailbox', 'postfach', 'inbox', 'webpost', 'letterbox', 'correio', 'posta']
const employers = ['nordwerk', 'hafenbank', 'brightline', 'ostermann-ag', 'caledon']
const countries: { code: string; share: number; ahead: number }[] = [
  { code: 'DE', share: 0.34, ahead: 1 },
  { code: 'GB', share: 0.14, ahead: 0 },
  { code: 'US', share: 0.12, ahead: -5 },
  { code: 'FR', share: 0.09, ahead: 1 },
  { code: 'NL', share: 0.08, ahead: 1 },
  { code: 'AT', share: 0.06, ahead: 1 },
  { code: 'PT', share: 0.06, ahead: 0 },
  { code: 'SE', share: 0.05, ahead: 1 },
  { code: 'CA', share: 0.03, ahead: -5 },
  { code: 'JP', share: 0.03, ahead: 9 },
]
const browsers = {
  mobile: [17, 18, 26].flatMap((major) => [
    `Mozilla/5.0 (iPhone; CPU iPhone OS ${major}_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${major}.2 Mobile/15E148 Safari/604.1`,
    `Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major + 114}.0.0.0 Mobile Safari/537.36`,
    `Mozilla/5.0 (Linux; Android 13; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major + 112}.0.0.0 Mobile Safari/537.36`,
  ]),
  desktop: [138, 140, 141, 142].flatMap((major) => [
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major}.0.0.0 Safari/537.36`,
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major}.0.0.0 Safari/537.36 Edg/${major}.0.0.0`,
    `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${major - 120}.1 Safari/605.1.15`,
    `Mozilla/5.0 (X11; Linux x86_64; rv:${major}.0) Gecko/20100101 Firefox/${major}.0`,
  ]),
  tablet: [
    'Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (Linux; Android 12; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/136.0.0.0 Safari/537.36',
  ],
}

/** Everybody who reads one of the publishers. */
export function inviteReaders({ random, below, pick, chance, delay }: Dice, countryOf: Countries): Reader[] {
  const addresses = addressesByCountry(below, countryOf)
  const country = () => {
    let left = random()
    for (const one of countries) {
      left -= one.share
      if (left < 0) return one
    }
    return countries[0]!
  }
  const known = new Set<string>()
  const readers: Reader[] = []
  const newcomer = (reads: number[]) => {
    const home = country()
    const scanned = chance(0.012)
    const at = scanned ? `${pick(employers)}.example` : `${pick(mailboxes)}.example`
    let email = `${pick(firstNames)}.${pick(lastNames)}@${at}`
    while (known.has(email)) email = email.replace(/\d*@/, `${2 + below(97)}@`)
    known.add(email)
    const own = random()
    const first = pick(own < 0.55 ? browsers.mobile : own < 0.94 ? browsers.desktop : browsers.tablet)
    const prefix = pick(addresses.get(home.code)!)
    readers.push({
      email,
      reads,
      address: `${prefix}.${1 + below(254)}`,
      userAgents: chance(0.3) ? [first, pick(browsers.desktop)] : [first],
      ahead: home.ahead,
      keen: Math.min(4, delay(0.8, 0.7)),
      scanned,
    })
  }
  publishers.forEach((publisher, index) => {
    // A third of each list is on another one too.
    for (const reader of readers) if (reader.reads.length < 4 && chance(0.09)) reader.reads.push(index)
    const missing = publisher.readers - readers.filter((reader) => reader.reads.includes(index)).length
    for (let added = 0; added < missing; added++) newcomer([index])
  })
  return readers
}

/** Some /24 networks of each country, found by looking at random ones. */
function addressesByCountry(below: Dice['below'], countryOf: Countries) {
  const found = new Map(countries.map(({ code }) => [code, [] as string[]]))
  const enough = 300
  for (let tries = 0; tries < 60_000; tries++) {
    const prefix = `${1 + below(222)}.${below(256)}.${below(256)}`
    const prefixes = found.get(countryOf(`${prefix}.1`) ?? '')
    if (prefixes && prefixes.length < enough) prefixes.push(prefix)
  }
  return found
}
