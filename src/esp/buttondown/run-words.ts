import { duration, number, plural } from '../../web/formats.js'
import type { Run } from '../runs.js'
import { stages } from './sync.js'

// A sync in words, for pages and the terminal.

const kinds: Record<string, string> = {
  first: 'First sync',
  nightly: 'Nightly',
  manual: 'By hand',
}
export const kindInWords = (kind: string) => kinds[kind] ?? kind

const stageNames: Record<(typeof stages)[number], string> = {
  tags: 'Tags',
  subscribers: 'Subscribers',
  emails: 'Mailings',
  events: 'Events',
}

/** What a run has brought in, or does until now. */
export function changesInWords({ kind, changes }: Pick<Run, 'kind' | 'changes'>): string {
  const count = (name: string) => changes[name] ?? 0
  const isFirst = kind === 'first'
  const parts = [
    count('subscribers') && plural(count('subscribers'), 'new contact', 'new contacts'),
    count('mailings') && plural(count('mailings'), 'new mailing', 'new mailings'),
    isFirst
      ? count('events') && plural(count('events'), 'event', 'events')
      : count('repaired') &&
        plural(count('repaired'), 'event that no delivery told of', 'events that no delivery told of'),
    count('removed') && `${number(count('removed'))} removed there`,
    count('nobody') && plural(count('nobody'), 'event of nobody known', 'events of nobody known'),
    count('unreadable') && plural(count('unreadable'), 'row that cannot be read', 'rows that cannot be read'),
  ].filter((part): part is string => Boolean(part))
  return parts.length === 0 ? 'Nothing changed' : parts.join(', ')
}

/** How far a run is. */
export interface Headway {
  /** Of the whole, from 0 to 100: each stage counts alike, since nobody knows how long the next ones are. */
  value: number
  /** "Step 2 of 4: subscribers" */
  step: string
  /** Milliseconds until the end of this stage at the pace it has had; null when that cannot be told yet. */
  left: number | null
  stages: { name: string; label: string; done: number; of: number | null; begun: boolean }[]
}

/** Milliseconds of a stage before its pace says anything. */
const paceAfter = 3_000

export function headwayOf({ progress, seenAt }: Pick<Run, 'progress' | 'seenAt'>): Headway {
  const index = stages.findIndex((name) => progress.stage === name)
  const current = progress.stages[progress.stage]
  const share = current?.of ? Math.min(1, current.done / current.of) : 0
  const { since } = progress
  const spent = since ? seenAt - since.at : 0
  const moved = since && current ? current.done - since.done : 0
  return {
    value: index < 0 ? 0 : Math.round(((index + share) / stages.length) * 1000) / 10,
    step:
      index < 0
        ? 'About to begin'
        : `Step ${index + 1} of ${stages.length}: ${stageNames[stages[index]!].toLowerCase()}`,
    left:
      current?.of && moved > 0 && spent >= paceAfter
        ? Math.max(0, ((current.of - current.done) * spent) / moved)
        : null,
    stages: stages.map((name) => ({
      name,
      label: stageNames[name],
      done: progress.stages[name]?.done ?? 0,
      of: progress.stages[name]?.of ?? null,
      begun: progress.stages[name] !== undefined,
    })),
  }
}

/** "3,100 of 12,904", or what is known of it. */
export const amountInWords = ({ done, of }: { done: number; of: number | null }) =>
  of === null || of === done ? number(done) : `${number(done)} of ${number(of)}`

/** "about 40 s left in this step" */
export const leftInWords = (left: number) => `about ${duration(left)} left in this step`
