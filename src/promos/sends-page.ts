import { Router } from 'express'
import * as z from 'zod'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { NotFound } from '../web/errors.js'
import type { OfferDirectory } from './directory.js'
import { audienceOf } from './evidence.js'
import { tieByHand } from './sends.js'

interface Needs {
  db: Db
  readers: Readers
  directory: OfferDirectory
}

/** The issue that the page before ended with, by its instant and its id. */
const After = z.object({
  after: z
    .string()
    .regex(/^\d{1,15}-\d{1,15}$/)
    .transform((text) => text.split('-').map(Number) as [at: number, id: number])
    .nullable()
    .catch(null),
})
/** A mailing by its number, or how many got the issue; both empty: nobody knows. */
const Tie = z.object({
  mailing: z
    .string()
    .trim()
    .regex(/^\d{0,15}$/)
    .catch(''),
  delivered: z
    .string()
    .trim()
    .transform((text) => text.replace(/[,. \u202f]/g, ''))
    .pipe(z.string().regex(/^\d{0,9}$/))
    .catch('?'),
})
const onePage = 50

/** `/promos/sends`: issues as the generator named them, and the mailings that they are. */
export function promoSendsPage({ db, readers, directory }: Needs) {
  const routes = Router()

  routes.get('/promos/sends', async (req, res) => {
    const { after } = After.parse(req.query)
    const rows = await readers
      .selectFrom('promo_sends as sends')
      .leftJoin('mailings', 'mailings.id', 'sends.mailing_id')
      .leftJoin('mailing_counts as mailed', 'mailed.mailing_id', 'sends.mailing_id')
      .leftJoin('mailing_reports as reports', 'reports.mailing_id', 'sends.mailing_id')
      .select([
        'sends.id',
        'sends.key',
        'sends.first_at',
        'sends.delivered',
        'sends.mailing_id',
        'sends.tied_by',
      ])
      .select([
        'mailings.name as mailing',
        'mailed.people_sent',
        'mailed.people_bounced',
        'reports.deliveries',
      ])
      .$if(after !== null, (query) =>
        query.where(({ or, and, eb }) =>
          or([
            eb('sends.first_at', '<', after![0]),
            and([eb('sends.first_at', '=', after![0]), eb('sends.id', '<', after![1])]),
          ]),
        ),
      )
      .orderBy('sends.first_at', 'desc')
      .orderBy('sends.id', 'desc')
      .limit(onePage + 1)
      .execute()
    const listed = rows.slice(0, onePage)
    const ids = listed.map(({ id }) => id)
    const [counts, mailings] = await Promise.all([
      ids.length
        ? readers
            .selectFrom('promo_send_counts')
            .select(({ fn }) => [
              'send_id',
              fn.sum<number>('impressions').as('impressions'),
              fn.sum<number>('clicks').as('clicks'),
            ])
            .where('send_id', 'in', ids)
            .groupBy('send_id')
            .execute()
        : [],
      readers
        .selectFrom('mailings')
        .select(['id', 'name', 'sent_at'])
        .where('sent_at', 'is not', null)
        .orderBy('sent_at', 'desc')
        .limit(100)
        .execute(),
    ])
    const byId = new Map(counts.map((row) => [row.send_id, row]))
    res.set('Cache-Control', 'no-store').render('promos/sends', {
      room: 'promos',
      meaning: directory.settings.meaning,
      mailings,
      sends: listed.map((send) => ({
        ...send,
        audience: audienceOf(send) || null,
        impressions: byId.get(send.id)?.impressions ?? 0,
        clicks: byId.get(send.id)?.clicks ?? 0,
        isListed: mailings.some(({ id }) => id === send.mailing_id),
      })),
      next:
        rows.length > onePage ? `/promos/sends?after=${listed.at(-1)!.first_at}-${listed.at(-1)!.id}` : '',
      isMore: after !== null,
    })
  })

  routes.post('/promos/sends/:id/tie', async (req, res) => {
    const send = await db
      .selectFrom('promo_sends')
      .select(['id', 'key'])
      .where('id', '=', /^\d{1,15}$/.test(req.params.id) ? Number(req.params.id) : 0)
      .executeTakeFirstOrThrow(() => new NotFound(`There is no issue ${req.params.id.slice(0, 20)}.`))
    const form = Tie.parse(req.body ?? {})
    if (form.delivered === '?') {
      tell(req, 'How many got it is a whole number. Nothing was changed.')
      return res.redirect(303, '/promos/sends')
    }
    const mailing = form.mailing ? Number(form.mailing) : null
    if (mailing !== null)
      await db
        .selectFrom('mailings')
        .select('id')
        .where('id', '=', mailing)
        .executeTakeFirstOrThrow(() => new NotFound(`There is no mailing ${mailing}.`))
    const delivered = Number(form.delivered) || null
    await tieByHand(db, send.id, { mailing, delivered })
    directory.touch()
    await directory.refresh({ most: Number.POSITIVE_INFINITY, all: true })
    tell(
      req,
      mailing === null && delivered === null
        ? `Nobody knows how many got the issue ${send.key}; it is left out of verdicts.`
        : `The issue ${send.key} counts with those who got it.`,
    )
    res.redirect(303, '/promos/sends')
  })
  return routes
}
