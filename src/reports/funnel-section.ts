import { sumOfCampaigns } from './campaign-numbers.js'
import { type FunnelStep, type Section, section } from './data.js'
import type { ReportFormats } from './locales.js'
import { sumsOf } from './mailing-sums.js'
import type { Numbers } from './verdict.js'
import { counted } from './words.js'

const share = (part: number | null, whole: number | null) =>
  part === null || whole === null || whole === 0 ? null : part / whole

/**
 * What a step of the tracker is a part of: the nearest step before that holds it. A server may report conversions alone, and
 * then there is none.
 */
function ratedOf(
  count: number,
  before: { name: string; count: number }[],
): Pick<FunnelStep, 'rate' | 'note'> {
  const whole = before.find((step) => step.count > 0 && step.count >= count)
  return whole
    ? { rate: share(count, whole.count), note: `of ${whole.name}` }
    : { rate: null, note: 'by the tracker' }
}

/** From delivered to converted, in people: mailings first, then what the tracker saw. null where there is neither. */
export function funnelSection(
  { found, campaigns }: Pick<Numbers, 'found' | 'campaigns'>,
  f: ReportFormats,
): Section | null {
  const { mailings } = found
  if (mailings.length === 0 && campaigns.length === 0) return null
  const sums = sumsOf(mailings)
  const { people } = sumOfCampaigns(campaigns)
  const steps: FunnelStep[] = []
  if (mailings.length > 0)
    steps.push(
      {
        name: 'Delivered',
        count: sums.delivered,
        rate: null,
        note: `in ${counted(mailings.length, 'mailing', 'mailings', f.number)}`,
      },
      { name: 'Opened', count: sums.opened, rate: share(sums.opened, sums.delivered), note: 'of delivered' },
      { name: 'Clicked', count: sums.clicked, rate: share(sums.clicked, sums.opened), note: 'of opened' },
    )
  else
    steps.push({
      name: 'Clicked',
      count: people.email_clicks,
      rate: null,
      note: `in ${counted(campaigns.length, 'campaign', 'campaigns', f.number)}`,
    })
  if (campaigns.length > 0) {
    const landed = { name: 'landed', count: people.landing_clicks }
    // With mailings, the tracker's people need not be those who clicked in them.
    const clicked = mailings.length > 0 ? [] : [{ name: 'clicked', count: people.email_clicks }]
    steps.push(
      { name: 'Landed', count: landed.count, ...ratedOf(landed.count, clicked) },
      { name: 'Converted', count: people.conversions, ...ratedOf(people.conversions, [landed, ...clicked]) },
    )
  }
  const [first, ...rest] = steps
  const story = `Of ${f.number(first!.count)} people ${rest.map(({ name, count }) => `${f.number(count)} ${name.toLowerCase()}`).join(', ')}`
  const heading =
    mailings.length === 0
      ? 'From click to conversion, in people'
      : campaigns.length > 0
        ? 'From inbox to conversion, in people'
        : 'From inbox to click, in people'
  return section('funnel', heading, { funnel: { steps, story } })
}
