import { version } from '../config.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { readBenchmarks } from '../mailings/benchmarks.js'
import { inkOf } from '../partners/colour.js'
import type { TiedKinds } from '../partners/kinds.js'
import { findLogo, getPartner } from '../partners/queries.js'
import type { OfferDirectory } from '../promos/directory.js'
import type { Calendar } from '../web/calendar.js'
import { engagementsRemovedUntil, readCampaigns } from './campaign-numbers.js'
import {
  campaignDaysSection,
  campaignsSection,
  domainsSection,
  firstHoursSection,
  placesSection,
} from './campaign-sections.js'
import { commentarySection } from './commentary.js'
import { comparedRates } from './compared-rates.js'
import { type ReportData, type Section, section } from './data.js'
import { clockCalendar, type ReportDefinition } from './definition.js'
import { funnelSection } from './funnel-section.js'
import { cohortSection, engagedSection, growthSection, listWords, readListNumbers } from './list-sections.js'
import { figureWords, reportFormats } from './locales.js'
import {
  type AllLinks,
  appendixTables,
  type Curves,
  curveSection,
  dailySection,
  heatSection,
  lastFiveSection,
  linksSection,
  type Making,
  mailingsSection,
  mailingWords,
  readAllLinks,
} from './mailing-sections.js'
import { countedWords, methodSection } from './method.js'
import {
  offerDaysSection,
  offersSection,
  readIssues,
  readOffers,
  variationsSection,
} from './offer-sections.js'
import { qualitySection } from './quality.js'
import { findSubjects } from './subjects.js'
import type { SectionName } from './templates.js'
import {
  draftVerdict,
  type Numbers,
  readCampaignsBefore,
  tellsOfLists,
  tilesOf,
  verdictOf,
  writtenVerdict,
} from './verdict.js'
import { quoted } from './words.js'

/** Of some contacts these are told from each open and click. */
const fromEachEngagement: readonly SectionName[] = ['links', 'places', 'heatmap', 'appendix']

export interface Sources {
  db: Db
  readers: Readers
  kinds: TiedKinds
  calendar: Calendar
  directory: OfferDirectory
  curves: Curves
}

/** What was made of a definition: the data of its rendering, and what is kept apart from it. */
export interface Computed {
  data: ReportData
  logo: { type: string; bytes: Buffer } | null
  people: { place: number; contact_id: number; name: string; email: string }[]
  /** The verdict and the commentary that the numbers themselves would give. */
  drafts: { verdict: string; commentary: string }
}

/**
 * Computes a report: looks up what it is about and reads its numbers by the same queries as the pages of those rooms, so
 * that the two agree.
 * @param at the instant that the numbers are as of, in milliseconds: now
 */
export async function computeReport(
  sources: Sources,
  definition: ReportDefinition,
  at: number,
): Promise<Computed> {
  const { db, readers, calendar, curves, directory } = sources
  const f = reportFormats(definition.locale, clockCalendar(definition, calendar).timeZone)
  const found = await findSubjects(sources, definition, at)
  const making: Making = { db, readers, calendar, curves, now: at, f, found }
  const on = definition.sections.filter((each) => each.on).map(({ name }) => name)
  const [{ campaigns, domains }, before, lists, offers, issues, benchmarks, partner, logo] =
    await Promise.all([
      readCampaigns({ db, readers, calendar, now: at }, found),
      // They are of everybody, and no measure for some contacts alone.
      found.contacts === null ? readCampaignsBefore(db, found.earlierCampaigns) : null,
      readListNumbers(making, { withPast: tellsOfLists(definition.template, found) }),
      readOffers(making, directory),
      readIssues(making),
      readBenchmarks(db, comparedRates),
      definition.partner === null ? null : getPartner(db, definition.partner),
      definition.partner === null ? null : findLogo(db, definition.partner),
    ])
  const numbers: Numbers = { found, campaigns, domains, lists, offers, issues, before, benchmarks }
  const drafted = draftVerdict(definition.template, numbers, f)
  const commentary = commentarySection(numbers, f, { ...definition, on })
  const verdict = verdictOf(
    definition.verdict.trim() === '' ? drafted : writtenVerdict(definition.verdict),
    tilesOf(definition.template, numbers, f),
  )

  let links: Promise<AllLinks> | null = null
  const allLinks = () => (links ??= readAllLinks(making))
  let people: Computed['people'] = []
  const narrowed = found.contacts !== null
  const make: Record<SectionName, () => Promise<Section | null> | Section | null> = {
    verdict: () => null,
    funnel: () => funnelSection(numbers, f),
    offers: () => offersSection(offers, making),
    curve: async () => (await curveSection(making)) ?? (await firstHoursSection(making, campaigns)),
    async daily() {
      const ofOffers = () => (narrowed ? null : offerDaysSection(making))
      return definition.template === 'promo'
        ? ((await ofOffers()) ?? (await campaignDaysSection(making)))
        : ((await campaignDaysSection(making)) ?? (await dailySection(making)) ?? (await ofOffers()))
    },
    mailings: () =>
      found.mailings.length > 0 || found.campaigns.length === 0 ? mailingsSection(making) : null,
    campaigns: () => campaignsSection(campaigns, making),
    domains: () => (campaigns.length > 0 ? domainsSection(domains, making) : null),
    variations: () => variationsSection(offers, making, { hasSentences: on.includes('offers') }),
    links: async () => (found.mailings.length === 0 ? null : linksSection(await allLinks(), f)),
    places: () => placesSection(making),
    growth: () => (narrowed ? null : growthSection(lists, making)),
    cohort: () => (narrowed ? null : cohortSection(making)),
    heatmap: () => heatSection(making),
    async engaged() {
      const made = await engagedSection(making)
      people = made?.people ?? []
      return made?.section ?? null
    },
    'last-five': () => lastFiveSection(making),
    quality: () => qualitySection(making, campaigns),
    commentary: () => commentary.section,
    method: () =>
      methodSection(numbers, { f, countedIn: calendar.timeZone, rules: version, shown: on, verdict }),
    async appendix() {
      const tables = appendixTables(making, found.mailings.length === 0 ? null : await allLinks())
      return tables.length === 0 ? null : section('appendix', 'Appendix', { tables })
    },
  }
  const sections: Section[] = []
  const empty: SectionName[] = []
  for (const name of on) {
    const made = await make[name]()
    if (made) sections.push(made)
    else if (name !== 'verdict') empty.push(name)
  }
  const notes = [...found.notes]
  if (narrowed) {
    const isLeftOut = (name: SectionName, things: readonly unknown[]) =>
      empty.includes(name) && things.length > 0
    if (
      isLeftOut('growth', found.lists) ||
      isLeftOut('cohort', found.lists) ||
      isLeftOut('daily', found.offers)
    )
      notes.push(
        'List growth, cohorts and the days of offers cannot be told of some contacts alone, and are left out.',
      )
    if (offers.length > 0 || verdict.tiles.some(({ id }) => id === 'subscribers'))
      notes.push('What is said of lists and offers themselves is of everybody.')
    const removed = await engagementsRemovedUntil(readers, found.mailings)
    const isOfTracker = (name: SectionName) =>
      name === 'places' && found.campaigns.length > 0 && found.isWhole
    if (
      removed !== null &&
      sections.some(({ name }) => fromEachEngagement.includes(name) && !isOfTracker(name))
    )
      notes.push(
        `Opens and clicks up to ${f.date(removed)} are removed by now, and missing among the links, places and hours of these contacts.`,
      )
  }

  if (f.timeZone !== calendar.timeZone && !on.includes('method')) notes.push(countedWords(calendar.timeZone))

  const about = [
    ...campaigns.map(({ name }) => `the campaign ${quoted(name)}`),
    ...mailingWords(found.mailings, f),
    ...listWords(found.lists),
    ...offers.map(({ name }) => `the offer ${quoted(name)}`),
  ]
  const data: ReportData = {
    version: 1,
    template: definition.template,
    title: definition.title,
    subtitle: definition.subtitle,
    preparedBy: definition.preparedBy,
    partner: partner && {
      name: partner.name,
      ink: partner.colour === '' ? '' : inkOf(partner.colour).ink,
      address: partner.address,
    },
    locale: definition.locale,
    paper: definition.paper,
    timeZone: f.timeZone,
    countedIn: calendar.timeZone,
    renderedAt: at,
    asOf: at,
    period: found.period,
    about: about.length > 6 ? [...about.slice(0, 5), `${f.number(about.length - 5)} more`] : about,
    verdict: on.includes('verdict') ? verdict : null,
    sections,
    notes,
    summary: summaryOf(),
  }
  function summaryOf() {
    const figures = verdict.tiles.map(({ label, value, ...how }) => `${label}: ${figureWords(value, how, f)}`)
    return [
      ...(on.includes('verdict') ? [`${verdict.lead} ${verdict.rest}`.trim(), figures.join(', ')] : ['', '']),
      ...(on.includes('commentary') ? commentary.told : []),
    ]
  }
  return {
    data,
    logo: logo && { type: logo.type, bytes: Buffer.from(logo.bytes) },
    people,
    drafts: {
      verdict: `${drafted.lead} ${drafted.rest}`.trim(),
      commentary: commentary.draft,
    },
  }
}
