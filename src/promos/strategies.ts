/** How the text of an offer is chosen. */
export const strategies = ['learn', 'test', 'ctr', 'fixed'] as const
export type Strategy = (typeof strategies)[number]

export const strategyNames: Record<Strategy, string> = {
  learn: 'Learning',
  test: 'Test',
  ctr: 'By CTR',
  fixed: 'Fixed weights',
}
/** What each does, for the page where it is chosen. */
export const strategyWords: Record<Strategy, string> = {
  learn:
    'Shows what works more often, and goes on trying the others: each approved text keeps 5% of the traffic at least, and a new one gets its first 100 impressions.',
  test: 'Shows all texts in turn, equally often, until the verdict is in.',
  ctr: 'Shows a text the more often the higher its weight and its CTR: weight × (1 + CTR ÷ 100). Where there is no CTR yet, the weight holds.',
  fixed: 'Shows texts as often as their weights say, whatever their clicks.',
}
export const isStrategy = (text: string): text is Strategy => strategies.includes(text as Strategy)
