import { setImmediate as letOthersIn } from 'node:timers/promises'
import type { Db } from '../database/open.js'
import { readSetting } from '../database/settings.js'
import type { Ledger } from '../ledger/ledger.js'
import type { Calendar } from '../web/calendar.js'
import { contactBook } from './contacts.js'
import type { Countries } from './countries.js'
import { erasureBook, erasureFile } from './erasures.js'
import { importJournal } from './import-journal.js'
import type { Networks } from './networks.js'
import { type ImportRow, type PeopleFact, peopleRecorder } from './people.js'
import { engagementRecorder } from './record.js'
import { ContactRooms } from './rooms.js'

/** The setting that holds the address of the hidden link. */
export const canarySetting = 'canary_url'

/** Facts of one transaction when many are written in a row: doors wait for no more than these. */
const chunkSize = 100

interface Needs {
  db: Db
  ledger: Ledger
  calendar: Calendar
  countryOf: Countries
  networks: Networks
  dataDir: string
  /** The installation's own; what was erased is remembered under it. */
  secret: string
  now: () => number
}

/** The room of people: its recorders, entered in the ledger, and what may be done to contacts. */
export function openAudience({ db, ledger, calendar, countryOf, networks, dataDir, secret, now }: Needs) {
  const erasures = erasureBook({ db, secret })
  const contacts = contactBook({ db, erasures })
  const rooms = new ContactRooms()
  const canaryUrl = async (tx: Db) => (await readSetting(tx, canarySetting)) || null
  const engagements = engagementRecorder({ db, calendar, contacts, countryOf, networks, canaryUrl })
  const file = erasureFile(dataDir)
  const people = peopleRecorder({
    db,
    contacts,
    erasures,
    rooms,
    engagements,
    returned: (hashes, at) => file.append('-', hashes, at),
  })
  const engage = ledger.register(engagements.engagements)
  const change = ledger.register(people.people, { patient: true })
  const journal = importJournal(dataDir)

  /** Erasures are told to the file beside the database too, so that an older copy knows of them. */
  async function write(fact: PeopleFact) {
    const receipt = await change(fact)
    if (fact.do === 'erase') file.append('+', receipt.erased, fact.at)
    return receipt
  }

  /** A fact that is done in parts. */
  async function writeAll(fact: PeopleFact) {
    while ((await write(fact)).more);
  }

  async function writeImport(rows: ImportRow[]) {
    const counts = { added: 0, updated: 0, left: 0 }
    for (let from = 0; from < rows.length; from += chunkSize) {
      const part = rows.slice(from, from + chunkSize)
      const { added, left } = await write({ do: 'import', rows: part, at: now() })
      counts.added += added
      counts.left += left
      counts.updated += part.length - added - left
    }
    return counts
  }

  return {
    rooms,
    contacts,
    erasures,
    engagements,
    people,
    /** Records an engagement. */
    engage,
    /** Records what became of somebody. */
    write,

    /** Gives contacts our tags, by name, and takes them off; a name that is none yet becomes one. */
    async retag({ contacts: ids, add, remove }: { contacts: number[]; add: string[]; remove: string[] }) {
      for (let from = 0; from < Math.max(ids.length, 1); from += chunkSize)
        await write({ do: 'retag', contacts: ids.slice(from, from + chunkSize), add, remove, at: now() })
    },
    /** All contacts of a tag get another one, and the first is gone. */
    mergeTags: ({ from, into }: { from: number; into: number }) =>
      writeAll({ do: 'merge tags', from, into, at: now() }),
    deleteTag: (tag: number) => writeAll({ do: 'delete tag', tag }),
    /** Two contacts turn out to be one person. */
    mergeContacts: ({ from, into }: { from: number; into: number }) => write({ do: 'merge', from, into }),
    /**
     * Takes away all that tells who a contact is; facts and counts stay.
     * @throws Unknown when there is no such contact
     */
    erase: (contact: number) => write({ do: 'erase', contact, at: now() }),
    /**
     * Makes contacts of valid rows, or adds to those there are. A crash on the way does not leave half of them out.
     * @returns how many are new, how many were there, and how many were erased once and stay so
     */
    async importContacts(rows: ImportRow[]): Promise<{ added: number; updated: number; left: number }> {
      const done = journal.keep(rows)
      const counts = await writeImport(rows)
      done()
      return counts
    },
    /** Writes imports to their end that the last process began. @returns how many rows that were */
    async finishImports(): Promise<number> {
      let count = 0
      for (const { rows, done } of journal.unfinished()) {
        await writeImport(rows)
        done()
        count += rows.length
      }
      return count
    },
    /**
     * Makes the database and the file of erasures agree: whom a database that was put back from an older copy knows
     * again is erased anew, whom it has not met yet stays unknown.
     * @returns how many were erased
     */
    async eraseAgain(): Promise<number> {
      const wanted = file.read()
      const known = await db.selectFrom('erasures').select(['hash', 'erased_at']).execute()
      for (const { hash, erased_at } of known) if (!wanted.delete(hash)) file.append('+', [hash], erased_at)
      const erased = await eraseKnown(wanted)
      const unseen = new Map<number, string[]>()
      for (const [hash, at] of wanted) unseen.set(at, [...(unseen.get(at) ?? []), hash])
      for (const [at, hashes] of unseen) await write({ do: 'erase unseen', hashes, at })
      return erased
    },
  }

  /** Erases all contacts whose address is among these hashes. */
  async function eraseKnown(wanted: Map<string, number>): Promise<number> {
    let erased = 0
    for (let after = 0; wanted.size > 0; ) {
      const page = await db
        .selectFrom('contacts')
        .select(['id', 'email'])
        .where('id', '>', after)
        .where('erased_at', 'is', null)
        .orderBy('id')
        .limit(2_000)
        .execute()
      if (page.length === 0) break
      for (const { id, email } of page) {
        const at = wanted.get(erasures.hashOf(email))
        if (at === undefined) continue
        await write({ do: 'erase', contact: id, at })
        erased++
      }
      after = page[page.length - 1]!.id
      await letOthersIn()
    }
    return erased
  }
}
export type Audience = ReturnType<typeof openAudience>
