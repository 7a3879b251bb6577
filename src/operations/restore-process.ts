// A process of its own, started by restore-check.ts: restores the last backup into a scratch folder and proves it. What it
// does takes minutes of one core where the database is large, and no click shall wait for it.
import type { Config } from '../config.js'
import { restoreInto } from './restore.js'

process.once('message', async ({ config, scratch }: { config: Config; scratch: string }) => {
  process.umask(0o077)
  const say = (line: string) => void process.send?.({ line })
  try {
    const { asOf, facts, corrected } = await restoreInto({ config, from: 'latest', at: null, scratch, say })
    process.send?.({ result: { asOf, facts, corrected } })
  } catch (error) {
    process.send?.({ error: (error as Error).message })
  }
  process.disconnect()
})
