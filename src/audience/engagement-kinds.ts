/** What a contact and a mailing can have to do with each other. The database keeps the number. */
export const engagementKinds = [
  'sent',
  'delivered',
  'deferred',
  'bounced',
  'rejected',
  'opened',
  'clicked',
  'replied',
  'complained',
  'unsubscribed',
  'commented',
] as const
export type EngagementKind = (typeof engagementKinds)[number]

/** What the database keeps, from 1: kinds that come later go to the end of the list. */
export const engagementNumber = (kind: EngagementKind) => engagementKinds.indexOf(kind) + 1
export const engagementKind = (number: number) => engagementKinds[number - 1]!
