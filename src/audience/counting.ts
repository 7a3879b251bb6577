import type { EngagementCounts } from '../database/schema.js'
import { engagementColumns, noEngagements } from './receptions.js'

/** Whether opens and clicks of machines and mail proxies are counted in. */
export interface Counting {
  machines: boolean
}

/** Opens as a page shows them: by people and suspected ones; with `machines` those of proxies and machines too. */
export const opensOf = (
  counts: Pick<EngagementCounts, 'opens' | 'proxy_opens' | 'machine_opens'>,
  { machines }: Counting,
) => counts.opens + (machines ? counts.proxy_opens + counts.machine_opens : 0)

/** Clicks as a page shows them, see {@link opensOf}. */
export const clicksOf = (
  counts: Pick<EngagementCounts, 'clicks' | 'machine_clicks'>,
  { machines }: Counting,
) => counts.clicks + (machines ? counts.machine_clicks : 0)

/** The sum of several counts, column by column. */
export function sumOfCounts(rows: EngagementCounts[]): EngagementCounts {
  const sum = { ...noEngagements }
  for (const row of rows) for (const column of engagementColumns) sum[column] += row[column]
  return sum
}
