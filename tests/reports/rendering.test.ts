import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aMailedYear } from '../support/mailings.js'
import { aPerson } from '../support/person.js'
import { aReportOf, figureOf } from '../support/reports.js'

describe('a rendering', () => {
  it('says of one mailing what the page of that mailing says', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const { theirs, ours } = await aMailedYear(app)
    for (const mailing of [theirs.at(-1)!, ours.at(-1)!]) {
      const report = await aReportOf(app, { subjects: { mailings: [mailing.id] } })

      const answer = await send(`/reports/${report.id}/renderings`, {}).expect(303)
      const page = await http.get(answer.headers.location!).expect(200)
      const own = await http.get(`/mailings/${mailing.id}`).expect(200)

      for (const id of ['open-rate', 'click-rate', 'click-to-open', 'bounce-rate', 'unsubscribe-rate'])
        expect(figureOf(page.text, `tile-${id}`), id).toBe(figureOf(own.text, id))
    }
  })
})
