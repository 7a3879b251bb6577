import { conversionRate } from '../campaigns/metrics.js'
import { missingInWords, sumOfCampaigns } from './campaign-numbers.js'
import { type Section, section, type Verdict } from './data.js'
import type { ReportFormats } from './locales.js'
import type { SectionName } from './templates.js'
import type { Numbers } from './verdict.js'

/** Said where the moments of a report are told by another clock than its numbers are counted by. */
export const countedWords = (timeZone: string) =>
  `Days, and the hours of the week, are counted in the time zone ${timeZone}.`

/** Each definition with its denominator, whether people or events are counted, and by which rules machines were told. */
export function methodSection(
  { found, campaigns, lists, offers }: Numbers,
  {
    f,
    countedIn,
    rules,
    shown,
    verdict,
  }: {
    f: ReportFormats
    countedIn: string
    rules: string
    shown: readonly SectionName[]
    verdict: Verdict
  },
): Section {
  const definitions: string[] = []
  if (found.mailings.length > 0)
    definitions.push(
      'Delivered is sent less bounced. Open rate: unique people who opened ÷ delivered. Click rate: unique people who clicked ÷ delivered. Click-to-open: clicked ÷ opened. Bounced: ÷ sent. Unsubscribed and complained: ÷ delivered.',
      found.mailings.length > 1
        ? 'Rates of several mailings are of all their people together; whoever got two of them counts twice.'
        : '',
    )
  if (campaigns.length > 0) {
    const { people } = sumOfCampaigns(campaigns)
    definitions.push(
      `${found.mailings.length > 0 ? '' : 'Landing rate: landing clicks ÷ email clicks. '}Conv. rate: conversions ÷ email clicks, both as events; over unique people it is ${f.percent(conversionRate(people), 2)}.`,
      found.mailings.length > 0
        ? 'Landed and converted are of whole campaigns: they hold people who came by other mail than these mailings.'
        : '',
      shown.includes('domains') ? 'Intervals of sending domains: Wilson, 95%.' : '',
    )
  }
  if (lists.length > 0)
    definitions.push(
      'Churn: subscriptions that ended ÷ subscriptions at the beginning. Engaged: subscribers who opened, clicked or replied in the last 90 days ÷ subscribers.',
    )
  if (offers.length > 0)
    definitions.push(
      'CTR: clicks ÷ impressions. A click is the first of a reader within ten minutes, by a person. Issues: those that were first told of in this period.',
    )
  const sources: string[] = []
  const ours = found.mailings.filter(({ basis }) => basis === 'ours')
  if (ours.length > 0 || campaigns.length > 0)
    sources.push(
      `People only: what security scanners, bots and mail privacy proxies did is left out where it is known (rules of Throughline ${rules}).`,
    )
  if (ours.length < found.mailings.length)
    sources.push(
      'Opens and clicks of some mailings are their provider’s own numbers, in which nobody can tell machines apart.',
    )
  const missing = missingInWords(campaigns, f.date)
  if (missing) sources.push(missing)
  const { orphans } = sumOfCampaigns(campaigns)
  if (campaigns.length > 0 && orphans !== null && orphans > 0)
    sources.push(
      `${f.plural(orphans, 'conversion', 'conversions')} had no earlier click; they are counted where they were reported.`,
    )
  if (shown.includes('verdict')) {
    const benchmarks = new Map<string, string[]>()
    for (const { label, field, decimals } of verdict.tiles) {
      if (!field) continue
      const from = `${field.source}, ${field.asOf}`
      benchmarks.set(from, [...(benchmarks.get(from) ?? []), `${label} ${f.percent(field.share, decimals)}`])
    }
    if (benchmarks.size > 0)
      sources.push(
        `Benchmark: ${[...benchmarks].map(([from, told]) => `${told.join(', ')} (${from})`).join('; ')}.`,
      )
  }
  sources.push(`Time zone ${f.timeZone}.`)
  if (f.timeZone !== countedIn) sources.push(countedWords(countedIn))
  return section('method', 'Method', {
    paragraphs: [definitions.filter(Boolean).join(' '), sources.join(' ')].filter((text) => text !== ''),
  })
}
