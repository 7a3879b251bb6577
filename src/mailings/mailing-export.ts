import { stringify } from 'csv-stringify/sync'
import { inPercent } from '../web/shares.js'
import type { ListedMailing } from './mailing-list.js'
import { deliveredBasis, isUntold, numberKinds, numberNames, numberOf } from './mailing-numbers.js'

/** By this mark spreadsheets know that the file is UTF-8. */
const byteOrderMark = '\uFEFF'

const head = [
  'id',
  'name',
  'subject',
  'provider',
  'status',
  'sent_at',
  'lists',
  'projects',
  'from_name',
  'from_address',
  'basis',
  'delivered_basis',
  ...numberNames,
  'opens_by_mail_proxies',
  'opens_by_machines',
  'clicks_by_machines',
]

/**
 * Mailings as CSV (RFC 4180, UTF-8 with its mark). `basis` says whose the numbers are, `delivered_basis` whose that of the
 * deliveries is; rates are in per cent with two decimals, and what has no value is empty. The last three count what events
 * tell of proxies and machines, whosoever the other numbers are. A cell that a spreadsheet would run as a formula gets a '
 * in front.
 */
export function mailingsCsv(mailings: ListedMailing[]): string {
  const rows = mailings.map((mailing) => [
    mailing.id,
    mailing.name,
    mailing.subject,
    mailing.provider,
    mailing.status,
    mailing.sent_at === null ? null : new Date(mailing.sent_at).toISOString(),
    mailing.lists.map(({ name }) => name).join(', '),
    mailing.projects.map(({ partner, name }) => `${partner}: ${name}`).join(', '),
    mailing.from_name,
    mailing.from_address,
    ...(isUntold(mailing) ? ['', ''] : [mailing.basis, deliveredBasis(mailing)]),
    ...numberNames.map((name) => {
      const value = numberOf(mailing, name)
      return numberKinds[name].unit === 'share' ? inPercent(value) : value
    }),
    mailing.counts.proxy_opens,
    mailing.counts.machine_opens,
    mailing.counts.machine_clicks,
  ])
  return byteOrderMark + stringify([head, ...rows], { escape_formulas: true })
}
