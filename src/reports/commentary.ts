import { sumOfCampaigns } from './campaign-numbers.js'
import { aheadWords } from './campaign-sections.js'
import { type Section, section } from './data.js'
import type { ReportDefinition } from './definition.js'
import type { ReportFormats } from './locales.js'
import { qualityRows } from './mailing-sections.js'
import { averagesOf, sumsOf } from './mailing-sums.js'
import type { SectionName } from './templates.js'
import type { Numbers } from './verdict.js'
import { capital, counted } from './words.js'

/** Lines of a text: each is a paragraph, or an item of a list. */
const linesOf = (text: string) =>
  text
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')

/**
 * The commentary: as it was written, or drafted from the numbers where nobody wrote any; and what to do next, where
 * somebody says so.
 */
export function commentarySection(
  numbers: Numbers,
  f: ReportFormats,
  {
    commentary,
    nextSteps,
    on,
  }: Pick<ReportDefinition, 'commentary' | 'nextSteps'> & { on: readonly SectionName[] },
): { section: Section | null; draft: string; told: string[] } {
  const drafted = draftCommentary(numbers, f, on)
  const told =
    commentary.trim() === '' ? (drafted.length > 0 ? [drafted.join(' ')] : []) : linesOf(commentary)
  const next = linesOf(nextSteps).map((line) => line.replace(/^(\d+[.)]|[-*•])\s+/, ''))
  const columns = [
    ...(told.length > 0 ? [{ heading: 'How to read this', paragraphs: told, items: [] }] : []),
    ...(next.length > 0 ? [{ heading: 'What to do next', paragraphs: [], items: next }] : []),
  ]
  return {
    draft: drafted.join(' '),
    told,
    section: columns.length === 0 ? null : section('commentary', 'Commentary', { columns }),
  }
}

/** What a reader should know to read the numbers rightly, in plain sentences. @param on the sections that are shown */
function draftCommentary(
  { found, campaigns, domains, lists, offers, benchmarks }: Numbers,
  f: ReportFormats,
  on: readonly SectionName[],
): string[] {
  const sentences: string[] = [...aheadWords(domains)]
  const { mailings, earlier } = found
  if (mailings.length > 0) {
    const sums = sumsOf(mailings)
    const usual = averagesOf(earlier)
    for (const [name, did] of [
      ['open', 'Opens'],
      ['click', 'Clicks'],
    ] as const) {
      const [now, before] = [sums.rates[name], usual[name]]
      if (now === null || before === null) continue
      const difference = now - before
      sentences.push(
        Math.abs(difference) < 0.0005
          ? `${did} are as usual.`
          : `${did} are ${f.points(difference)} ${difference > 0 ? 'above' : 'below'} the average of the ${counted(earlier.length, 'mailing', 'mailings', f.number)} before (${f.percent(before)}).`,
      )
    }
    const field = benchmarks.open
    if (field && sums.rates.open !== null)
      sentences.push(
        `In the field ${f.percent(field.share)} open (${field.source}, ${field.asOf}); figures of others are counted in other ways, so read them as a rough guide.`,
      )
    const { machines } = qualityRows({ found })
    const left = machines.opens + machines.proxies + machines.clicks
    if (left > 0)
      sentences.push(
        `${capital(f.plural(machines.opens + machines.proxies, 'open', 'opens'))} and ${f.plural(machines.clicks, 'click', 'clicks')} by machines and privacy proxies are left out.`,
      )
    const untracked = mailings.filter((mailing) => mailing.untracked).length
    if (untracked > 0)
      sentences.push(
        `Of ${counted(untracked, 'mailing', 'mailings', f.number)} neither opens nor clicks are known: their tracking may be off.`,
      )
  }
  if (campaigns.length > 0) {
    const { orphans, machine } = sumOfCampaigns(campaigns)
    if (orphans !== null && orphans > 0)
      sentences.push(`${capital(f.plural(orphans, 'conversion', 'conversions'))} had no earlier click.`)
    if (mailings.length === 0 && machine.email_clicks > 0)
      sentences.push(
        `${capital(f.plural(machine.email_clicks, 'click', 'clicks'))} by machines are left out.`,
      )
  }
  if (found.contacts === null && lists.length === 1 && lists[0]!.churn !== null)
    sentences.push(
      `As many subscriptions ended in this period as ${f.percent(lists[0]!.churn, 2)} of those at its beginning.`,
    )
  // Where offers or their texts are shown, each offer has its sentence there.
  if (offers.length > 1 && !on.includes('variations') && !on.includes('offers'))
    sentences.push(...offers.map(({ name, sentence }) => `${name}: ${sentence}`))
  else if (offers.length === 1) sentences.push(offers[0]!.note)
  return sentences.filter((sentence) => sentence !== '')
}
