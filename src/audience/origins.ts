const names: Record<string, string> = {
  tracker: 'Click tracker',
  csv: 'CSV import',
  ours: 'Throughline',
  buttondown: 'Buttondown',
  emailoctopus: 'EmailOctopus',
}

/** Where a contact, a list or a tag comes from, as people call it. The database keeps the short word. */
export const originName = (origin: string) => names[origin] ?? origin
