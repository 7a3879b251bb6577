import { expect, it } from 'vitest'
import { addFailure } from '../../../src/esp/runs.js'
import { aConnectedOctopus } from './connected.js'

it('leaves nothing of an erased contact in what was delivered or could not be fetched', async () => {
  const app = await aConnectedOctopus()
  const list = app.world.addList({ name: 'Weekly letter' })
  const [ada, ben] = ['ada', 'ben'].map((name) =>
    app.world.addContact(list, { email: `${name}@fernmail.example` }),
  ) as [ReturnType<typeof app.world.addContact>, ReturnType<typeof app.world.addContact>]
  const campaign = app.world.addCampaign({ subject: 'Issue 1', lists: [list] })
  const run = await app.sync()
  await app.deliver([app.world.open(campaign, ada), app.world.open(campaign, ben)]).expect(200)
  await app.read()
  for (const { id } of [ada, ben])
    await addFailure(app.db, {
      run_id: run.id,
      provider: 'emailoctopus',
      what: `Contact ${id}`,
      why: 'It cannot be recorded as it is; the log has the details.',
      failed_at: app.clock.now(),
    })
  const { id } = await app.db
    .selectFrom('contacts')
    .select('id')
    .where('email', '=', 'ada@fernmail.example')
    .executeTakeFirstOrThrow()

  await app.audience.erase(id)

  const bodies = (await app.db.selectFrom('inbox').select('body').execute()).flatMap(({ body }) =>
    body === null ? [] : Buffer.from(body).toString(),
  )
  expect(bodies).toHaveLength(1)
  expect(bodies[0]).toContain('ben@fernmail.example')
  expect(await app.db.selectFrom('sync_failures').select('what').execute()).toEqual([
    { what: `Contact ${ben.id}` },
  ])
})
