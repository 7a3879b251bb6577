import { duration, number, plural } from '../web/formats.js'

/** What a provider reports of a mailing, and what events tell of it here. */
const measures = [
  'delivered',
  'opened',
  'clicked',
  'bounced',
  'unsubscribed',
  'complained',
  'replied',
] as const
export type Measure = (typeof measures)[number]

export interface Comparison {
  measure: Measure
  /** null: the provider does not say. */
  theirs: number | null
  /** Unique people, machines and mail proxies left out. */
  ours: number
  /** The same with machines and mail proxies; the same number where that makes no difference. */
  all: number
  /** All events of the kind that count, where one person may have several. */
  events: number
}

/**
 * Why the two numbers differ, in one or two sentences.
 * @param provider as people call it
 * @param checkedAgo milliseconds since the provider's numbers were fetched
 */
export function explain(
  { measure, theirs, ours, all, events }: Comparison,
  { provider, checkedAgo }: { provider: string; checkedAgo: number },
): string {
  if (theirs === null) return `${provider} does not report this.`
  const fetched = `${provider}’s number was fetched ${checkedAgo < 1000 ? 'just now' : `${duration(checkedAgo)} ago`}`
  if (theirs === ours) return repeats(measure, ours, events) || 'Both agree.'
  if (ours > theirs) {
    const more = ours - theirs
    if (measure === 'clicked' || measure === 'opened')
      return `${fetched}, and its numbers are cached and rise late: ${plural(more, 'person is', 'people are')} not in it. It also leaves out what it takes for machines itself.`
    if (measure === 'bounced')
      return `${fetched}. Events also tell of addresses that were refused, or only for a time.`
    return `${fetched}, and its numbers are cached and rise late.`
  }

  const leftOut = Math.min(all, theirs) - ours
  const missing = theirs - Math.max(all, ours)
  const sentences: string[] = []
  if (leftOut > 0 && (measure === 'opened' || measure === 'clicked'))
    sentences.push(
      measure === 'opened'
        ? `${people(leftOut)} opened only through a mail proxy or a machine; they are left out here.`
        : `For ${people(leftOut)} only a machine clicked; they are left out here.`,
    )
  if (missing > 0)
    sentences.push(
      `${number(missing)} ${missing === 1 ? 'has' : 'have'} not come in as ${missing === 1 ? 'an event' : 'events'} yet: the backfill or the nightly reconciliation fetches what can be fetched.`,
    )
  if (all > theirs && (measure === 'opened' || measure === 'clicked'))
    sentences.push(`${provider} leaves out some machines as well.`)
  return sentences.join(' ')
}

const people = (count: number) => plural(count, 'person', 'people')

/** Both count people; events are more, and no mistake. */
function repeats(measure: Measure, ours: number, events: number) {
  if (events <= ours || (measure !== 'opened' && measure !== 'clicked')) return ''
  const noun = measure === 'opened' ? plural(events, 'open', 'opens') : plural(events, 'click', 'clicks')
  return `Both agree. They are people: here they stand behind ${noun}.`
}
