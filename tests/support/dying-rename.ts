// Loaded before a command (`--import`): ends its process, as a power cut would, instead of the file operation after so many
// (`DIE_AFTER`) of those that change names in the folder `DIE_IN`.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const folder = process.env.DIE_IN ?? ''
let left = Number(process.env.DIE_AFTER)

const dying =
  <Arguments extends [fs.PathLike, ...unknown[]]>(operation: (...given: Arguments) => void) =>
  (...given: Arguments) => {
    if (String(given[0]).startsWith(folder) && left-- === 0) process.kill(process.pid, 'SIGKILL')
    return operation(...given)
  }

fs.renameSync = dying(fs.renameSync)
fs.rmSync = dying(fs.rmSync)
syncBuiltinESMExports()
