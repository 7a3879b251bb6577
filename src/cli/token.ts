// `npm run token -- create NAME`, `list`, `revoke ID`: API tokens from a terminal.
import { Refusal, tokenCommand } from '../accounts/terminal.js'
import { command, openInstallation } from './installation.js'

await command(async () => {
  const { db } = await openInstallation({ create: true })
  try {
    await tokenCommand(process.argv.slice(2), { db, now: Date.now, say: console.log })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    console.error(error.message)
    process.exitCode = 1
  } finally {
    await db.destroy()
  }
})
