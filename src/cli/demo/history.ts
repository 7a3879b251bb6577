import type { EventKind } from '../../campaigns/kinds.js'
import type { Dice, Reader } from './readers.js'
import { publishers, type Story } from './stories.js'

/** What happened, before anybody has judged it. */
export interface Happening {
  at: number
  /** Position in the stories. */
  story: number
  kind: EventKind
  reader: Reader
  domain: string
  link: string | null
  address: string | null
  userAgent: string | null
  extra: Record<string, string> | null
  callerId: string | null
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const scanner =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36'
const namedScanners = [
  'Barracuda Sentinel (EE)',
  'Mozilla/5.0 (compatible; LinkScanner-bot/2.1; +https://scan.example/bot)',
]
const contents = ['hero', 'second-story', 'button', 'footer']

/**
 * Everything that happened in the stories up to now, in order: sends with their peaks and long tails, days and nights,
 * people who come back on another domain, orders nobody clicked for, scanners, a crowd behind one address.
 */
export function tellHistory(stories: Story[], readers: Reader[], dice: Dice, now: number): Happening[] {
  const { random, below, pick, chance, delay } = dice
  const happenings: Happening[] = []
  let order = 10_400

  const readersOf = new Map(
    publishers.map(({ domain }, index) => [domain, readers.filter((reader) => reader.reads.includes(index))]),
  )
  /** People sleep: an instant in their night moves to the morning, mostly. */
  const awake = (at: number, { ahead }: Reader) => {
    const local = new Date(at + ahead * hour).getUTCHours()
    return local < 6 && chance(0.85) ? at + (6 - local) * hour + random() * 2 * hour : at
  }

  stories.forEach((story, number) => {
    const end = story.archivedDaysAgo === undefined ? now : now - story.archivedDaysAgo * day
    const begin = now - story.madeDaysAgo * day
    const tell = (happening: Omit<Happening, 'story' | 'callerId'> & { callerId?: string }) => {
      const silent = story.silent
      if (silent?.domain === happening.domain && happening.at > now - silent.daysAgo * day) return
      if (happening.at < begin || happening.at > Math.min(end, now - 20 * second)) return
      happenings.push({ callerId: null, ...happening, at: Math.floor(happening.at), story: number })
    }

    function visit(reader: Reader, domain: string, at: number, address = reader.address) {
      const userAgent = pick(reader.userAgents)
      const link = String(1 + Math.min(below(4), below(4)))
      const common = { reader, domain, address, userAgent }
      const extra = chance(0.7)
        ? { utm_content: contents[Number(link) - 1]!, utm_source: 'newsletter' }
        : null
      tell({ ...common, at, kind: 'email_click', link, extra })
      if (chance(0.06)) tell({ ...common, at: at + delay(3 * hour), kind: 'email_click', link, extra })
      if (!chance(story.lands)) return
      // Some browsers load what they expect to need: the landing comes too soon to be a person's.
      const landedAt = at + (chance(0.012) ? 150 + below(600) : Math.max(1200, delay(20 * second)))
      tell({ ...common, at: landedAt, kind: 'landing_click', link: null, extra: null })
      if (!chance(story.buys / (1 + (domain.length % 3) * 0.25))) return
      buy(reader, domain, landedAt + Math.max(90 * second, delay(25 * minute, 1.6)))
    }

    function buy(reader: Reader, domain: string, at: number) {
      const value = pick(['19.00', '24.00', '39.00', '49.00', '89.00'])
      const name = `A-${++order}`
      const extra = { order: name, value, currency: 'EUR' }
      // The shop's server tells of it: nobody's browser is known.
      tell({
        reader,
        domain,
        at,
        kind: 'conversion',
        link: null,
        address: null,
        userAgent: null,
        extra,
        callerId: name,
      })
    }

    function scan(reader: Reader, domain: string, at: number) {
      const userAgent = chance(0.6) ? scanner : pick(namedScanners)
      const address = `40.94.${below(8)}.${1 + below(254)}`
      const links = 3 + below(3)
      for (let link = 1; link <= links; link++)
        tell({
          reader,
          domain,
          at: at + link * (200 + below(900)),
          kind: 'email_click',
          link: String(link),
          address,
          userAgent,
          extra: null,
        })
    }

    for (const domain of story.domains) {
      const list = readersOf.get(domain)!
      for (const send of story.sends) {
        const sentAt =
          Math.floor((now - send.daysAgo * day) / day) * day + send.hour * hour + below(20) * minute
        for (const reader of list) {
          if (reader.scanned && chance(0.4)) scan(reader, domain, sentAt + delay(40 * second))
          if (chance(send.clicks * 0.36 * reader.keen))
            visit(reader, domain, awake(sentAt + 2 * minute + delay(100 * minute, 1.3), reader))
        }
        // A class opens its letter together, behind the school's one address.
        if (story.name === 'Language course, summer places' && send.daysAgo % 21 === 3)
          for (let pupil = 0; pupil < 85; pupil++)
            visit(pick(list), domain, sentAt + 3 * hour + pupil * 550, '145.97.20.9')
      }
      const days = (end - begin) / day
      const visits = Math.round((story.steady * days) / story.domains.length)
      for (let count = 0; count < visits; count++) {
        const reader = pick(list)
        visit(reader, domain, awake(begin + random() * (end - begin), reader))
      }
      // Orders that nobody's click explains: by telephone, or from a letter passed on.
      for (let count = 0; count < visits * story.buys * 0.12; count++)
        buy(pick(list), domain, begin + random() * (end - begin))
      // The last hours, whatever the time of day, so that nothing looks abandoned.
      if (story.archivedDaysAgo === undefined)
        for (let count = 0; count < 3 + story.steady / 8; count++)
          visit(pick(list), domain, now - minute * (1 + below(100)))
    }
  })
  return happenings.sort((one, other) => one.at - other.at)
}
