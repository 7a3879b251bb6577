import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ButtondownClient, type ButtondownOptions } from '../../../src/esp/buttondown/client.js'
import { instant } from '../../../src/esp/lenient.js'
import { ProviderError } from '../../../src/esp/provider-error.js'
import { handClock, leapingClock, settled } from '../../support/hand-clock.js'
import { aButtondown, everything } from './stand-in.js'

const key = 'key-that-nobody-may-see'

/** A server that gives each request the next of these answers, and the last one ever after. */
async function answering(
  answers: ((response: ServerResponse) => void)[],
  options: Partial<ButtondownOptions> = {},
) {
  const seen: { url: string; method: string; headers: Record<string, unknown>; body: string }[] = []
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    seen.push({
      url: request.url!,
      method: request.method!,
      headers: request.headers,
      body: Buffer.concat(parts).toString(),
    })
    answers[Math.min(seen.length, answers.length) - 1]!(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const clock = leapingClock()
  const baseUrl = `http://127.0.0.1:${port}/v1`
  const client = new ButtondownClient({ key, baseUrl, clock, perMinute: null, ...options })
  return { client, clock, seen, baseUrl }
}

const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
const account = answer(200, { username: 'long-line', email_address: 'author@example.com' })
const page = (results: unknown[], next: string | null = null) =>
  answer(200, { results, next, count: results.length })

/** The ProviderError that a call ends in. */
async function failure(call: Promise<unknown>) {
  const error = await call.then(
    () => null,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(ProviderError)
  return error as ProviderError
}

describe('what the client reads', () => {
  it('reads an account and its newsletters, and leaves their key behind', async () => {
    const { client, world } = await aButtondown()
    expect(await client.account()).toEqual({ username: 'long-line', email: 'author@example.com' })
    expect(await client.newsletters()).toEqual([
      {
        id: world.newsletter.id,
        name: 'The Long Line',
        username: 'long-line',
        testMode: false,
        enabledFeatures: ['tracking', 'webhooks'],
      },
    ])
  })

  it('reads a subscriber by id in any spelling, and by address', async () => {
    const { client, world, clock } = await aButtondown()
    const at = clock.now() - 86_400_000
    const ada = world.addSubscriber({
      email: 'ada+news@example.com',
      at,
      tags: ['beta'],
      metadata: { first_name: 'Ada', deep: { er: 1 } },
      country: 'GB',
    })
    const letter = world.addEmail({ subject: 'Letter' })
    world.changeEmail(ada, 'ada/1@example.com', { at: at + 1000 })
    world.addEvent({ type: 'delivered', subscriber: ada, email: letter, at: at + 2000 })
    world.addEvent({ type: 'opened', subscriber: ada, email: letter, at: at + 3000 })
    world.addEvent({ type: 'bounced', subscriber: ada, at: at + 4000, metadata: { code: 'transient' } })
    world.unsubscribe(ada, { at: at + 5000, reason: 'Too many' })
    const expected = {
      id: ada.id,
      email: 'ada/1@example.com',
      type: 'unsubscribed',
      source: 'embedded_form',
      tags: ['beta'],
      metadata: { first_name: 'Ada', deep: { er: 1 } },
      notes: '',
      country: 'GB',
      ipAddress: null,
      referrerUrl: null,
      createdAt: at,
      lastOpenAt: at + 3000,
      lastClickAt: null,
      deliveredCount: 1,
      openCount: 1,
      clickCount: 0,
      unsubscribedAt: at + 5000,
      unsubscriptionReason: 'Too many',
      bouncedAt: at + 4000,
      bounceReason: 'transient',
      undeliverableAt: null,
      undeliverabilityReason: null,
      transitions: [
        { at, type: 'regular' },
        { at: at + 5000, type: 'unsubscribed' },
      ],
      emailTransitions: [{ at: at + 1000, from: 'ada+news@example.com', to: 'ada/1@example.com' }],
    }
    expect(await client.subscriber(ada.id)).toEqual(expected)
    expect(await client.subscriber(`sub_${ada.id}`)).toEqual(expected)
    expect(await client.subscriber('ada/1@example.com')).toEqual(expected)
  })

  it('reads emails and their counts in both spellings of page views', async () => {
    const { client, world, buttondown, clock } = await aButtondown()
    const sent = world.addEmail({ subject: 'Letter one' })
    const draft = world.addEmail({ subject: 'Letter two', status: 'draft' })
    const [first, second] = await everything(client.emails())
    expect(first).toMatchObject({
      id: sent.id,
      subject: 'Letter one',
      status: 'sent',
      url: 'https://buttondown.com/long-line/archive/letter-one/',
      createdAt: clock.now(),
      publishedAt: clock.now(),
      analytics: { opens: 0, pageViews: 140 },
    })
    expect(second).toMatchObject({ id: draft.id, status: 'draft', publishedAt: null, analytics: null })
    expect(buttondown.requests[0]!.query.get('excluded_fields')).toBe('body')
    expect(await client.email(draft.id)).toEqual(second)
    const counts = await client.emailAnalytics(sent.id)
    expect(counts).toMatchObject({ pageViews: 140, pageViews30Days: 60, pageViews7Days: 12 })
    buttondown.weather.oldPageViews = true
    expect(await client.emailAnalytics(sent.id)).toEqual(counts)
  })

  it('reads tags and events', async () => {
    const { client, world, clock } = await aButtondown()
    const tag = world.addTag({ name: 'beta', description: 'Early readers' })
    const ada = world.addSubscriber({ email: 'ada@example.com' })
    const letter = world.addEmail({ subject: 'Letter' })
    const metadata = {
      url: 'https://example.com/post',
      ip_address: '203.0.113.9',
      os: 'iOS',
      browser: 'Safari',
    }
    const clicked = world.addEvent({ type: 'clicked', subscriber: ada, email: letter, metadata })
    world.addEvent({ type: 'delivered', subscriber: ada })
    expect(await client.tags()).toEqual([
      { id: tag.id, name: 'beta', color: '#0069FF', description: 'Early readers', createdAt: clock.now() },
    ])
    const event = {
      id: clicked.id,
      type: 'clicked',
      at: clock.now(),
      subscriberId: ada.id,
      emailId: letter.id,
      automationId: null,
      metadata,
    }
    expect(await client.event(clicked.id)).toEqual(event)
    expect(await everything(client.events({ emailId: letter.id }))).toEqual([event])
    expect(await everything(client.events({ type: 'delivered', subscriberId: ada.id }))).toMatchObject([
      { emailId: null },
    ])
  })

  it('reads rows that lack what may be missing, with values nobody knew of', async () => {
    const { client } = await answering([
      page([
        {
          id: 'sub_0k28edc3fw896bp4mrhc535z5k',
          creation_date: '2026-05-04T08:15:30',
          email_address: 'ada@example.com',
        },
        {
          id: 'an id of 2031',
          creation_date: '2026-05-04T10:15:30.123456+02:00',
          email_address: 'ben@example.com',
          type: 'enthusiastic',
          tags: ['beta', 7, null],
          metadata: ['odd'],
          open_count: 'many',
          last_open_date: 'never',
          transitions: [{ date: '2026-05-05T00:00:00Z', type: 'regular' }, { type: 'odd' }, null],
          brand_new: { field: true },
        },
      ]),
    ])
    const [ada, ben] = await everything(client.subscribers())
    expect(ada).toMatchObject({
      id: '13121cd6-0dfc-424c-bb12-988b0a32fcb3',
      createdAt: Date.UTC(2026, 4, 4, 8, 15, 30),
      type: '',
      tags: [],
      metadata: {},
      transitions: [],
      openCount: null,
    })
    expect(ben).toMatchObject({
      id: 'an id of 2031',
      createdAt: Date.UTC(2026, 4, 4, 8, 15, 30, 123),
      type: 'enthusiastic',
      tags: ['beta'],
      metadata: {},
      openCount: null,
      lastOpenAt: null,
      transitions: [{ at: Date.UTC(2026, 4, 5), type: 'regular' }],
    })
  })

  it('counts the rows it cannot read instead of losing the page', async () => {
    const { client } = await answering([
      page([
        {
          id: '13121cd6-0dfc-424c-bb12-988b0a32fcb3',
          creation_date: '2026-05-04T08:15:30Z',
          event_type: 'opened',
        },
        { id: 'b', creation_date: 'soon', event_type: 'opened', metadata: {} },
        {
          id: 'c',
          creation_date: '2026-05-04',
          event_type: 'seen',
          metadata: { code: 5, url: null, os: 'iOS' },
        },
        'nonsense',
      ]),
    ])
    for await (const { items, unreadable } of client.events()) {
      expect(unreadable).toBe(2)
      expect(items).toMatchObject([
        { id: '13121cd6-0dfc-424c-bb12-988b0a32fcb3', metadata: {} },
        { id: 'c', type: 'seen', at: Date.UTC(2026, 4, 4), metadata: { code: '5', os: 'iOS' } },
      ])
    }
  })

  it.each([
    ['2025-03-19T13:37:08.993613Z', Date.UTC(2025, 2, 19, 13, 37, 8, 993)],
    ['2025-03-19T13:37:08.993613+00:00', Date.UTC(2025, 2, 19, 13, 37, 8, 993)],
    ['2025-03-19T13:37:08.993613', Date.UTC(2025, 2, 19, 13, 37, 8, 993)],
    ['2025-03-19T13:37:08', Date.UTC(2025, 2, 19, 13, 37, 8)],
    ['2025-03-19 13:37:08', Date.UTC(2025, 2, 19, 13, 37, 8)],
    ['2025-03-19T13:37:08-0530', Date.UTC(2025, 2, 19, 19, 7, 8)],
    ['2025-03-19t13:37z', Date.UTC(2025, 2, 19, 13, 37)],
    ['2025-03-19', Date.UTC(2025, 2, 19)],
    ['2025-13-45T00:00:00Z', null],
    ['19 March 2025', null],
    ['1742391428', null],
    ['', null],
  ])('takes the timestamp %j for %s', (text, at) => {
    expect(instant(text)).toBe(at)
  })
})

describe('walking pages', () => {
  it('tells each page’s number, the next and the count, and begins where it is told', async () => {
    const { client, world } = await aButtondown()
    for (let number = 1; number <= 5; number++) world.addSubscriber({ email: `reader${number}@example.com` })
    const ada = world.subscribers.rows[0]!
    for (let number = 1; number <= 5; number++)
      world.addEvent({ type: 'opened', subscriber: ada, at: number })
    const walk = async (startPage?: number) => {
      const pages: unknown[] = []
      for await (const { items, ...rest } of client.events({ pageSize: 2, startPage }))
        pages.push([items.map(({ at }) => at), rest])
      return pages
    }
    const all = [
      [[1, 2], { page: 1, next: 2, count: 5, unreadable: 0 }],
      [[3, 4], { page: 2, next: 3, count: 5, unreadable: 0 }],
      [[5], { page: 3, next: null, count: 5, unreadable: 0 }],
    ]
    expect(await walk()).toEqual(all)
    expect(await walk(2)).toEqual(all.slice(1))
  })

  it('misses nothing that comes in while it walks forth', async () => {
    const { client, world } = await aButtondown()
    const ada = world.addSubscriber({ email: 'ada@example.com' })
    for (let number = 1; number <= 4; number++) world.addEvent({ type: 'opened', subscriber: ada })
    const seen: string[] = []
    for await (const { items, page } of client.events({ pageSize: 2 })) {
      seen.push(...items.map(({ id }) => id))
      if (page < 3) world.addEvent({ type: 'opened', subscriber: ada })
    }
    expect(seen).toEqual(world.events.rows.map(({ id }) => id))
  })

  it('asks ahead for the next page, and tells of its failure when it is its turn', async () => {
    const { client, world, buttondown } = await aButtondown({ client: { tries: 1 } })
    const ada = world.addSubscriber({ email: 'ada@example.com' })
    for (let number = 1; number <= 6; number++) world.addEvent({ type: 'opened', subscriber: ada })
    const pages: number[] = []
    const walk = async () => {
      for await (const { page } of client.events({ pageSize: 2, ahead: true })) {
        pages.push(page)
        if (page < 3) await buttondown.arrived(page + 1) // it would wait for ever otherwise
        if (page === 1) buttondown.weather.faults = 1
      }
    }
    await expect(walk()).rejects.toThrow('fault')
    expect(pages).toEqual([1, 2])
  })

  it.each(['empty', 404] as const)('ends where a page is gone and the answer is %s', async (beyond) => {
    const { client } = await aButtondown({ weather: { beyond } })
    expect(await everything(client.events({ startPage: 9 }))).toEqual([])
  })

  it('sends the key to no other host', async () => {
    const elsewhere = await answering([page([])])
    for (const link of [
      `${elsewhere.baseUrl}/events?page=2`,
      'https://api.buttondown.email/v1/events?page=2',
      'https://127.0.0.1/v1/events?page=2',
      '//evil.example/v1/events?page=2',
      'file:///etc/passwd',
      'http://[nonsense',
    ]) {
      const { client, seen } = await answering([page([], link)])
      const error = await failure(everything(client.events()))
      expect(error.kind).toBe('invalid')
      expect(error.message).toContain('leads to another host')
      expect(seen).toHaveLength(1)
    }
    expect(elsewhere.seen).toEqual([])

    const { client, buttondown, world } = await aButtondown({ pageLength: 1 })
    world.addEmail({ subject: 'One' })
    world.addEmail({ subject: 'Two' })
    buttondown.weather.nextOrigin = 'https://api.buttondown.email'
    expect((await failure(everything(client.emails()))).kind).toBe('invalid')
    buttondown.weather.nextOrigin = buttondown.url.replace('http:', 'https:').replace('/v1', '')
    expect((await failure(everything(client.emails()))).kind).toBe('invalid')
  })

  it('follows no redirect', async () => {
    const elsewhere = await answering([account])
    const { client } = await answering([answer(302, '', { Location: `${elsewhere.baseUrl}/accounts/me` })])
    const error = await failure(client.account())
    expect([error.kind, error.status]).toEqual(['invalid', 302])
    expect(elsewhere.seen).toEqual([])
  })

  it('follows a link without a host, and does not run in a circle', async () => {
    const { client, seen } = await answering([
      page([], '/v1/events?page=2'),
      page([], '/v1/events?page=1'),
      page([], '/v1/events?page=2'),
    ])
    const error = await failure(everything(client.events()))
    expect(error.message).toContain('circle')
    expect(seen.map(({ url }) => url).slice(1)).toEqual(['/v1/events?page=2', '/v1/events?page=1'])
  })
})

describe('trying again', () => {
  it.each([
    ['seconds', { 'Retry-After': '7' }],
    ['a date', { 'Retry-After': 'Sat, 21 Nov 2026 10:00:07 GMT', Date: 'Sat, 21 Nov 2026 10:00:00 GMT' }],
    [
      'a date by a clock that is an hour slow',
      { 'Retry-After': 'Sat, 21 Nov 2026 09:00:07 GMT', Date: 'Sat, 21 Nov 2026 09:00:00 GMT' },
    ],
  ])('waits as Retry-After says in %s', async (_, headers) => {
    const { client, clock, seen } = await answering([answer(429, { detail: 'Slow down' }, headers), account])
    expect(await client.account()).toEqual({ username: 'long-line', email: 'author@example.com' })
    expect(clock.waits).toEqual([7000])
    expect(seen).toHaveLength(2)
  })

  it('backs off twice as long each time, with full jitter, and gives up after so many tries', async () => {
    const { client, clock, seen } = await answering([answer(503, 'down')], { random: () => 0.5, tries: 9 })
    const error = await failure(client.account())
    expect(error).toMatchObject({ kind: 'unavailable', status: 503, passes: true })
    expect(seen).toHaveLength(9)
    expect(clock.waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000])
    const none = await answering([answer(500, 'down')], { random: () => 0 })
    await failure(none.client.account())
    expect(none.clock.waits).toEqual([0, 0, 0, 0, 0])
  })

  it('gives up at once when it would have to wait too long', async () => {
    const { client, seen } = await answering([answer(429, { detail: 'Slow down' }, { 'Retry-After': '600' })])
    const error = await failure(client.account())
    expect(error).toMatchObject({ kind: 'rate', retryIn: 600_000 })
    expect(error.message).toBe('Buttondown takes no more requests at the moment. It asks to wait 10 minutes.')
    expect(seen).toHaveLength(1)
  })

  it.each([400, 401, 403, 404, 409, 422])('does not try again after %s', async (status) => {
    const { client, seen } = await answering([answer(status, { detail: 'No' })])
    await failure(client.account())
    expect(seen).toHaveLength(1)
  })

  it('tries again after a broken connection', async () => {
    const { client, seen } = await answering([
      (response) => response.destroy(),
      (response) => {
        response.writeHead(200, { 'Content-Length': '1000' })
        response.write('{"username":', () => response.destroy())
      },
      account,
    ])
    expect((await client.account()).username).toBe('long-line')
    expect(seen).toHaveLength(3)
  })

  it('says so when nobody answers at all', async () => {
    const { client, buttondown } = await aButtondown()
    await buttondown.close()
    const error = await failure(client.account())
    expect(error).toMatchObject({ kind: 'unavailable', status: null })
    expect(error.message).toBe('Buttondown cannot be reached (ECONNREFUSED).')
  })

  it('lets no try take longer than its time', async () => {
    const { client, buttondown, clock } = await aButtondown({ client: { tries: 2 } })
    const release = buttondown.hold()
    const failed = failure(client.account())
    await buttondown.arrived(1)
    clock.runOut()
    await buttondown.arrived(2)
    clock.runOut()
    expect((await failed).message).toBe('Buttondown gave no answer within 20 seconds.')
    release()
  })

  it('stops at once when it is cancelled, whether it asks or waits', async () => {
    const { client, buttondown } = await aButtondown()
    buttondown.hold()
    const asking = new AbortController()
    const asked = client.account({ signal: asking.signal })
    await buttondown.arrived(1)
    asking.abort(new Error('Cancelled by Ada'))
    await expect(asked).rejects.toThrow('Cancelled by Ada')
    await expect(client.account({ signal: asking.signal })).rejects.toThrow('Cancelled by Ada')
    expect(buttondown.requests).toHaveLength(1)

    const clock = handClock()
    const { client: patient, seen } = await answering([answer(503, 'down')], { clock, random: () => 1 })
    const waiting = new AbortController()
    const waited = patient.account({ signal: waiting.signal })
    while (seen.length < 1 || clock.timers !== 1) await settled()
    waiting.abort(new Error('Cancelled by Ben'))
    await expect(waited).rejects.toThrow('Cancelled by Ben')
    expect(clock.timers).toBe(0)
    expect(seen).toHaveLength(1)
  })

  it('walks everything through faults at random', async () => {
    const { client, world } = await aButtondown({
      pageLength: 3,
      weather: { faults: 0.3 },
      client: { tries: 20 },
    })
    for (let number = 0; number < 60; number++) world.addSubscriber({ email: `reader${number}@example.com` })
    expect(await everything(client.subscribers())).toHaveLength(60)
  })
})

describe('the rate limit', () => {
  it('is kept over any minute, and never answered by 429', async () => {
    const { client, world, buttondown, clock } = await aButtondown({
      pageLength: 1,
      weather: { limit: 600 },
    })
    for (let number = 0; number < 1500; number++)
      world.addSubscriber({ email: `reader${number}@example.com` })
    const start = clock.now()
    const times: number[] = []
    for await (const _ of client.subscribers()) times.push(clock.now())
    expect(buttondown.requests).toHaveLength(1500)
    for (let at = 600; at < times.length; at++)
      expect(times[at]! - times[at - 600]!).toBeGreaterThanOrEqual(60_000)
    expect(clock.now() - start).toBeLessThan(180_000)
  })

  it('gives way to others who use the same key', async () => {
    const { client, buttondown, clock } = await aButtondown({ weather: { limit: 3 } })
    const other = new ButtondownClient({ key: buttondown.key, baseUrl: buttondown.url, clock })
    await other.account()
    for (let call = 0; call < 7; call++) await client.account()
    expect(buttondown.requests).toHaveLength(8)
    expect(clock.waits.filter((wait) => wait > 50_000)).toHaveLength(2)
  })

  it('is off when told', async () => {
    const { client, buttondown, clock } = await aButtondown({ client: { perMinute: null } })
    await Promise.all(Array.from({ length: 200 }, () => client.account()))
    expect(buttondown.requests).toHaveLength(200)
    expect(clock.waits).toEqual([])
  })

  it('lets a delivery’s question go before the backfill’s', async () => {
    const clock = handClock()
    const { client, seen } = await answering([account], { clock, perMinute: 60 })
    // Six go at once.
    await Promise.all(Array.from({ length: 6 }, () => client.account()))
    const order: string[] = []
    const patient = client.account().then(() => order.push('backfill'))
    const urgent = client.account({ priority: 'urgent' }).then(() => order.push('delivery'))
    await clock.pass(1200)
    await urgent
    expect([order, seen.length]).toEqual([['delivery'], 7])
    await clock.pass(1200)
    await patient
    expect(order).toEqual(['delivery', 'backfill'])
  })
})

describe('webhooks', () => {
  const input = {
    url: 'http://127.0.0.1:9/webhooks/buttondown',
    eventTypes: ['subscriber.opened', 'email.sent'],
    status: 'enabled',
    description: 'Throughline',
    signingKey: 'our-signing-key',
  } as const

  it('are registered, listed and changed in full, without their signing key coming back', async () => {
    const { client, buttondown, clock } = await aButtondown()
    const made = await client.createWebhook(input)
    expect(made).toEqual({
      id: buttondown.webhooks[0]!.id,
      status: 'enabled',
      eventTypes: ['subscriber.opened', 'email.sent'],
      url: input.url,
      description: 'Throughline',
      signing: 'ours',
      createdAt: clock.now(),
    })
    expect(await client.webhooks('our-signing-key')).toEqual([made])
    expect(await client.webhooks('another')).toEqual([{ ...made, signing: 'other' }])
    buttondown.webhooks[0]!.status = 'disabled'
    expect((await client.webhook(made.id)).status).toBe('disabled')
    expect(await client.updateWebhook(made.id, { ...input, description: 'Anew' })).toMatchObject({
      status: 'enabled',
      description: 'Anew',
      signing: 'ours',
    })
    expect(buttondown.webhooks[0]!.signingKey).toBe('our-signing-key')
    await client.updateWebhook(made.id, { ...input, signingKey: '' })
    expect((await client.webhook(made.id, 'our-signing-key')).signing).toBe('none')
  })

  it('are registered once, even if the answer is lost', async () => {
    const webhook = {
      id: 'w',
      creation_date: '2026-08-01T09:00:00Z',
      ...input,
      event_types: [],
      signing_key: '',
    }
    const { client, seen } = await answering([(response) => response.destroy(), answer(201, webhook)])
    await client.createWebhook(input)
    const keys = seen.map(({ headers }) => headers['x-idempotency-key'])
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(keys[1]).toBe(keys[0])
    expect(JSON.parse(seen[1]!.body)).toEqual({
      url: input.url,
      event_types: input.eventTypes,
      status: 'enabled',
      description: 'Throughline',
      signing_key: 'our-signing-key',
    })
  })

  it('are tested, and tell how their deliveries went', async () => {
    const { client, clock } = await aButtondown()
    const { id } = await client.createWebhook(input)
    expect(await client.attempts(id)).toEqual([])
    await client.testWebhook(id, { type: 'email.sent' })
    const [attempt] = await client.attempts(id)
    expect(attempt).toMatchObject({
      status: 'failed',
      eventType: 'email.sent',
      attempts: 1,
      createdAt: clock.now(),
      completedAt: clock.now(),
      duration: 0,
    })
    expect(attempt!.error).toMatch(/^0: /)
  })
})

describe('errors', () => {
  it.each([
    [
      401,
      { code: 'authentication_invalid', detail: `Token ${key}` },
      'refused-key',
      'Buttondown refuses the API key. Copy it once more from the settings of Buttondown.',
    ],
    [
      403,
      { detail: 'No' },
      'missing-permission',
      'This API key may not read the events. Give it the permission in Buttondown, or use the primary key.',
    ],
    [404, { detail: 'No' }, 'not-found', 'Buttondown does not know this event.'],
    [
      429,
      { detail: 'No' },
      'rate',
      'Buttondown takes no more requests at the moment. It asks to wait 1 second.',
    ],
    [
      502,
      '<html>Bad gateway</html>',
      'unavailable',
      'Buttondown has a fault at the moment (HTTP 502). Trying again later helps as a rule.',
    ],
    [
      400,
      { code: 'odd', detail: `Bad  request\nby ${key}` },
      'invalid',
      'Buttondown does not accept the request to read the events (HTTP 400): Bad request by …',
    ],
    [400, 'no JSON', 'invalid', 'Buttondown does not accept the request to read the events (HTTP 400).'],
    [
      422,
      { detail: [{ type: 'enum', loc: ['query', 'page', 0], msg: 'Should be a number' }] },
      'invalid',
      'Buttondown does not accept the request to read the events (HTTP 422): query.page.0: Should be a number',
    ],
    [
      200,
      { id: 1 },
      'invalid',
      'Buttondown’s answer to the request to read the events is not what its documents say (id).',
    ],
    [
      200,
      '<html>Welcome</html>',
      'invalid',
      'What answers is not Buttondown’s API. Look at its address in the settings.',
    ],
  ])('tell people what %s means', async (status, body, kind, message) => {
    const { client } = await answering([answer(status, body, status === 429 ? { 'Retry-After': '1' } : {})], {
      tries: 1,
    })
    const error = await failure(client.event('13121cd6-0dfc-424c-bb12-988b0a32fcb3'))
    expect([error.kind, error.message]).toEqual([kind, message])
    expect(error.passes).toBe(kind === 'rate' || kind === 'unavailable')
  })

  it.each(['', '  ', 'two words', 'a\nb', 'schlüssel'])(
    'refuse the key %j without sending it',
    async (wrong) => {
      const { client, seen } = await answering([account], { key: wrong })
      const error = await failure(client.account())
      expect(error.kind).toBe('refused-key')
      expect(error.message).not.toContain(wrong.trim() || '¤')
      expect(seen).toEqual([])
    },
  )

  it('come without the key, the signing key or an answer that holds one', async () => {
    const input = {
      url: 'https://example.com',
      eventTypes: [],
      status: 'enabled',
      description: '',
      signingKey: 'secret-1',
    } as const
    let said = ''
    const write = (line: string) => {
      said += line
    }
    const log = pino({ level: 'trace' }, { write })
    for (const body of [
      { detail: `No ${key} secret-1` },
      { detail: [{ loc: ['body', 'secret-1'], msg: `too long: secret-1 ${key}` }] },
      { id: 7, signing_key: 'secret-1', api_key: key },
      { results: [{ id: 7, signing_key: 'secret-1' }], next: `https://${key}.example/secret-1` },
      `not JSON secret-1 ${key}`,
    ])
      for (const status of [200, 400, 401, 403, 404, 422, 500]) {
        const { client } = await answering([answer(status, body)], { tries: 1 })
        const calls = [
          client.createWebhook(input),
          client.webhook('w'),
          client.webhooks(),
          client.attempts('w'),
        ]
        for (const call of await Promise.allSettled(calls)) {
          if (call.status === 'fulfilled') continue
          expect(call.reason).toBeInstanceOf(ProviderError)
          log.error({ err: call.reason, client }, String(call.reason))
          write(inspect(call.reason, { depth: 9, showHidden: true }))
        }
        write(inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client))
      }
    expect(said).toContain('ProviderError')
    expect(said).not.toContain(key)
    expect(said).not.toContain('secret-1')
  })
})
