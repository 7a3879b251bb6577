import Sqlite from 'better-sqlite3'
import { expect, it, vi } from 'vitest'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'

/** Tables that grow with the events or with the years. */
const large = 'events|journeys|contacts|journey_counts|domain_counts|campaign_hours|campaign_days|day|hour'

it.each([
  '/',
  '/?days=7&state=all&q=a',
  '/campaign/1',
  '/campaign/1?range=all&machines=1',
  '/campaign/1/stats',
  '/campaign/1/domains',
  '/campaign/1/series?range=30d',
  '/campaign/1/integration',
  '/last-event',
])('reads no large table through for %s', async (path) => {
  const app = await testApp()
  await aCampaign(app)
  await anEvent(app, { cid: 1 })
  const prepare = vi.spyOn(Sqlite.prototype, 'prepare')
  const person = await aPerson(app)
  await person.part(path).expect(200)
  await person.http.get(path).expect(200)
  const texts = prepare.mock.calls.map(([text]) => text).filter((text) => text.startsWith('select'))
  prepare.mockRestore()

  const file = new Sqlite(app.path, { readonly: true })
  const plans = texts.flatMap((text) => {
    const { length } = text.match(/\?/g) ?? []
    const steps = file.prepare(`explain query plan ${text}`).all(Array(length).fill(null)) as {
      detail: string
    }[]
    return steps.map(({ detail }) => detail)
  })
  file.close()
  expect(plans.length).toBeGreaterThan(0)
  expect(plans.filter((step) => new RegExp(`^SCAN (${large})\\b`).test(step))).toEqual([])
})
