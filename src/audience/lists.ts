import type { Readers } from '../database/readers.js'
import { reachedStatuses } from './subscriptions.js'

export interface List {
  id: number
  name: string
  provider: string
  /** How many are on it now, mail that is paused included. */
  subscribed: number
  /** Everybody who is or was on it. */
  people: number
}

/** All lists, the largest first. */
export async function listLists(readers: Readers): Promise<List[]> {
  const [lists, counts] = await Promise.all([
    readers.selectFrom('lists').select(['id', 'name', 'provider']).orderBy('name').execute(),
    readers
      .selectFrom('subscriptions')
      .select(({ fn }) => ['list_id', 'status', fn.countAll<number>().as('people')])
      .groupBy(['list_id', 'status'])
      .execute(),
  ])
  return lists
    .map((list) => {
      const own = counts.filter(({ list_id }) => list_id === list.id)
      const sum = (rows: typeof own) => rows.reduce((total, { people }) => total + people, 0)
      const reached: string[] = reachedStatuses
      return {
        ...list,
        subscribed: sum(own.filter(({ status }) => reached.includes(status))),
        people: sum(own),
      }
    })
    .sort((one, other) => other.subscribed - one.subscribed)
}
