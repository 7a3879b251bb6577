import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { removeGradually } from '../../src/database/remove-gradually.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'throughline-'))
})
afterEach(() => rmSync(folder, { recursive: true }))
const place = (name: string) => join(folder, name)
const large = Buffer.alloc(40 << 20, 1)

it('removes a large file, and the name is free for another one at once', async () => {
  writeFileSync(place('copy.db'), large)
  const removed = removeGradually(place('copy.db'))
  while (existsSync(place('copy.db'))) await new Promise(setImmediate)
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^copy\.db\.part-[0-9a-f]{8}$/)])
  writeFileSync(place('copy.db'), 'the next one')
  await removed
  expect(readdirSync(folder)).toEqual(['copy.db'])
  expect(readFileSync(place('copy.db'), 'utf8')).toBe('the next one')
})

it('removes a folder with all that is in it', async () => {
  mkdirSync(place('scratch/deeper'), { recursive: true })
  writeFileSync(place('scratch/deeper/large'), large)
  writeFileSync(place('scratch/small'), 'a')
  await removeGradually(place('scratch'))
  expect(readdirSync(folder)).toEqual([])
})

it('has nothing to do where nothing is', async () => {
  await expect(removeGradually(place('nothing'))).resolves.toBeUndefined()
})

it('says what keeps it from removing something', async () => {
  writeFileSync(place('file'), 'a')
  await expect(removeGradually(place('file/below'))).rejects.toThrow('ENOTDIR')
})
