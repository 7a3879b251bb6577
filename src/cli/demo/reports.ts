import { campaignKind } from '../../campaigns/tied-kind.js'
import type { Db } from '../../database/open.js'
import { openReaders } from '../../database/readers.js'
import { writeBenchmarks } from '../../mailings/benchmarks.js'
import { curveBook } from '../../mailings/mailing-usual.js'
import { listKind, mailingKind } from '../../mailings/tied-kinds.js'
import { TiedKinds } from '../../partners/kinds.js'
import { offerDirectory } from '../../promos/directory.js'
import { offerKind } from '../../promos/tied-kind.js'
import { archive } from '../../reports/archive.js'
import { createReport } from '../../reports/commands.js'
import { computeReport } from '../../reports/compute.js'
import { emptyDefinition, type ReportDefinition } from '../../reports/definition.js'
import { createSchedule } from '../../reports/schedules.js'
import type { Calendar } from '../../web/calendar.js'
import { dateFormats } from '../../web/formats.js'

interface Needs {
  db: Db
  /** The database's file, whose data is all there by now. */
  path: string
  calendar: Calendar
  /** Who makes the reports. */
  account: number
  now: number
}

/**
 * Writes the reports that Paperboat gets: its autumn campaign, rendered just now, and how the newsletter's list does, each
 * month; one of the offers; and industry figures to compare them with.
 */
export async function recordReports({ db, path, calendar, account, now }: Needs) {
  const project = await db
    .selectFrom('projects')
    .innerJoin('partners', 'partners.id', 'projects.partner_id')
    .select(['projects.id', 'partner_id'])
    .where('projects.name', '=', 'Autumn reading')
    .executeTakeFirstOrThrow()
  const common = { preparedBy: 'Maren Lindqvist', partner: project.partner_id }
  const subjects = { ...emptyDefinition('campaign').subjects, project: project.id }
  // No such figures are known: these are the owner's own, of a trade that does not exist.
  const figure = (percent: number) => ({
    percent,
    source: 'Guild of Quiet Letters (fictional)',
    as_of: String(new Date(now).getUTCFullYear() - 1),
  })
  await writeBenchmarks(db, {
    landing: figure(58),
    conversion: figure(4.5),
    engaged: figure(72),
    ctr: figure(2.1),
  })
  const offers = (await db.selectFrom('promo_offers').select('id').orderBy('id').execute()).map(
    ({ id }) => id,
  )
  const definitions: ReportDefinition[] = [
    {
      ...emptyDefinition('promo'),
      title: 'Offers in Slow Mornings',
      subtitle: 'Which texts to keep',
      preparedBy: common.preparedBy,
      subjects: { ...emptyDefinition('promo').subjects, offers },
    },
    {
      ...emptyDefinition('list'),
      ...common,
      title: 'The readers of Slow Mornings',
      subtitle: 'Who joined, who left, and who reads',
      subjects,
    },
    {
      ...emptyDefinition('campaign'),
      ...common,
      title: 'Autumn Reading List',
      subtitle: 'What the campaign led to',
      subjects,
      nextSteps: [
        'Repeat the hero in the letter that converts best; book its closing line as well.',
        'Ask the placements that stay behind for another place in the letter, or leave them out next time.',
        'Send the next letter at the hour at which this one was clicked most.',
      ].join('\n'),
    },
  ]
  const readers = openReaders(path, { threads: 1 })
  try {
    const kinds = new TiedKinds()
    for (const kind of [
      campaignKind(),
      mailingKind({ dates: dateFormats(calendar) }),
      listKind(),
      offerKind(),
    ])
      kinds.enter(kind)
    const clock = () => now
    const directory = offerDirectory({ db, readers, calendar, spooled: [], now: clock })
    const sources = { db, readers, kinds, calendar, directory, curves: curveBook({ readers, now: clock }) }
    for (const definition of definitions) {
      const { id } = await createReport(db, definition, { by: account, now })
      await archive(db, id, await computeReport(sources, definition, now), { at: now, by: account })
      // On the first of each month at eight, kept and sent to nobody.
      if (definition.template === 'list')
        await createSchedule(
          db,
          id,
          { kind: 'monthly', day: 1, minute: 8 * 60, recipients: [] },
          { by: account, now },
        )
    }
  } finally {
    await readers.destroy()
  }
}
