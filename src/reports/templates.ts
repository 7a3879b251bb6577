/** The parts that a report can have. Those of {@link firstPage} stand alone on page 1, whatever follows. */
export const sectionNames = [
  'verdict',
  'funnel',
  'offers',
  'curve',
  'daily',
  'mailings',
  'campaigns',
  'domains',
  'variations',
  'links',
  'places',
  'growth',
  'cohort',
  'heatmap',
  'engaged',
  'last-five',
  'quality',
  'commentary',
  'method',
  'appendix',
] as const
export type SectionName = (typeof sectionNames)[number]

export const firstPage: readonly SectionName[] = ['verdict', 'funnel', 'offers']

export interface SectionKind {
  label: string
  /** What it shows, in a few words for the builder. */
  says: string
  /** It names people: off at first, and the builder says so. */
  isPersonal?: true
}

export const sections: Record<SectionName, SectionKind> = {
  verdict: { label: 'Verdict and figures', says: 'One sentence, and four to six figures with their change' },
  funnel: { label: 'Funnel', says: 'From delivered to converted, with the rate of each step' },
  offers: { label: 'Offers', says: 'Several offers with their CTR, and which text of each to keep' },
  curve: { label: 'First 72 hours', says: 'How fast it came, beside what is usual' },
  daily: { label: 'Day by day', says: 'What each day added' },
  mailings: { label: 'Mailings', says: 'Each mailing with its rates' },
  campaigns: { label: 'Campaigns', says: 'Each tracker campaign, from click to conversion' },
  domains: { label: 'Placements', says: 'Each sending domain, with 95% intervals' },
  variations: { label: 'Texts', says: 'Each text of an offer, with 95% intervals' },
  links: { label: 'Links', says: 'The links most clicked' },
  places: { label: 'Countries and devices', says: 'Where clicks came from, as far as that is known' },
  growth: { label: 'List growth', says: 'Who joined and who left' },
  cohort: { label: 'Cohorts', says: 'How long those who joined in a month stay active' },
  heatmap: { label: 'Hours of the week', says: 'When people open or click' },
  engaged: {
    label: 'Most engaged contacts',
    says: 'Names, addresses and scores of ten people',
    isPersonal: true,
  },
  'last-five': { label: 'Beside the last five', says: 'The five mailings before, rate by rate' },
  quality: { label: 'Quality', says: 'Bounces, unsubscribes, complaints, and what was removed as machine' },
  commentary: { label: 'Commentary', says: 'How to read it, and what to do next' },
  method: { label: 'Method', says: 'Each definition with what it is a part of' },
  appendix: { label: 'Appendix', says: 'All numbers of all mailings, and the hundred links most clicked' },
}

export const templateNames = ['campaign', 'list', 'engagement', 'promo', 'custom'] as const
export type TemplateName = (typeof templateNames)[number]

export interface ReportTemplate {
  label: string
  says: string
  /** The rooms whose numbers it is made of. */
  needs: string
  /** Which period is chosen at first: so many days, where it is better held against as many before; else everything. */
  days?: number
  /** What is switched on at first, in this order; the others follow, off. */
  sections: readonly SectionName[]
}

export const templates: Record<TemplateName, ReportTemplate> = {
  campaign: {
    label: 'Campaign summary',
    says: 'What campaigns and mailings led to, from the inbox to the sale.',
    needs: 'Needs mailings, tracker campaigns or both.',
    sections: [
      'verdict',
      'funnel',
      'curve',
      'domains',
      'mailings',
      'links',
      'last-five',
      'quality',
      'commentary',
      'method',
    ],
  },
  list: {
    label: 'List performance',
    says: 'How a list grows, and how its mailings do.',
    needs: 'Needs a list. With mailings it says how they do.',
    days: 90,
    sections: ['verdict', 'funnel', 'growth', 'mailings', 'cohort', 'quality', 'commentary', 'method'],
  },
  engagement: {
    label: 'Engagement analysis',
    says: 'Who opens and clicks, when, and where.',
    needs: 'Needs mailings, or a list with some.',
    sections: [
      'verdict',
      'funnel',
      'curve',
      'heatmap',
      'links',
      'places',
      'cohort',
      'last-five',
      'quality',
      'commentary',
      'method',
    ],
  },
  promo: {
    label: 'Promo performance',
    says: 'Which texts of an offer work, and how sure that is.',
    needs: 'Needs offers of the promos.',
    days: 90,
    sections: ['verdict', 'offers', 'variations', 'daily', 'commentary', 'method'],
  },
  custom: {
    label: 'Custom',
    says: 'Choose the sections yourself.',
    needs: 'Takes whatever is there: mailings, campaigns, lists, offers.',
    sections: ['verdict', 'commentary', 'method'],
  },
}

/** A section of one report: where it stands is its place among the others. */
export interface SectionChoice {
  name: SectionName
  on: boolean
}

/** All sections in the order of a template, its own ones switched on. */
export const sectionsOf = (template: TemplateName): SectionChoice[] =>
  inOrder([...templates[template].sections].map((name) => ({ name, on: true })))

/** Each section once, those that nobody named last and off, and those of page 1 before all others. */
export function inOrder(chosen: readonly SectionChoice[]): SectionChoice[] {
  const known = new Map<SectionName, boolean>()
  for (const { name, on } of chosen) if (!known.has(name)) known.set(name, on)
  for (const name of sectionNames) if (!known.has(name)) known.set(name, false)
  const all = [...known].map(([name, on]) => ({ name, on }))
  const isFirst = ({ name }: SectionChoice) => firstPage.includes(name)
  return [...all.filter(isFirst), ...all.filter((section) => !isFirst(section))]
}

/** The same with one section moved by so many places, within its own page. */
export function moved(all: readonly SectionChoice[], name: SectionName, by: number): SectionChoice[] {
  const order = [...all]
  const from = order.findIndex((section) => section.name === name)
  const to = Math.min(order.length - 1, Math.max(0, from + by))
  const [section] = order.splice(from, 1)
  order.splice(to, 0, section!)
  return inOrder(order)
}

/** What a template is called, by its name in the database. */
export const templateLabel = (name: string) =>
  templates[name as TemplateName]?.label ?? templates.custom.label
