import { type CampaignNumbers, sumOfCampaigns } from './campaign-numbers.js'
import { type Section, section, type TableRow } from './data.js'
import { type Making, qualityRows } from './mailing-sections.js'

/** What did not arrive, who left, and what was removed as machine. null where there is nothing to judge. */
export function qualitySection(making: Making, campaigns: readonly CampaignNumbers[]): Section | null {
  const { found, f } = making
  if (found.mailings.length === 0 && campaigns.length === 0) return null
  const { sums, machines, hard, isOurs, isTheirs } = qualityRows(making)
  const rows: TableRow[] = []
  if (found.mailings.length > 0) {
    rows.push(
      {
        cells: ['Bounced', sums.bounced, sums.rates.bounce, 'of sent'],
        under: hard === null ? '' : `${f.number(hard)} of them hard`,
      },
      { cells: ['Unsubscribed', sums.unsubscribed, sums.rates.unsubscribe, 'of delivered'] },
      { cells: ['Complained', sums.complained, sums.rates.complaint, 'of delivered'] },
    )
    if (isOurs)
      rows.push(
        { cells: ['Opens by mail privacy proxies', machines.proxies, null, 'left out'] },
        { cells: ['Opens by machines', machines.opens, null, 'left out'] },
        { cells: ['Clicks by machines', machines.clicks, null, 'left out'] },
      )
  }
  if (campaigns.length > 0) {
    const { machine } = sumOfCampaigns(campaigns)
    rows.push({
      cells: [
        'Tracker events by machines',
        machine.email_clicks + machine.landing_clicks + machine.conversions,
        null,
        'left out',
      ],
    })
  }
  const heading =
    found.mailings.length === 0
      ? 'What was left out'
      : `${f.percent(sums.rates.bounce, 2)} bounced, ${f.percent(sums.rates.unsubscribe, 2)} unsubscribed`
  return section('quality', heading, {
    tables: [
      {
        caption: 'Quality',
        columns: [
          { label: 'What', as: 'text' },
          { label: 'Count', as: 'number' },
          { label: 'Rate', as: 'share2' },
          { label: 'Of what', as: 'text' },
        ],
        rows,
      },
    ],
    notes: isTheirs
      ? ['Where the provider’s numbers are taken, nobody can tell machines apart, and none are removed.']
      : [],
  })
}
