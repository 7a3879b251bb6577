const names: Record<string, string> = {
  tracker: 'Click tracker',
  csv: 'CSV import',
  ours: 'Throughline',
  buttondown: 'Buttondown',
  emailoctopus: 'EmailOctopus',
}

/** Whoever keeps tags list by list is an origin for each: `emailoctopus:12`. @returns the provider's short word */
export const providerOf = (origin: string) => origin.split(':')[0]!

/** Where a contact, a list or a tag comes from, as people call it. The database keeps the short word. */
export const originName = (origin: string) => names[providerOf(origin)] ?? origin
