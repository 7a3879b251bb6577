import { isAmong } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { Row } from '../database/schema.js'
import { dayLength } from '../web/calendar.js'
import { number, plural } from '../web/formats.js'
import type { ContactRooms, Signal } from './rooms.js'
import {
  bandMeanings,
  type DeedKind,
  deedPoints,
  halfLife,
  priorMailings,
  type ScoredReception,
  scoreArithmetic,
  scoredMailings,
} from './score.js'
import { readScoreAverage } from './scoring.js'

/** So many mailings are named one by one; the older ones are one line, until somebody asks for all. */
const mostLines = 9

/** A number with one decimal: where halves of halves are summed, whole ones would not add up. */
const tenths = (value: number) => value.toFixed(1)
const shown = ({ points, of }: { points: number; of: number }) => ({
  points,
  of,
  pointsShown: tenths(points),
  ofShown: tenths(of),
})

const deedWords: Record<DeedKind, string> = {
  opened: 'opened',
  clicked: 'clicked',
  landed: 'landed',
  replied: 'replied',
  converted: 'converted',
}

/**
 * The arithmetic of a contact's score as of now, in words and numbers for the page.
 * @param all every mailing, not only the newest
 */
export async function readArithmetic(
  { readers, rooms, now }: { readers: Readers; rooms: ContactRooms; now: number },
  contact: Pick<Row<'contacts'>, 'id' | 'score' | 'last_active_at'>,
  receptions: readonly ScoredReception[],
  { all }: { all: boolean },
) {
  const [average, ...signals] = await Promise.all([
    readScoreAverage(readers),
    ...rooms.all.map(
      (room): Promise<Signal[]> => room.signals?.(readers, [contact.id]) ?? Promise.resolve([]),
    ),
  ])
  const deeds = signals.flat()
  const lastActiveAt = deeds.reduce((last, { at }) => Math.max(last, at), contact.last_active_at ?? 0) || null
  const { lines, prior, sum, score, band } = scoreArithmetic({
    mailings: scoredMailings(receptions, deeds),
    average,
    lastActiveAt,
    now,
  })
  const named = all ? lines : lines.slice(0, mostLines)
  const rest = lines.slice(named.length)
  const names = await mailingNames(
    readers,
    named.map(({ mailingId }) => mailingId),
  )
  const isStale = contact.score === null || score === null || Math.round(contact.score) !== Math.round(score)
  return {
    score,
    band,
    bandMeaning: band && bandMeanings[band],
    lines: named.map((line) => ({
      ...shown(line),
      mailingId: line.mailingId,
      name: names.get(line.mailingId) || `Mailing ${line.mailingId}`,
      deed: line.best ? `${deedWords[line.best]} ${deedPoints[line.best]}` : 'nothing 0',
      /** The tracker's event made it: it stands on the timeline, not among the engagements. */
      isTracked: line.best === 'landed' || line.best === 'converted',
      age: line.ageDays < 1 ? 'today' : plural(Math.floor(line.ageDays), 'day', 'days'),
    })),
    rest:
      rest.length === 0
        ? null
        : {
            mailings: rest.length,
            ...shown({
              points: rest.reduce((total, { points }) => total + points, 0),
              of: rest.reduce((total, { of }) => total + of, 0),
            }),
          },
    prior: shown(prior),
    sum: shown(sum),
    priorMailings,
    halfLifeDays: number(halfLife / dayLength),
    share: (sum.points / sum.of).toFixed(2),
    isCapped: sum.points > sum.of,
    worth: `An open counts ${deedPoints.opened}, a click ${deedPoints.clicked}, a landing ${deedPoints.landed}, a reply ${deedPoints.replied}, a conversion ${deedPoints.converted}.`,
    /** What the ranking says, where it is not the same number. */
    stored: isStale ? contact.score : null,
  }
}

async function mailingNames(readers: Readers, ids: number[]) {
  const rows = await readers
    .selectFrom('mailings')
    .select(['id', 'name'])
    .where(({ ref }) => isAmong(ref('id'), ids))
    .execute()
  return new Map(rows.map(({ id, name }) => [id, name]))
}
