// `npm run token -- create NAME`, `list`, `revoke ID`: API tokens from a terminal.
import { tokenCommand } from '../accounts/terminal.js'
import { command, openInstallation } from './installation.js'

await command(async () => {
  const { db } = await openInstallation()
  try {
    await tokenCommand(process.argv.slice(2), { db, now: Date.now, say: console.log })
  } finally {
    await db.destroy()
  }
})
