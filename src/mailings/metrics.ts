import type { Counting } from '../audience/counting.js'
import type { EngagementCounts, ReceptionCounts, ReportNumbers } from '../database/schema.js'
import { share } from '../web/shares.js'

/** What the provider itself says of a mailing; null where it does not say. */
export type Report = ReportNumbers

/**
 * Whose numbers of opens and clicks drive the rates: `ours`, counted from events with machines and mail proxies told
 * apart, or the `provider`'s own, in which nobody can tell them apart.
 */
export type Basis = 'ours' | 'provider'

/**
 * The provider's numbers where it tells how many people opened and none of our own opens and clicks could be judged by
 * anything; ours otherwise.
 */
export const basisOf = (counts: EngagementCounts, report: Pick<Report, 'unique_opens'> | null): Basis =>
  report !== null &&
  report.unique_opens !== null &&
  counts.opens === counts.unjudged_opens &&
  counts.proxy_opens + counts.machine_opens === 0 &&
  counts.clicks === counts.unjudged_clicks
    ? 'provider'
    : 'ours'

/** Unique people of a mailing at each step, and what became of the others. */
export interface MailingPeople {
  sent: number
  delivered: number
  opened: number
  clicked: number
  replied: number
  bounced: number
  unsubscribed: number
  complained: number
}

/**
 * Delivered = sent − bounced, in unique people. Before a backfill has told of all deliveries, the provider's own number
 * is the better one: the greater of the two counts.
 */
export const deliveredOf = (
  counts: Pick<ReceptionCounts, 'people_sent' | 'people_bounced'>,
  report: Pick<Report, 'deliveries'> | null,
) => Math.max(counts.people_sent - counts.people_bounced, report?.deliveries ?? 0)

/** Hard and soft bounces together; null where the provider tells of neither. */
export const bouncesOf = ({
  permanent_failures: hard,
  temporary_failures: soft,
}: Pick<Report, 'permanent_failures' | 'temporary_failures'>) =>
  hard === null && soft === null ? null : (hard ?? 0) + (soft ?? 0)

/**
 * Unique people by counts; with `machines`, those for whom only a machine or a mail proxy acted count as well. By the
 * provider's numbers where those are the basis, in which machines are always among the people.
 */
export function peopleOfMailing(
  counts: ReceptionCounts,
  report: Report | null,
  { machines, basis = 'ours' }: Counting & { basis?: Basis },
): MailingPeople {
  const delivered = deliveredOf(counts, report)
  if (basis === 'provider' && report !== null)
    return {
      sent: Math.max(report.recipients ?? counts.people_sent, delivered),
      delivered: report.deliveries ?? delivered,
      opened: report.unique_opens ?? counts.all_people_opened,
      clicked: report.unique_clicks ?? counts.all_people_clicked,
      replied: report.replies ?? counts.people_replied,
      bounced: bouncesOf(report) ?? counts.people_bounced,
      unsubscribed: report.unsubscriptions ?? counts.people_unsubscribed,
      complained: report.complaints ?? counts.people_complained,
    }
  return {
    sent: Math.max(counts.people_sent, report?.recipients ?? 0, delivered),
    delivered,
    opened: machines ? counts.all_people_opened : counts.people_opened,
    clicked: machines ? counts.all_people_clicked : counts.people_clicked,
    replied: counts.people_replied,
    bounced: counts.people_bounced,
    unsubscribed: counts.people_unsubscribed,
    complained: counts.people_complained,
  }
}

/** Delivery rate = delivered ÷ sent. */
export const deliveryRate = ({ delivered, sent }: Pick<MailingPeople, 'delivered' | 'sent'>) =>
  share(delivered, sent)

/** Open rate = unique people who opened ÷ delivered. */
export const openRate = ({ opened, delivered }: Pick<MailingPeople, 'opened' | 'delivered'>) =>
  share(opened, delivered)

/** Click rate = unique people who clicked ÷ delivered. */
export const clickRate = ({ clicked, delivered }: Pick<MailingPeople, 'clicked' | 'delivered'>) =>
  share(clicked, delivered)

/**
 * Click-to-open = unique people who clicked ÷ unique people who opened. Who reads without pictures clicks without an
 * open, so it may be above one.
 */
export const clickToOpen = ({ clicked, opened }: Pick<MailingPeople, 'clicked' | 'opened'>) =>
  share(clicked, opened)

/** Bounce rate = bounced ÷ sent. */
export const bounceRate = ({ bounced, sent }: Pick<MailingPeople, 'bounced' | 'sent'>) => share(bounced, sent)

/** Unsubscribe rate = unique people who unsubscribed ÷ delivered. */
export const unsubscribeRate = ({
  unsubscribed,
  delivered,
}: Pick<MailingPeople, 'unsubscribed' | 'delivered'>) => share(unsubscribed, delivered)

/** Complaint rate = unique people who complained ÷ delivered. */
export const complaintRate = ({ complained, delivered }: Pick<MailingPeople, 'complained' | 'delivered'>) =>
  share(complained, delivered)

/** Reply rate = unique people who replied ÷ delivered. */
export const replyRate = ({ replied, delivered }: Pick<MailingPeople, 'replied' | 'delivered'>) =>
  share(replied, delivered)

/** With fewer deliveries, no open at all is nothing strange. */
export const trackingTold = 50

/**
 * Tracking of opens and clicks is a provider's setting, and off at first. Nobody and no machine opened or clicked, at 50
 * deliveries or more, and the provider says zero too: then it may be off, and a rate of 0 % would be a lie.
 */
export const trackingMayBeOff = (
  counts: Pick<
    ReceptionCounts,
    'people_sent' | 'people_bounced' | 'all_people_opened' | 'all_people_clicked'
  >,
  report: Report | null,
) =>
  report?.unique_opens === 0 &&
  report.unique_clicks === 0 &&
  counts.all_people_opened === 0 &&
  counts.all_people_clicked === 0 &&
  deliveredOf(counts, report) >= trackingTold

/** Shares of one; null where there is no whole. `open`, `click` and `clickToOpen` are null too where tracking may be off. */
export interface Rates {
  delivery: number | null
  open: number | null
  click: number | null
  clickToOpen: number | null
  bounce: number | null
  unsubscribe: number | null
  complaint: number | null
  reply: number | null
}

/** All rates of a mailing. @param untracked opens and clicks say nothing, see {@link trackingMayBeOff} */
export const ratesOf = (people: MailingPeople, { untracked }: { untracked: boolean }): Rates => ({
  delivery: deliveryRate(people),
  open: untracked ? null : openRate(people),
  click: untracked ? null : clickRate(people),
  clickToOpen: untracked ? null : clickToOpen(people),
  bounce: bounceRate(people),
  unsubscribe: unsubscribeRate(people),
  complaint: complaintRate(people),
  reply: replyRate(people),
})
