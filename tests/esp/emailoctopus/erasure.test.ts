import { describe, expect, it } from 'vitest'
import { addFailure } from '../../../src/esp/runs.js'
import { testStart } from '../../support/app.js'
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

describe('of whom was erased here and is still counted there', () => {
  const hour = 3_600_000

  /** Three contacts of a list, of whom Ada was erased after the first sync; and what of contacts a sync asks for. */
  async function withAdaErased() {
    const app = await aConnectedOctopus()
    const list = app.world.addList({ name: 'Weekly letter', at: testStart - 2_000 * hour })
    const [ada, ben] = ['ada', 'ben', 'cleo'].map((name) =>
      app.world.addContact(list, { email: `${name}@fernmail.example`, at: testStart - 1_000 * hour }),
    ) as [ReturnType<typeof app.world.addContact>, ReturnType<typeof app.world.addContact>]
    await app.sync()
    const { id } = await app.db
      .selectFrom('contacts')
      .select('id')
      .where('email', '=', 'ada@fernmail.example')
      .executeTakeFirstOrThrow()
    await app.audience.erase(id)
    const contactsAsked = async (hours = 1) => {
      app.clock.pass(hours * hour)
      const before = app.standIn.requests.length
      await app.sync('nightly')
      return app.standIn.requests
        .slice(before)
        .flatMap(({ path, query }) =>
          path.endsWith('/contacts')
            ? `${query.get('status')}${query.has('last_updated_at.gte') ? ' changed' : ''}`
            : [],
        )
    }
    return { app, world: app.world, ada, ben, contactsAsked }
  }
  const changed = ['subscribed changed', 'unsubscribed changed', 'pending changed']

  it('a sync asks for nothing, as if nobody had been erased', async () => {
    const { app, contactsAsked } = await withAdaErased()
    expect(await contactsAsked()).toEqual([])
    expect(await contactsAsked(24)).toEqual(changed)
    expect(await contactsAsked()).toEqual([])
    const erased = await app.db
      .selectFrom('contacts')
      .selectAll()
      .where('erased_at', 'is not', null)
      .execute()
    expect(erased).toMatchObject([{ name: '', status: null }])
  })

  it.each(['sync', 'webhook'])('a sync follows when they leave and are deleted, by %s', async (by) => {
    const { app, world, ada, contactsAsked } = await withAdaErased()
    const told = async (happening: ReturnType<typeof world.unsubscribe>) => {
      if (by === 'sync') return
      await app.deliver([happening]).expect(200)
      await app.read()
    }
    app.clock.pass(hour)
    await told(world.unsubscribe(null, ada, { at: app.clock.at }))
    expect(await contactsAsked()).toEqual(by === 'sync' ? changed : [])
    expect(await contactsAsked()).toEqual([])
    app.clock.pass(24 * hour)
    await told(world.deleteContact(ada, { at: app.clock.at }))
    await contactsAsked()
    expect(await contactsAsked()).toEqual([])
    expect(await app.db.selectFrom('contacts').select('id').execute()).toHaveLength(3)
  })

  it('what is new comes all the same, and who is deleted is missed', async () => {
    const { app, world, ben, contactsAsked } = await withAdaErased()
    app.clock.pass(25 * hour)
    world.deleteContact(ben, { at: app.clock.at })
    await contactsAsked()
    const statuses = await app.db
      .selectFrom('subscriptions')
      .innerJoin('contacts', 'contacts.id', 'contact_id')
      .select('subscriptions.status')
      .where('email', '=', 'ben@fernmail.example')
      .execute()
    expect(statuses).toEqual([{ status: 'removed' }])
    expect(await contactsAsked()).toEqual([])
  })
})
