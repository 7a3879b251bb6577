import Sqlite from 'better-sqlite3'
import { expect, it, vi } from 'vitest'
import { testApp } from '../support/app.js'
import { aPromo, tellClick } from '../support/promos.js'

it('looks for an earlier click of the same reader in the spells around it alone', async () => {
  const app = await testApp()
  const { ids } = await aPromo(app)
  const prepare = vi.spyOn(Sqlite.prototype, 'prepare')
  await tellClick(app, { variation_id: ids[0], ip_address: '203.0.113.7' }).expect(204)
  const text = prepare.mock.calls.map(([said]) => said).find((said) => said.includes('into "promo_clicks"'))!
  prepare.mockRestore()

  const file = new Sqlite(app.path, { readonly: true })
  const { length } = text.match(/\?/g)!
  const steps = file.prepare(`explain query plan ${text}`).all(Array(length).fill(null)) as {
    detail: string
  }[]
  file.close()
  expect(steps.map(({ detail }) => detail).filter((detail) => detail.includes('others'))).toEqual([
    'SEARCH others USING INDEX promo_clicks_again (<expr>=? AND <expr>=?)',
  ])
})
