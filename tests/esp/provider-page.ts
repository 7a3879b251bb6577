import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { TestApp } from '../support/app.js'
import type { aPerson } from '../support/person.js'

// What tests of every provider's pages have in common.

/** Two days of deliveries, five minutes apart, so that what is usual can be told. */
export async function deliveredUntil({ db }: Pick<TestApp, 'db'>, provider: string, last: number) {
  const rows = Array.from({ length: 600 }, (_, index) => ({
    provider,
    key: `delivery-${index}`,
    event_type: 'a.test',
    received_at: last - index * 300_000,
    body: null,
    state: 'done' as const,
    try_at: null,
  }))
  for (let from = 0; from < rows.length; from += 100)
    await db
      .insertInto('inbox')
      .values(rows.slice(from, from + 100))
      .execute()
}

/** What a person reads. */
export const words = (html: string) =>
  html
    .replace(/<[^>]*>/g, ' ')
    .replace(/&#39;/g, "'")
    .replace(/\s+/g, ' ')
    .replace(/ ([.,:])/g, '$1')

/** A file of the data folder as bytes in one string. */
export const bytesOf = (dataDir: string, file: string) => readFileSync(join(dataDir, file)).toString('latin1')

/** The part that shows how far a sync is: it has a bar, and is not sent again while nothing has moved. */
export async function expectProgress(person: Awaited<ReturnType<typeof aPerson>>, path: string) {
  const part = await person.part(path).expect(200)
  expect(part.text).toMatch(/^<div class="stack" id="sync"/)
  expect(part.text).toMatch(/<progress max="100" value="[\d.]+"/)
  await person.part(path).set('X-Refresh', '1').set('HX-PTag', part.get('HX-PTag')!).expect(304)
}
