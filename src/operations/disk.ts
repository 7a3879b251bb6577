import { statfs } from 'node:fs/promises'
import type { Db } from '../database/open.js'
import { databaseSize } from '../database/size.js'
import { dayLength } from '../web/calendar.js'
import type { AlertSettings } from './alert-settings.js'

export interface Disk {
  /** Bytes that may still be written, and that there are at all. */
  free: number
  size: number
}

/** The disk on which the data folder lies. */
export async function diskOf(folder: string): Promise<Disk> {
  const { bavail, blocks, bsize } = await statfs(folder)
  return { free: bavail * bsize, size: blocks * bsize }
}

/** Is less of it left than the page Alerts says there must be? */
export const isLow = ({ free, size }: Disk, { disk_percent }: Pick<AlertSettings, 'disk_percent'>) =>
  free / size < disk_percent / 100

/** Notes once a day how large the database is. @param today `YYYY-MM-DD` */
export async function noteSize(db: Db, { path, today }: { path: string; today: string }) {
  const { bytes, log } = await databaseSize(db, path)
  await db
    .insertInto('database_sizes')
    .values({ day_on: today, bytes, log_bytes: log })
    .onConflict((conflict) => conflict.column('day_on').doNothing())
    .execute()
}

export interface Growth {
  /** Bytes a day, over the last thirty days at most. */
  perDay: number
  days: number
  /** When the disk is full at this rate; null where it does not grow, or not within ten years. */
  fullAt: number | null
}

/**
 * How fast the database grows: from the earliest size of the last thirty days to that of now.
 * @returns null before the first whole day
 */
export async function growthOf(
  db: Db,
  { bytes, disk, now }: { bytes: number; disk: Disk; now: number },
): Promise<Growth | null> {
  const since = new Date(now - 30 * dayLength).toISOString().slice(0, 10)
  const first = await db
    .selectFrom('database_sizes')
    .selectAll()
    .where('day_on', '>=', since)
    .orderBy('day_on')
    .limit(1)
    .executeTakeFirst()
  if (!first) return null
  const days = Math.floor((now - Date.parse(first.day_on)) / dayLength)
  if (days < 1) return null
  const perDay = (bytes - first.bytes) / days
  const left = perDay > 0 ? disk.free / perDay : Number.POSITIVE_INFINITY
  return { perDay, days, fullAt: left < 3650 ? now + left * dayLength : null }
}
