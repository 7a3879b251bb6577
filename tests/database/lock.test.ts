import { expect, it } from 'vitest'
import { lockDataFolder } from '../../src/database/lock.js'
import { aFolder } from '../support/app.js'

it('gives a data folder to one server at a time', () => {
  const dataDir = aFolder()
  const unlock = lockDataFolder(dataDir)
  expect(unlock).not.toBe(null)
  expect(lockDataFolder(dataDir)).toBe(null)
  unlock!()
  const again = lockDataFolder(dataDir)
  expect(again).not.toBe(null)
  again!()
})
