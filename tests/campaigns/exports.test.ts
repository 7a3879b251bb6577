import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { sendCsv } from '../../src/campaigns/exports.js'
import { type TestApp, testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'

/** The cells of a CSV without quoted line breaks. */
const cells = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) =>
      [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
        quoted === undefined ? plain! : quoted.replaceAll('""', '"'),
      ),
    )

async function aReader(app: TestApp) {
  const { http } = await aPerson(app)
  return async (path: string) => {
    const answer = await http.get(path).buffer(true).expect(200)
    const [head, ...rows] = cells(answer.text)
    return {
      answer,
      rows: rows.map((row) => Object.fromEntries(head!.map((name, index) => [name, row[index]]))),
    }
  }
}

describe('CSV exports', () => {
  it('tell each event with all that is known of it', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    const eventId = await anEvent(app, {
      cid: id,
      eid: 'e-1',
      link: 'hero',
      order: '7, "blue"',
      domain: 'bücher.example',
    })
    const { answer, rows } = await (await aReader(app))(`/campaign/${id}/events.csv`)
    expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8')
    expect(answer.headers['content-disposition']).toBe(
      `attachment; filename="campaign-${id}-events-2026-11-21.csv"`,
    )
    expect(rows).toEqual([
      expect.objectContaining({
        id: String(eventId),
        time: '2026-11-21T10:00:00.000Z',
        event: 'email_click',
        email: 'ada@fernmail.example',
        domain: 'bücher.example',
        link: 'hero',
        device: 'desktop',
        verdict: 'person',
        reasons: '',
        eid: 'e-1',
        extra: '{"order":"7, \\"blue\\""}',
      }),
    ])
    expect(rows[0]!.user_agent).toContain('Firefox')
  })

  it('are safe against formulas in every column that a stranger can fill', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id, email: '=cmd|calc@x.example', link: '+1', eid: '@sum', ua: '-2+3' })
    const read = await aReader(app)
    const [event] = (await read(`/campaign/${id}/events.csv`)).rows
    expect(event).toMatchObject({
      email: "'=cmd|calc@x.example",
      link: "'+1",
      eid: "'@sum",
      user_agent: "'-2+3",
    })
    const [journey] = (await read(`/campaign/${id}/journeys.csv?machines=1`)).rows
    expect(journey!.email).toBe("'=cmd|calc@x.example")
  })

  it('honour the filters in force', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    const other = await aCampaign(app)
    await anEvent(app, { cid: other.id })
    await anEvent(app, { cid: id, email: 'ada@x.example', domain: 'one.example' })
    await anEvent(app, { cid: id, email: 'ada@x.example', domain: 'two.example' })
    app.clock.pass(60_000)
    await anEvent(app, { cid: id, email: 'ada@x.example', domain: 'one.example', event: 'landing_click' })
    await anEvent(app, { cid: id, email: 'bot@x.example', domain: 'one.example', ua: 'curl/8.5.0' })
    const read = await aReader(app)
    const events = async (query: string) =>
      (await read(`/campaign/${id}/events.csv${query}`)).rows.map((row) => `${row.event} ${row.domain}`)
    const journeys = async (query: string) =>
      (await read(`/campaign/${id}/journeys.csv${query}`)).rows.map((row) => `${row.email} ${row.domain}`)

    expect(await events('')).toEqual([
      'email_click one.example',
      'email_click two.example',
      'landing_click one.example',
    ])
    expect(await events('?machines=1&email=bot')).toEqual(['email_click one.example'])
    expect(await events('?domain=two.example')).toEqual(['email_click two.example'])
    expect(await events('?event=landing_click')).toEqual(['landing_click one.example'])
    expect(await events('?event=not_landed')).toEqual(['email_click two.example'])
    expect(await journeys('')).toEqual(['ada@x.example one.example', 'ada@x.example two.example'])
    expect(await journeys('?event=not_landed&email=ADA')).toEqual(['ada@x.example two.example'])
    expect(await journeys('?machines=1')).toHaveLength(3)
    const domains = await read(`/campaign/${id}/domains.csv`)
    expect(domains.rows[0]).toMatchObject({ domain: 'one.example', email_clicks: '1', rate_percent: '0' })
    expect((await read(`/campaign/${id}/domains.csv?domain=two.example`)).rows).toHaveLength(1)
  })

  it('go over many pages, and leave an empty campaign at its head', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    const { contact_id, domain_id } = await app.db
      .selectFrom('events')
      .select(['contact_id', 'domain_id'])
      .executeTakeFirstOrThrow()
    const rows = Array.from({ length: 2_499 }, () => ({
      campaign_id: id,
      contact_id,
      domain_id,
      kind: 1,
      happened_at: app.clock.now(),
      verdict: 0,
      reasons: 0,
    }))
    await app.db.insertInto('events').values(rows).execute()
    const read = await aReader(app)
    const exported = (await read(`/campaign/${id}/events.csv`)).rows.map((row) => Number(row.id))
    expect(exported).toHaveLength(2_500)
    expect(new Set(exported).size).toBe(2_500)

    const empty = await aCampaign(app)
    for (const table of ['events', 'journeys', 'domains'])
      expect((await read(`/campaign/${empty.id}/${table}.csv`)).rows).toEqual([])
  })

  it('wait for whoever reads slowly, and stop for whoever leaves', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    const event = await app.db
      .selectFrom('events')
      .select(['contact_id', 'domain_id'])
      .executeTakeFirstOrThrow()
    const long = JSON.stringify({ note: 'x'.repeat(4_000) })
    for (let chunk = 0; chunk < 12; chunk++)
      await app.db
        .insertInto('events')
        .values(
          Array.from({ length: 1_000 }, () => ({
            ...event,
            campaign_id: id,
            kind: 1,
            happened_at: app.clock.now(),
            verdict: 0,
            reasons: 0,
            extra: long,
          })),
        )
        .execute()
    let sent: Promise<number> | undefined
    const site = express().get('/', (_req, res) => {
      const filter = { domainId: null, event: null, email: '', machines: false }
      const needs = { ...app, day: '2026-11-21', now: app.clock.now() }
      const { socket } = res
      sent = sendCsv(res, needs, 'events', id, filter).then(() => socket!.bytesWritten)
    })
    const server = site.listen(0)
    await new Promise<void>((resolve) => {
      const request = get({ port: (server.address() as AddressInfo).port }, (answer) => {
        answer.once('data', () => {
          request.destroy()
          server.close(() => resolve())
        })
      })
    })
    expect(await sent).toBeLessThan(24_000_000) // half of it
  })
})
