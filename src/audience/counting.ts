import type { EngagementCounts } from '../database/schema.js'

/** Whether opens and clicks of machines and mail proxies are counted in. */
export interface Counting {
  machines: boolean
}

/** The columns of every table that counts engagements. */
export const engagementColumns = [
  'opens',
  'proxy_opens',
  'machine_opens',
  'unjudged_opens',
  'clicks',
  'machine_clicks',
  'unjudged_clicks',
  'replies',
] as const satisfies (keyof EngagementCounts)[]

export const noEngagements: EngagementCounts = {
  opens: 0,
  proxy_opens: 0,
  machine_opens: 0,
  unjudged_opens: 0,
  clicks: 0,
  machine_clicks: 0,
  unjudged_clicks: 0,
  replies: 0,
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
