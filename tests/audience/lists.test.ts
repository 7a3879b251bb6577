import { describe, expect, it } from 'vitest'
import type { SubscriptionStatus } from '../../src/audience/subscriptions.js'
import { dayLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aList } from '../support/audience.js'
import { aPerson } from '../support/person.js'

/** An app whose subscribers are told as a provider does: with all that became of them, and when. */
async function subscribers() {
  const app = await testApp()
  const { http } = await aPerson(app)
  let people = 0
  return {
    ...app,
    http,
    async subscriber(listId: number, ...changes: [daysAgo: number, status: SubscriptionStatus][]) {
      const email = `reader-${++people}@fernmail.example`
      const told = changes.map(([daysAgo, status]) => ({ at: testStart - daysAgo * dayLength, status }))
      const last = told.at(-1)!
      const { contact } = await app.audience.write({
        do: 'subscriber',
        subscriber: {
          provider: 'buttondown',
          providerId: email,
          listId,
          email,
          name: '',
          status: last.status,
          providerStatus: '',
          source: 'api',
          subscribedAt: told[0]!.at,
          unsubscribedAt: last.status === 'unsubscribed' ? last.at : null,
          changes: told,
          tags: null,
          seenAt: testStart,
        },
      })
      return contact!
    },
  }
}

describe('the lists', () => {
  it('say where lists come from as long as there is none', async () => {
    const { http } = await subscribers()
    expect((await http.get('/lists').expect(200)).text).toContain('connect Buttondown')
  })

  it('stand with who is on them now, and how they grew in thirty days', async () => {
    const app = await subscribers()
    const { id } = await aList(app, { name: 'Slow Mornings' })
    for (let reader = 0; reader < 4; reader++) await app.subscriber(id, [100, 'subscribed'])
    await app.subscriber(id, [3, 'subscribed'])
    await app.subscriber(id, [200, 'subscribed'], [5, 'unsubscribed'])
    await app.subscriber(id, [200, 'subscribed'], [150, 'unsubscribed'])
    // Paused and back again is neither growth nor churn; somebody who came back has joined once more.
    await app.subscriber(id, [90, 'subscribed'], [20, 'paused'], [10, 'subscribed'])
    await app.subscriber(id, [200, 'subscribed'], [150, 'unsubscribed'], [2, 'subscribed'])

    const page = (await app.http.get('/lists').expect(200)).text
    const row = new RegExp(`<tr id="list-${id}">[\\s\\S]*?</tr>`).exec(page)![0]
    expect(row).toContain(`href="/lists/${id}"`)
    expect(row).toContain(`href="/audience/over-time?list=${id}"`)
    expect(row).toContain('>Buttondown<')
    expect(row).toContain('class="num tell" data-value="7"')
    expect(row).toContain('data-label="Joined" data-value="2"')
    expect(row).toContain('data-label="Left" data-value="1"')
    // Six were there thirty days ago, and one of them left.
    expect(row).toMatch(/data-label="Churn" data-value="0\.1666/)
    expect(row).toContain('from 6 to 7')
  })
})
