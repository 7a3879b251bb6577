import { randomBytes } from 'node:crypto'
import { lstat, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** Bytes that are given back to the disk at a time. */
const step = 16 << 20

/**
 * Removes a file, or a folder and what is in it, without anybody noticing: a file of gigabytes is given back to the disk
 * piece by piece. Removed at once it holds up, for seconds, whoever removes it and whoever waits for the disk meanwhile.
 * What is not there is no error. What is on its way out is called after itself, with `.part-` and some letters, so
 * that its name is free at once and nobody takes the rest for the whole.
 */
export async function removeGradually(path: string): Promise<void> {
  const leaving = `${path}.part-${randomBytes(4).toString('hex')}`
  try {
    await rename(path, leaving)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await shrinkAll(leaving)
  await rm(leaving, { recursive: true, force: true })
}

async function shrinkAll(path: string): Promise<void> {
  const found = await lstat(path)
  if (found.isDirectory()) for (const name of await readdir(path)) await shrinkAll(join(path, name))
  else if (found.isFile() && found.nlink === 1 && found.size > step) await shrink(path, found.size)
}

async function shrink(path: string, size: number) {
  const file = await open(path, 'r+').catch(() => null)
  if (!file) return // one may remove what one may not write
  try {
    for (let left = size - step; left > 0; left -= step) {
      const from = performance.now()
      await file.truncate(left)
      await pause(2 * (performance.now() - from))
    }
  } finally {
    await file.close()
  }
}
