import { createHash } from 'node:crypto'
import { type NextFunction, type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Row } from '../database/schema.js'
import type { Calendar } from '../web/calendar.js'
import { change } from '../web/changes.js'
import { HttpError, NotFound } from '../web/errors.js'
import { type DateFormats, number, percent, plural } from '../web/formats.js'
import { type FormErrors, formErrors, one } from '../web/forms.js'
import { wantsFragment } from '../web/render.js'
import { share } from '../web/shares.js'
import { readArithmetic } from './arithmetic.js'
import type { Retag } from './audience-page.js'
import { clicksOf, opensOf } from './counting.js'
import { originName } from './origins.js'
import type { ContactRooms, Moment, Overview } from './rooms.js'
import { readOverview, readTimeline } from './timeline.js'
import { mailto } from './words-page.js'

interface Needs {
  db: Db
  readers: Readers
  /** Who knows something about contacts. */
  rooms: ContactRooms
  retag: Retag
  /** Takes away all that tells who it was. */
  erase: (contact: number, by: number) => Promise<unknown>
  calendar: Calendar
  dates: DateFormats
  now: () => number
}

const count = one(z.coerce.number().int().min(0).max(1e15).catch(0))

/** What the address bar may say about a contact. A filter never fails: nonsense falls back to the default. */
const ContactView = z.object({
  machines: one(
    z
      .enum(['0', '1'])
      .transform((value) => value === '1')
      .catch(false),
  ),
  /** The name of a room, to see only its part of the timeline. */
  show: one(z.string().max(40).catch('')),
  /** `all`: the arithmetic of the score names every mailing. */
  sum: one(z.enum(['all', '']).catch('')),
  /** Key of the page: behind the moment of this instant and id. */
  before: count,
  id: one(z.string().max(100).catch('')),
  /** How many stand above this page. */
  offset: count,
})
type ContactView = z.infer<typeof ContactView>
const defaults: ContactView = ContactView.parse({})
const firstPage = { before: 0, id: '', offset: 0 }

function queryOf(view: ContactView) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(view))
    if (value !== defaults[name as keyof ContactView])
      query.set(name, String(typeof value === 'boolean' ? +value : value))
  const text = query.toString()
  return text && `?${text}`
}

/** Letters: long enough for years of remarks, and for whatever a form can carry. */
const mostNotes = 20_000
const NotesForm = z.object({
  notes: z
    .string('The notes are missing.')
    .transform((text) => text.replaceAll('\r\n', '\n').trim())
    .pipe(z.string().max(mostNotes, `Keep the notes under ${number(mostNotes)} letters.`)),
  /** See {@link fingerprint}. */
  was: z.string().catch(''),
})
const TagForm = z.object({
  tag: z
    .string('Give the tag a name.')
    .trim()
    .min(1, 'Give the tag a name.')
    .max(80, 'Keep the name of a tag under 80 letters.'),
})

const pageLength = 50
/** Tags that are offered while somebody types. */
const mostTags = 200
const noErrors: FormErrors = { first: '' }

type Contact = Row<'contacts'>

/** Everything that is known of one person, and what can be done about it. */
export function contactPage(needs: Needs) {
  const { db, readers, rooms, retag, erase, calendar, dates, now } = needs
  const routes = Router()
  // `/audience/tags` and the like are other pages.
  routes.param('id', (_req: Request, _res: Response, next: NextFunction, id: string) =>
    next(/^[1-9]\d{0,14}$/.test(id) ? undefined : 'route'),
  )

  async function getContact(id: string): Promise<Contact> {
    const contact = await db
      .selectFrom('contacts')
      .selectAll()
      .where('id', '=', Number(id))
      .executeTakeFirst()
    if (!contact) throw new NotFound(`There is no contact ${id}.`)
    if (contact.erased_at !== null)
      throw new HttpError(
        410,
        `This person was erased on ${dates.date(contact.erased_at)}. The counts are kept; who it was is gone for good.`,
        'Erased',
      )
    return contact
  }

  const roomsOf = ({ show }: ContactView) => {
    const chosen = rooms.all.filter(({ name }) => name === show)
    return chosen.length > 0 ? chosen : rooms.all
  }

  async function withTimeline(contact: Contact, view: ContactView) {
    const [page, overview] = await Promise.all([
      readTimeline(readers, roomsOf(view), contact.id, {
        after: view.before ? { at: view.before, id: view.id } : null,
        limit: pageLength,
        machines: view.machines,
      }),
      readOverview(readers, roomsOf(view), contact.id, view),
    ])
    const shown = view.offset + page.moments.length
    return {
      // Behind a page whose last day goes on, the day is not named again.
      days: byDay(page.moments, view.before ? calendar.dayOf(view.before) : ''),
      foot: {
        shown,
        from: view.offset + 1,
        count: Math.max(shown, overview.moments + (view.machines ? overview.machines : 0)),
        machines: overview.machines,
        removed: overview.removed.moments + (view.machines ? overview.removed.machines : 0),
        next: page.next && { ...view, before: page.next.at, id: page.next.id, offset: shown },
      },
    }
  }

  function byDay(moments: Moment[], lastDay: string) {
    const today = calendar.dayOf(now())
    const yesterday = calendar.shift(today, -1)
    const days: { day: string; name: string; moments: (Moment & { clock: string })[] }[] = []
    for (const moment of moments) {
      const day = calendar.dayOf(moment.at)
      if (days.at(-1)?.day !== day) {
        const [name] = dates.moment(moment.at).split(',') as [string]
        const words = day === today ? 'Today' : day === yesterday ? 'Yesterday' : name
        const year = day.slice(0, 4) === today.slice(0, 4) ? '' : ` ${day.slice(0, 4)}`
        days.push({ day, name: day === lastDay ? '' : `${words}${year}`, moments: [] })
      }
      days.at(-1)!.moments.push({ ...moment, clock: dates.moment(moment.at).slice(-5) })
    }
    return days
  }

  const common = (contact: Contact, view: ContactView) => ({
    room: 'audience',
    contact,
    view,
    at: (changes: Partial<ContactView>) =>
      `/audience/${contact.id}${queryOf({ ...view, ...firstPage, ...changes })}`,
    isMore: false,
  })

  async function showPage(
    res: Response,
    contact: Contact,
    view: ContactView,
    form: { errors?: FormErrors; typed?: Record<string, string>; others?: string } = {},
  ) {
    const [timeline, overview, receptions, tags, subscriptions, knownTags] = await Promise.all([
      withTimeline(contact, view),
      readOverview(readers, rooms.all, contact.id, view),
      readReceptions(readers, contact.id),
      readTags(db, contact.id),
      readSubscriptions(db, contact.id),
      db.selectFrom('tags').select('name').orderBy('name').limit(mostTags).execute(),
    ])
    const arithmetic = await readArithmetic({ readers, rooms, now: now() }, contact, receptions, {
      all: view.sum === 'all',
    })
    res.set('Cache-Control', 'no-store')
    res.render('audience/contact', {
      ...common(contact, view),
      ...timeline,
      arithmetic,
      tiles: tilesOf(contact, receptions, overview, view),
      mailto: mailto(contact.email),
      statusLook: statusLooks[contact.status ?? ''] ?? '',
      source: originName(contact.source),
      tags,
      knownTags: knownTags.map(({ name }) => name).filter((name) => !tags.some((tag) => tag.name === name)),
      subscriptions,
      rooms: rooms.all.filter(({ title, timeline }) => title && timeline),
      errors: form.errors ?? noErrors,
      values: { tag: '', notes: contact.notes, ...form.typed },
      others: form.others ?? '',
      was: fingerprint(contact.notes),
      mostNotes,
    })
  }

  routes.get('/audience/:id', async (req, res) => {
    const contact = await getContact(req.params.id)
    const view = ContactView.parse(req.query)
    if (!wantsFragment(req)) return showPage(res, contact, view)
    res.set('Cache-Control', 'no-store').render('audience/_more-moments', {
      ...common(contact, view),
      ...(await withTimeline(contact, view)),
      isMore: true,
    })
  })

  routes.get('/audience/:id/export.json', async (req, res) => {
    const contact = await getContact(req.params.id)
    const told: Record<string, object> = {}
    for (const room of rooms.all) if (room.export) told[room.name] = await room.export(readers, contact.id)
    res.set({
      'Content-Disposition': `attachment; filename="contact-${contact.id}-${calendar.dayOf(now())}.json"`,
      'Cache-Control': 'no-store',
    })
    res
      .type('json')
      .send(`${JSON.stringify({ exported_at: new Date(now()).toISOString(), ...told }, null, 2)}\n`)
  })

  routes.post('/audience/:id/tags', async (req, res) => {
    const contact = await getContact(req.params.id)
    const form = TagForm.safeParse(req.body)
    if (!form.success)
      return showPage(res.status(422), contact, defaults, {
        errors: formErrors(form.error),
        typed: typedOf(req, 'tag'),
      })
    const { tag } = form.data
    await retag({ contacts: [contact.id], add: [tag], remove: [] })
    tell(req, `The tag “${tag}” is added.`)
    res.redirect(303, `/audience/${contact.id}#tags-title`)
  })

  routes.post('/audience/:id/tags/remove', async (req, res) => {
    const contact = await getContact(req.params.id)
    const { tag } = TagForm.catch({ tag: '' }).parse(req.body)
    const has = (await readTags(db, contact.id)).find(({ name }) => name === tag)
    if (!has) throw new NotFound(`Contact ${contact.id} has no such tag.`)
    if (!has.isOurs)
      throw new HttpError(
        409,
        `${has.keepers} keeps the tag “${tag}”. Take it away there, and the next sync follows.`,
      )
    await retag({ contacts: [contact.id], add: [], remove: [tag] })
    tell(req, `The tag “${tag}” is taken away.`)
    res.redirect(303, `/audience/${contact.id}#tags-title`)
  })

  routes.post('/audience/:id/notes', async (req, res) => {
    const contact = await getContact(req.params.id)
    const form = NotesForm.safeParse(req.body)
    const typed = typedOf(req, 'notes')
    if (!form.success)
      return showPage(res.status(422), contact, defaults, { errors: formErrors(form.error), typed })
    const { notes, was } = form.data
    const isOverwriting = was !== fingerprint(contact.notes) && notes !== contact.notes
    if (isOverwriting)
      return showPage(res.status(409), contact, defaults, {
        typed,
        others: contact.notes || 'Nothing: they were emptied.',
        errors: {
          first: 'notes',
          notes:
            'Somebody else changed the notes meanwhile. Theirs stand below; what you save now takes their place.',
        },
      })
    await db.updateTable('contacts').set({ notes }).where('id', '=', contact.id).execute()
    tell(req, 'The notes are saved.')
    res.redirect(303, `/audience/${contact.id}#notes-title`)
  })

  routes.get('/audience/:id/erase', async (req, res) => {
    await showErase(res, await getContact(req.params.id), noErrors)
  })

  routes.post('/audience/:id/erase', async (req, res) => {
    const contact = await getContact(req.params.id)
    if ((req.body as { sure?: unknown })?.sure !== '1')
      return showErase(res.status(422), contact, {
        first: 'sure',
        sure: 'Tick this first. It cannot be taken back.',
      })
    await erase(contact.id, accountOf(res).id)
    tell(req, 'The person is erased. Their counts are kept.')
    res.redirect(303, '/audience')
  })

  async function showErase(res: Response, contact: Contact, errors: FormErrors) {
    const overview = await readOverview(readers, rooms.all, contact.id, { machines: true })
    res.set('Cache-Control', 'no-store').render('audience/erase', {
      room: 'audience',
      contact,
      name: contact.name || contact.email,
      moments: overview.moments + overview.machines,
      errors,
    })
  }

  return routes
}

/** Tells a text from another: a form says which one it began with, so that nobody writes over what they have not seen. */
const fingerprint = (text: string) => createHash('sha256').update(text).digest('base64url').slice(0, 16)

/** What was typed into a field, to be shown again: text only, whatever else was sent. */
const typedOf = (req: Request, field: string) => ({
  [field]: z
    .object({ [field]: z.string().catch('') })
    .catch({ [field]: '' })
    .parse(req.body)[field]!,
})

const statusLooks: Record<string, string> = {
  subscribed: 'status--good',
  paused: 'status--waiting',
  unconfirmed: 'status--waiting',
  bounced: 'status--warning',
  complained: 'status--bad',
}

type Reception = Awaited<ReturnType<typeof readReceptions>>[number]
const readReceptions = (readers: Readers, contact: number) =>
  readers.selectFrom('receptions').selectAll().where('contact_id', '=', contact).execute()

/** Tags by name, each with those who keep it. */
async function readTags(db: Db, contact: number) {
  const rows = await db
    .selectFrom('contact_tags')
    .innerJoin('tags', 'tags.id', 'contact_tags.tag_id')
    .select(['tags.id', 'tags.name', 'tags.description', 'origin'])
    .where('contact_id', '=', contact)
    .orderBy('tags.name')
    .execute()
  return [...new Map(rows.map((row) => [row.id, row])).values()].map(({ id, name, description }) => {
    const origins = rows.filter((row) => row.id === id).map(({ origin }) => origin)
    return {
      id,
      name,
      description,
      isOurs: origins.includes('ours'),
      /** Providers that keep it, as people call them; empty for a tag of ours alone. */
      keepers: [...new Set(origins.filter((origin) => origin !== 'ours').map(originName))].join(' and '),
    }
  })
}

async function readSubscriptions(db: Db, contact: number) {
  const rows = await db
    .selectFrom('subscriptions')
    .innerJoin('lists', 'lists.id', 'subscriptions.list_id')
    .select(['lists.id', 'lists.name', 'lists.provider', 'status', 'provider_status'])
    .select(['subscriptions.source', 'subscribed_at', 'unsubscribed_at'])
    .where('contact_id', '=', contact)
    .orderBy('lists.name')
    .execute()
  return rows.map((row) => ({
    ...row,
    provider: originName(row.provider),
    look: statusLooks[row.status] ?? '',
  }))
}

interface Tile {
  label: string
  figure: string
  raw: string
  notes: { text: string; at: number | null }[]
  change: ReturnType<typeof change>
}

/** The figures on top: first those of the mailings, then what the rooms bring. */
function tilesOf(
  contact: Contact,
  receptions: Reception[],
  overview: Overview,
  { machines }: ContactView,
): Tile[] {
  const score = contact.score === null ? null : Math.round(contact.score)
  const before = contact.score_before === null ? null : Math.round(contact.score_before)
  const opens = opensOf(contact, { machines })
  const clicks = clicksOf(contact, { machines })
  const known = receptions.filter(({ mailing_id }) => mailing_id !== 0)
  const opened = known.filter((row) => opensOf(row, { machines }) > 0).length
  const clicked = known.filter((row) => clicksOf(row, { machines }) > 0).length
  const note = (text: string, at: number | null = null) => ({ text, at })
  const notes = (...list: (string | false)[]) =>
    list.filter((text) => text !== false).map((text) => note(text))
  const last = Math.max(contact.last_active_at ?? 0, machines ? (contact.machine_last_active_at ?? 0) : 0)
  const of = (part: number, whole: number, what: string) => {
    const rate = share(part, whole)
    return rate !== null && rate <= 1 && `${percent(rate, 1)} of ${what}`
  }
  return [
    {
      label: 'Score',
      figure: number(score),
      raw: contact.score === null ? '' : String(contact.score),
      notes: notes(contact.band ?? 'no mailing delivered yet'),
      change: change(score, before, { as: 'amount' }),
    },
    {
      label: 'Delivered',
      figure: number(contact.mailings),
      raw: String(contact.mailings),
      notes:
        contact.subscribed_at === null
          ? [note('never subscribed')]
          : [note('subscribed', contact.subscribed_at)],
      change: null,
    },
    {
      label: 'Opened',
      figure: number(opened),
      raw: String(opened),
      notes: notes(
        plural(opens, 'open', 'opens'),
        of(opened, contact.mailings, 'delivered'),
        contact.unjudged_opens > 0 && `${number(contact.unjudged_opens)} cannot be judged`,
      ),
      change: null,
    },
    {
      label: 'Clicked',
      figure: number(clicked),
      raw: String(clicked),
      notes: notes(
        plural(clicks, 'click', 'clicks'),
        of(clicked, opened, 'opened'),
        contact.unjudged_clicks > 0 && `${number(contact.unjudged_clicks)} cannot be judged`,
      ),
      change: null,
    },
    {
      label: 'Replies',
      figure: number(contact.replies),
      raw: String(contact.replies),
      notes: last > 0 ? [note('last activity', last)] : [note('no activity yet')],
      change: null,
    },
    ...overview.tiles.map((tile) => ({
      label: tile.label,
      figure: number(tile.value),
      raw: String(tile.value),
      notes: [note(tile.note, tile.noteAt)],
      change: null,
    })),
  ]
}
