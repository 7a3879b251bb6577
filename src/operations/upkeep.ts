import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { checkReferences, checkTable, refreshStatistics, tableNames } from '../database/upkeep.js'
import { plural } from '../web/formats.js'
import type { Job, JobRun } from './jobs.js'

/** What keeps the database itself in good order. */
export function upkeepJobs({ db, readers }: { db: Db; readers: Readers }): Job[] {
  return [
    {
      name: 'optimize-database',
      title: 'Look again at the size of tables',
      what: 'Tells the database how large its tables have become, so that it finds its way through them quickly.',
      schedule: '50 4 * * *',
      run: () => refreshStatistics(db),
    },
    {
      name: 'check-database',
      title: 'Check the database',
      what: 'Reads every page of every table and index, in a reading thread, and looks whether all of it fits together.',
      schedule: '20 5 * * 6',
      run: (run) => checkDatabase(readers, run),
    },
  ]
}

/** @throws Error that says what is wrong */
async function checkDatabase(readers: Readers, { signal, progress, log }: JobRun) {
  const tables = await tableNames(readers)
  const found: string[] = []
  for (const [index, table] of tables.entries()) {
    signal.throwIfAborted()
    progress(index, tables.length, `Checking ${table}`)
    found.push(...(await checkTable(readers, table)))
  }
  found.push(...(await checkReferences(readers)))
  for (const finding of found) log(finding)
  if (found.length > 0)
    throw new Error(
      `The database is damaged: ${found[0]}. Restore a backup from before; the lines of this run say more.`,
    )
  progress(tables.length, tables.length)
  return `${plural(tables.length, 'table', 'tables')} checked, nothing is wrong.`
}
