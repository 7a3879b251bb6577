/** What the click tracker counts, in the order of a reader's way. The database keeps the position plus one. */
export const eventKinds = ['email_click', 'landing_click', 'conversion'] as const
export type EventKind = (typeof eventKinds)[number]

export const kindNumber = (kind: EventKind) => eventKinds.indexOf(kind) + 1
export const kindOf = (number: number) => eventKinds[number - 1]!

/** The counting column of each kind. */
export const countOf = {
  email_click: 'email_clicks',
  landing_click: 'landing_clicks',
  conversion: 'conversions',
} as const
