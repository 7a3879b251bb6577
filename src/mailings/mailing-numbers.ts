import type { Mailing } from './queries.js'

/** The numbers of a mailing by which it can be put in order, filtered and compared. */
export const numberNames = [
  'sent_to',
  'delivered',
  'opened',
  'clicked',
  'opens',
  'clicks',
  'replied',
  'bounced',
  'unsubscribed',
  'complained',
  'open_rate',
  'click_rate',
  'click_to_open',
  'bounce_rate',
  'unsubscribe_rate',
  'complaint_rate',
] as const
export type NumberName = (typeof numberNames)[number]

export interface NumberKind {
  label: string
  /** Its definition, where the label alone does not say it. */
  title: string
  /** Unique people, events, or a share of one. */
  unit: 'people' | 'events' | 'share'
  /** Which is good news; null where neither is. */
  better: 'higher' | 'lower' | null
  /** Where it is of opens and clicks, it says nothing while their tracking may be off. */
  isTracked: boolean
  /** How many decimals its per cent has on a page. */
  decimals: 1 | 2
  read: (mailing: Mailing) => number | null
}

const kind = (
  label: string,
  unit: NumberKind['unit'],
  better: NumberKind['better'],
  read: NumberKind['read'],
  { title = '', isTracked = false, decimals = 1 }: Partial<NumberKind> = {},
): NumberKind => ({ label, title, unit, better, isTracked, decimals, read })

export const numberKinds: Record<NumberName, NumberKind> = {
  sent_to: kind('Sent to', 'people', null, ({ people }) => people.sent, {
    title: 'Unique people it went out to',
  }),
  delivered: kind('Delivered', 'people', null, ({ people }) => people.delivered, {
    title: 'Sent less bounced',
  }),
  opened: kind('Opened', 'people', 'higher', ({ people }) => people.opened, {
    title: 'Unique people who opened',
    isTracked: true,
  }),
  clicked: kind('Clicked', 'people', 'higher', ({ people }) => people.clicked, {
    title: 'Unique people who clicked',
    isTracked: true,
  }),
  opens: kind('Opens', 'events', 'higher', ({ opens }) => opens, {
    title: 'All opens of everybody',
    isTracked: true,
  }),
  clicks: kind('Clicks', 'events', 'higher', ({ clicks }) => clicks, {
    title: 'All clicks of everybody',
    isTracked: true,
  }),
  replied: kind('Replied', 'people', 'higher', ({ people }) => people.replied, {
    title: 'Unique people who replied',
  }),
  bounced: kind('Bounced', 'people', 'lower', ({ people }) => people.bounced, {
    title: 'People it did not reach',
  }),
  unsubscribed: kind('Left', 'people', 'lower', ({ people }) => people.unsubscribed, {
    title: 'People who unsubscribed',
  }),
  complained: kind('Complained', 'people', 'lower', ({ people }) => people.complained, {
    title: 'People who called it spam',
  }),
  open_rate: kind('Open rate', 'share', 'higher', ({ rates }) => rates.open, {
    title: 'People who opened ÷ delivered',
    isTracked: true,
  }),
  click_rate: kind('Click rate', 'share', 'higher', ({ rates }) => rates.click, {
    title: 'People who clicked ÷ delivered',
    isTracked: true,
  }),
  click_to_open: kind('Click-to-open', 'share', 'higher', ({ rates }) => rates.clickToOpen, {
    title: 'People who clicked ÷ people who opened',
    isTracked: true,
  }),
  bounce_rate: kind('Bounce rate', 'share', 'lower', ({ rates }) => rates.bounce, {
    title: 'Bounced ÷ sent',
    decimals: 2,
  }),
  unsubscribe_rate: kind('Unsubscribe rate', 'share', 'lower', ({ rates }) => rates.unsubscribe, {
    title: 'People who unsubscribed ÷ delivered',
    decimals: 2,
  }),
  complaint_rate: kind('Complaint rate', 'share', 'lower', ({ rates }) => rates.complaint, {
    title: 'People who complained ÷ delivered',
    decimals: 2,
  }),
}

/** A draft, or one that nobody has reported of yet: nothing is known of it that could be a number. */
export const isUntold = ({ report, hasCounts }: Mailing) => report === null && !hasCounts

/** A number of a mailing, in people, events or as a share of one; null where it has none, which is not zero. */
export function numberOf(mailing: Mailing, name: NumberName): number | null {
  const { read, isTracked } = numberKinds[name]
  return isUntold(mailing) || (isTracked && mailing.untracked) ? null : read(mailing)
}

/** Whose number of deliveries it is: the provider's may be the greater, though the opens and clicks are ours. */
export const deliveredBasis = ({ basis, people, receptions }: Mailing) =>
  people.delivered > receptions.people_sent - receptions.people_bounced ? 'provider' : basis
