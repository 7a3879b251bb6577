import type { Config } from '../../src/config.js'
import { restore } from '../../src/operations/restore.js'

/** Restores as the command does, the newest backup unless the wish says otherwise. @returns also what it said */
export async function restoring(
  wish: { config: Config } & Partial<Parameters<typeof restore>[0]>,
): Promise<Awaited<ReturnType<typeof restore>> & { said: string[] }> {
  const said: string[] = []
  const usual = { from: 'latest', at: null, force: false, now: Date.now }
  return { ...(await restore({ ...usual, say: (line) => said.push(line), ...wish })), said }
}
