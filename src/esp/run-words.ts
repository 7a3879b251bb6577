import { duration, number, plural } from '../web/formats.js'
import type { Run } from './runs.js'

// A sync in words, for pages and the terminal.

/** How the syncs of one provider are called. */
export interface RunWords {
  /** Its stages by name, in their order, as people read them. */
  stages: Readonly<Record<string, string>>
  /** A run that the clock has started. */
  scheduled: string
  /** What a first sync has brought in whole by the time of a stage, where people wait for nothing else. */
  already: Readonly<Record<string, string>>
  /** What else it tells of what a run has changed, part by part; 0 for nothing. */
  changes: (count: (name: string) => number, isFirst: boolean) => (string | 0)[]
}

export function kindInWords(kind: string, { scheduled }: RunWords): string {
  if (kind === 'first') return 'First sync'
  if (kind === 'manual') return 'By hand'
  return kind === 'nightly' ? scheduled : kind
}

/** What a run has brought in, or does until now. */
export function changesInWords({ kind, changes }: Pick<Run, 'kind' | 'changes'>, words: RunWords): string {
  const count = (name: string) => changes[name] ?? 0
  const parts = [
    count('subscribers') && plural(count('subscribers'), 'new contact', 'new contacts'),
    count('mailings') && plural(count('mailings'), 'new mailing', 'new mailings'),
    ...words.changes(count, kind === 'first'),
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

export function headwayOf(
  { progress, seenAt }: Pick<Run, 'progress' | 'seenAt'>,
  words: Pick<RunWords, 'stages'>,
): Headway {
  const stages = Object.entries(words.stages)
  const index = stages.findIndex(([name]) => progress.stage === name)
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
        : `Step ${index + 1} of ${stages.length}: ${stages[index]![1].toLowerCase()}`,
    left:
      current?.of && moved > 0 && spent >= paceAfter
        ? Math.max(0, ((current.of - current.done) * spent) / moved)
        : null,
    stages: stages.map(([name, label]) => ({
      name,
      label,
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

/** A run as pages show it. */
export function runInWords(run: Run, words: RunWords) {
  const { value, step, left, stages } = headwayOf(run, words)
  const { requests, remaining } = run.progress
  return {
    ...run,
    kindWords: kindInWords(run.kind, words),
    changed: changesInWords(run, words),
    took: run.endedAt === null ? null : run.endedAt - run.startedAt,
    value,
    step,
    left: left === null ? '' : leftInWords(left),
    stages,
    already: (run.kind === 'first' && words.already[run.progress.stage]) || '',
    requests,
    /** Requests that may go out at once; null where the provider has no limit that is told. */
    remaining: remaining === null ? null : Math.floor(remaining),
  }
}
