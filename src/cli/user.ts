// `npm run user -- create|password|deactivate|activate NAME`, and `list`: accounts from a terminal.
import { userCommand } from '../accounts/terminal.js'
import { askPassword } from './ask-password.js'
import { command, openInstallation } from './installation.js'

await command(async () => {
  const { db } = await openInstallation({ create: process.argv[2] === 'create' })
  try {
    await userCommand(process.argv.slice(2), { db, now: Date.now, say: console.log, askPassword })
  } finally {
    await db.destroy()
  }
})
