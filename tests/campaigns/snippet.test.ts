import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { projectRoot } from '../../src/config.js'
import { testApp } from '../support/app.js'

const source = readFileSync(join(projectRoot, 'static/t.js'), 'utf8')

// What it does is tested where it runs: tests/browser/snippet.test.ts.
describe('the landing page snippet', () => {
  it('is under 1 KB gzipped', () => {
    expect(gzipSync(source, { level: 9 }).length).toBeLessThan(1024)
  })

  it('sets no cookie and evaluates nothing', () => {
    expect(source).not.toMatch(/cookie\s*=|eval\(|new Function|innerHTML/)
  })

  it('is served to any page, and follows an upgrade within the hour', async () => {
    const { http } = await testApp()

    const answer = await http.get('/static/t.js').expect(200)

    expect(answer.text).toBe(source)
    expect(answer.headers).toMatchObject({
      'content-type': expect.stringContaining('javascript'),
      'cross-origin-resource-policy': 'cross-origin',
      'cache-control': 'public, max-age=3600',
    })
    expect(answer.headers['set-cookie']).toBeUndefined()
  })
})
