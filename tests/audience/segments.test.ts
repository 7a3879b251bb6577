import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aPerson } from '../support/person.js'
import { aContact } from './rows.js'

async function aRoom() {
  const app = await testApp()
  await aContact(app, { email: 'ada@x.example', score: 70, band: 'champion' })
  await aContact(app, { email: 'ben@x.example', score: 20, band: 'passive' })
  return { ...app, ...(await aPerson(app)) }
}

describe('a segment', () => {
  it('is a filter with a name, shown with its size', async () => {
    const { send, http } = await aRoom()
    const answer = await send('/audience/segments', { filter: 'score=35&after=9', name: ' Warm ' }).expect(
      303,
    )
    expect(answer.headers.location).toBe('/audience?score=35')
    const { text } = await http.get('/audience').expect(200)
    expect(text).toMatch(/href="\/audience\?score=35"[^>]*>Warm <span data-value="1">1</)
    expect(text).not.toMatch(/aria-current="true">Warm/)
    expect((await http.get('/audience?score=35')).text).toMatch(/aria-current="true">Warm/)
    // Another order shows the same people.
    expect((await http.get('/audience?score=35&sort=name')).text).toMatch(/aria-current="true">Warm/)
    expect((await http.get('/audience?score=36')).text).toContain('Save this filter')
  })

  it('is counted again after a minute', async () => {
    const app = await aRoom()
    await app.send('/audience/segments', { filter: 'score=35', name: 'Warm' }).expect(303)
    const size = async () =>
      /Warm <span data-value="(\d+)"/.exec((await app.http.get('/audience').expect(200)).text)![1]
    expect(await size()).toBe('1')
    await aContact(app, { email: 'cleo@x.example', score: 50, band: 'active' })
    app.clock.pass(30_000)
    expect(await size()).toBe('1')
    app.clock.pass(31_000)
    expect(await size()).toBe('2')
  })

  it('is counted at once after somebody tags', async () => {
    const { send, http } = await aRoom()
    await send('/audience/segments', { filter: 'tag=press', name: 'Press' }).expect(303)
    expect((await http.get('/audience')).text).toContain('Press <span data-value="0"')
    await send('/audience/tagging', { filter: '', all: '1', do: 'tag', tag: 'press' }).expect(303)
    expect((await http.get('/audience')).text).toContain('Press <span data-value="2"')
  })

  it('wants a name that no other one has', async () => {
    const { send } = await aRoom()
    await send('/audience/segments', { filter: 'score=35', name: 'Warm' }).expect(303)
    const taken = await send('/audience/segments', { filter: 'score=50', name: 'warm' }).expect(422)
    expect(taken.text).toContain('Another segment has this name.')
    expect(taken.text).toContain('name="filter" value="score=50"')
    const nameless = await send('/audience/segments', { filter: 'score=50', name: ' ' }).expect(422)
    expect(nameless.text).toContain('Give the segment a name.')
  })

  it('can be renamed and deleted', async () => {
    const { send, http, db } = await aRoom()
    await send('/audience/segments', { filter: 'score=35', name: 'Warm' }).expect(303)
    await send('/audience/segments', { filter: 'score=50', name: 'Hot' }).expect(303)
    const { id } = await db
      .selectFrom('segments')
      .select('id')
      .where('name', '=', 'Warm')
      .executeTakeFirstOrThrow()
    expect((await http.get(`/audience/segments/${id}`).expect(200)).text).toContain('value="Warm"')
    await send(`/audience/segments/${id}`, { name: 'hot' }).expect(422)
    await send(`/audience/segments/${id}`, { name: 'Lukewarm' }).expect(303)
    expect((await http.get('/audience')).text).toContain('The segment is called Lukewarm now.')
    await send(`/audience/segments/${id}/delete`, {}).expect(303)
    expect((await http.get('/audience')).text).not.toContain('>Lukewarm <')
    await http.get(`/audience/segments/${id}`).expect(404)
    await http.get('/audience/segments/x').expect(404)
  })
})
