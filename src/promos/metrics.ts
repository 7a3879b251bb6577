import type { PromoCounts } from '../database/schema.js'

/** Click-through rate as a share of one: clicks ÷ impressions; null ("no value") without impressions. */
export const ctr = ({ impressions, clicks }: Pick<PromoCounts, 'impressions' | 'clicks'>): number | null =>
  impressions === 0 ? null : clicks / impressions

/** A share of one as JSON tells it: in per cent with two decimals, or null. */
export const inPercent = (value: number | null) => (value === null ? null : Math.round(value * 10_000) / 100)

/** CTR = clicks ÷ impressions × 100, to two decimals; null without impressions. */
export const ctrInPercent = (counts: Pick<PromoCounts, 'impressions' | 'clicks'>) => inPercent(ctr(counts))

export const noCounts: PromoCounts = { impressions: 0, clicks: 0, repeated_clicks: 0, machine_clicks: 0 }
export const countColumns = ['impressions', 'clicks', 'repeated_clicks', 'machine_clicks'] as const

/** @param everything repeated clicks and those of machines are counted in */
export const clicksOf = (
  { clicks, repeated_clicks, machine_clicks }: Omit<PromoCounts, 'impressions'>,
  everything: boolean,
) => (everything ? clicks + repeated_clicks + machine_clicks : clicks)
