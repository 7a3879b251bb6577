import { Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { HttpError, NotFound } from '../web/errors.js'
import { listWords, mostWords, type WordReason, wordHad, wordReasons } from './words.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  now: () => number
}

const headings: Record<WordReason, { title: string; rule: string; nobody: string }> = {
  replied: {
    title: 'Replied',
    rule: 'Within the last 14 days.',
    nobody: 'Nobody replied within 14 days.',
  },
  rose: {
    title: 'Rose',
    rule: '15 points or more within 30 days, to 35 or more.',
    nobody: 'Nobody rose by 15 points within 30 days.',
  },
  faded: {
    title: 'Faded',
    rule: '15 points or more within 30 days, from 35 or more.',
    nobody: 'Nobody faded by 15 points within 30 days.',
  },
  left: {
    title: 'Left after long activity',
    rule: 'Within the last 30 days, after 90 days, 10 mailings and 10 opens and clicks or more.',
    nobody: 'Nobody left after long activity within 30 days.',
  },
}

/** Whether machines and mail proxies are counted in. */
const View = z.object({
  machines: z
    .enum(['0', '1'])
    .transform((value) => value === '1')
    .catch(false),
})

const DoneForm = z.object({
  machines: z.string().catch(''),
  contact: z.coerce.number().int().min(1),
  reason: z.enum(wordReasons),
  seen: z.coerce.number().int().min(1).nullable().catch(null),
})

/** `/audience/words`: whom to talk to next, and why. */
export function wordsPage({ db, readers, calendar, now }: Needs) {
  const routes = Router()

  routes.get('/audience/words', async (req, res) => {
    const { machines } = View.parse(req.query)
    const words = await listWords({ readers, calendar, now: now(), machines })
    res.set('Cache-Control', 'no-store')
    res.render('audience/words', {
      room: 'audience',
      mostWords,
      machines,
      isEmpty: wordReasons.every((reason) => words[reason].words.length === 0),
      reasons: wordReasons.map((reason) => ({
        reason,
        ...headings[reason],
        more: words[reason].more,
        words: words[reason].words.map((word) => ({ ...word, mailto: mailto(word.email) })),
      })),
    })
  })

  routes.post('/audience/words/done', async (req, res) => {
    const form = DoneForm.safeParse(req.body)
    if (!form.success) throw new HttpError(422, 'This form does not say who is done, or with what.')
    const { contact, reason, seen, machines } = form.data
    const person = await db
      .selectFrom('contacts')
      .select(['email', 'name'])
      .where('id', '=', contact)
      .where('erased_at', 'is', null)
      .executeTakeFirst()
    if (!person) throw new NotFound(`There is no contact ${contact}.`)
    await wordHad(db, { contact, reason, by: accountOf(res).id, now: now(), seen })
    tell(req, `Done with ${person.name || person.email}. Something newer brings them back.`)
    res.redirect(303, `/audience/words${machines === '1' ? '?machines=1' : ''}#${reason}`)
  })

  return routes
}

/** Opens the mail program; the @ stays as it is, as the scheme has it. */
export const mailto = (email: string) => `mailto:${encodeURIComponent(email).replaceAll('%40', '@')}`
