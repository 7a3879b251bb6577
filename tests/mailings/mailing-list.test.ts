import { expect, it } from 'vitest'
import { engagementColumns, receptionColumns } from '../../src/audience/receptions.js'
import { listAllMailings } from '../../src/mailings/mailing-list.js'
import { getMailing } from '../../src/mailings/queries.js'
import { reportNumbers } from '../../src/mailings/record.js'
import { testApp, testStart } from '../support/app.js'
import { aList, aMailing } from '../support/audience.js'

it('reads each number of a mailing from its own column, as the page of one does', async () => {
  const app = await testApp()
  const list = await aList(app)
  const { id } = await aMailing(app, {
    name: 'Issue “112”, \\ and \u2028 all',
    subject: 'A subject',
    from_name: 'Maren',
    from_address: 'maren@slowmornings.example',
    url: 'https://slowmornings.example/112',
    sent_at: testStart - 1_000,
    list_id: list.id,
  })
  // Every column has a value that no other has.
  const distinct = (names: readonly string[], first: number) =>
    Object.fromEntries(names.map((name, index) => [name, first + index]))
  const counts = { ...distinct(engagementColumns, 100), ...distinct(receptionColumns, 200) }
  const report = distinct(reportNumbers, 300)
  await app.db
    .insertInto('mailing_counts')
    .values({ mailing_id: id, last_at: testStart - 7, ...counts } as never)
    .execute()
  await app.db
    .insertInto('mailing_reports')
    .values({ mailing_id: id, checked_at: testStart - 5, ...report } as never)
    .execute()

  for (const machines of [false, true]) {
    const [listed] = await listAllMailings(app.readers, { machines })
    expect(listed).toMatchObject(await getMailing(app.db, id, { machines }))
  }
  const [listed] = await listAllMailings(app.readers, { machines: false })
  expect(listed!.counts).toEqual(distinct(engagementColumns, 100))
  expect(listed!.receptions).toEqual(distinct(receptionColumns, 200))
  expect(listed!.report).toEqual({ ...report, checked_at: testStart - 5 })
  expect(listed).toMatchObject({
    subject: 'A subject',
    from_name: 'Maren',
    from_address: 'maren@slowmornings.example',
    lists: [list],
    last_at: testStart - 7,
    age_at: testStart - 1_000,
  })
})
