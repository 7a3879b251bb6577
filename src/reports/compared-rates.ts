import { type Benchmarks, type ComparedRate, mailingRates } from '../mailings/benchmarks.js'
import type { RateName } from '../mailings/statistics.js'

/**
 * Every rate of a tile that can be compared with a figure of the industry: those of mailings, of the tracker's campaigns,
 * of lists and of promos. Only those of mailings have a first figure, since of the others no round one is known.
 */
export const comparedRates = {
  ...mailingRates,
  landing: { title: 'Landing rate', first: null },
  conversion: { title: 'Conversion rate', first: null },
  engaged: { title: 'Engaged, of a list', first: null },
  ctr: { title: 'CTR of promos', first: null },
} satisfies Record<string, ComparedRate>

export type ComparedName = RateName | 'landing' | 'conversion' | 'engaged' | 'ctr'
export type ReportBenchmarks = Benchmarks<ComparedName>
