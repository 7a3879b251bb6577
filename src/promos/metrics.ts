import type { PromoCounts } from '../database/schema.js'
import { inPercent, share } from '../web/shares.js'

/** Click-through rate as a share of one: clicks ÷ impressions; null ("no value") without impressions. */
export const ctr = ({ impressions, clicks }: Pick<PromoCounts, 'impressions' | 'clicks'>): number | null =>
  share(clicks, impressions)

/** CTR = clicks ÷ impressions × 100, to two decimals; null without impressions. */
export const ctrInPercent = (counts: Pick<PromoCounts, 'impressions' | 'clicks'>) => inPercent(ctr(counts))

export const noCounts: PromoCounts = { impressions: 0, clicks: 0, repeated_clicks: 0, machine_clicks: 0 }
export const countColumns = ['impressions', 'clicks', 'repeated_clicks', 'machine_clicks'] as const

/** @param everything repeated clicks and those of machines are counted in */
export const clicksOf = (
  { clicks, repeated_clicks, machine_clicks }: Omit<PromoCounts, 'impressions'>,
  everything: boolean,
) => (everything ? clicks + repeated_clicks + machine_clicks : clicks)
