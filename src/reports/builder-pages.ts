import express, { type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import { jsonHas } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { KindName, TiedKinds } from '../partners/kinds.js'
import { listPartners } from '../partners/queries.js'
import { fullName, getProject, projectChoices } from '../partners/ties.js'
import type { Calendar } from '../web/calendar.js'
import { HttpError, NotFound } from '../web/errors.js'
import type { FormErrors } from '../web/forms.js'
import { wantsFragment } from '../web/render.js'
import { createReport, deleteTemplate, editReport } from './commands.js'
import {
  definitionOf,
  isNarrowed,
  type Narrowing,
  type ReportDefinition,
  templateParts,
  usualPeriod,
} from './definition.js'
import { drawReport } from './drawing.js'
import { deedOf, readForm } from './forms.js'
import { locales } from './locales.js'
import { safeInk } from './look.js'
import { getReport, listOwnTemplates } from './queries.js'
import { addressOf } from './report-pages.js'
import type { Reports } from './reports.js'
import { chosenOf } from './subjects.js'
import { firstPage, sections, templateLabel, templateNames, templates } from './templates.js'
import { listed } from './words.js'

interface Needs {
  db: Db
  readers: Readers
  kinds: TiedKinds
  reports: Reports
  calendar: Calendar
  now: () => number
}

/** A form of a report has a field for each section and each thing: more than other forms. Mount it before other body parsers. */
export const reportBodies = () => {
  const routes = Router()
  const body = express.urlencoded({ extended: false, limit: '512kb', parameterLimit: 3_000 })
  routes.post(['/reports', '/reports/preview', '/reports/things', '/reports/:id'], body)
  return routes
}

/** So many things of a kind are offered at once; others are found by their name. */
const offered = 25
const kindNames = ['mailing', 'campaign', 'list', 'offer'] as const
const noErrors: FormErrors = { first: '' }
const overtaken =
  'Somebody saved this report while you wrote. Nothing of yours is lost: look at theirs in another window, and save once more to put yours in its place.'

/** `/reports/new` and `/reports/:id/edit`: what a report is about and what it shows, beside how it will look. */
export function builderPages({ db, readers, kinds, reports, calendar, now }: Needs) {
  const routes = Router()

  // The partner's ink for a preview; colours alone get through.
  routes.get('/reports/look.css', (req, res) => {
    const ink = safeInk(typeof req.query.ink === 'string' ? `#${req.query.ink}` : '')
    res
      .type('css')
      .set('Cache-Control', 'private, max-age=86400')
      .send(`@layer tokens { :root { --partner: ${ink}; } }\n`)
  })

  routes.get('/reports/new', async (req, res) => {
    const { template, own } = req.query as Record<string, unknown>
    const isChosen = (templateNames as readonly unknown[]).includes(template)
    if (!isChosen && typeof own !== 'string') return showTemplates(req, res)
    const kept = typeof own === 'string' ? await templateOf(own) : {}
    const read = readForm({ ...req.query, ...(isChosen ? {} : { template: 'custom' }) }).definition
    const account = accountOf(res)
    const definition = await completed({
      ...read,
      ...(req.query.period === undefined ? { period: usualPeriod(read.template) } : {}),
      ...kept,
      preparedBy: read.preparedBy || kept.preparedBy || account.full_name || account.username,
    })
    await showForm(req, res, null, definition, noErrors)
  })

  async function showTemplates(req: Request, res: Response) {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(req.query))
      if (typeof value === 'string') query.set(name, value)
    const at = (name: string, value: string) => {
      const all = new URLSearchParams(query)
      all.set(name, value)
      return `/reports/new?${all}`
    }
    res.render('reports/templates', {
      room: 'reports',
      templates: templateNames.map((name) => ({ ...templates[name], href: at('template', name) })),
      own: (await listOwnTemplates(db)).map((each) => ({
        ...each,
        label: templateLabel(each.template),
        href: at('own', String(each.id)),
      })),
    })
  }

  async function templateOf(id: string): Promise<Partial<ReportDefinition>> {
    const found = (await listOwnTemplates(db)).find((each) => String(each.id) === id)
    if (!found) throw new NotFound('There is no such template. It may have been removed.')
    return templateParts(definitionOf(found.definition))
  }

  routes.get('/reports/:id/edit', async (req, res) => {
    const report = await getReport(db, req.params.id)
    await showForm(req, res, report, definitionOf(report.definition), noErrors)
  })

  // What the preview beside the form shows; a browser without JavaScript sends the form itself, with `do=preview`.
  routes.post('/reports/preview', async (req, res) => {
    const { definition } = readForm(req.body)
    if (!wantsFragment(req)) throw new HttpError(400, 'This is a part of the form of a report.')
    res
      .set('Cache-Control', 'no-store')
      .render('reports/_preview', await previewOf(await completed(definition)))
  })

  // What can be ticked of a kind, as somebody types a part of its name.
  routes.post('/reports/things', async (req, res) => {
    if (!wantsFragment(req)) throw new HttpError(400, 'This is a part of the form of a report.')
    const kind = z.enum(kindNames).catch('mailing').parse(req.query.kind)
    const { definition } = readForm(req.body)
    const group = await thingsOf(kind, definition, textOf(req.body, `find_${kind}`))
    res.set('Cache-Control', 'no-store').render('reports/_things', { group })
  })

  routes.post('/reports', async (req, res) => {
    const { definition, errors } = await checked(req.body)
    if (errors || isUnfinished(req.body))
      return showForm(req, res, null, definition, isUnfinished(req.body) ? noErrors : errors!)
    const { id } = await createReport(db, definition, { by: accountOf(res).id, now: now() })
    await saved(req, res, id, `The report ${definition.title} is saved.`)
  })

  routes.post('/reports/:id', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const { definition, errors } = await checked(req.body)
    if (errors || isUnfinished(req.body))
      return showForm(req, res, report, definition, isUnfinished(req.body) ? noErrors : errors!)
    const seen = textOf(req.body, 'seen')
    if (seen !== '' && seen !== String(report.changed_at)) {
      // Told of the newer version, somebody has seen it.
      const given = { seen: String(report.changed_at) }
      return showForm(req, res, report, definition, { first: 'title', title: overtaken }, given)
    }
    await editReport(db, report, definition, now())
    await saved(req, res, report.id, 'The changes are saved.')
  })

  async function saved(req: Request, res: Response, id: number, sentence: string) {
    if (textOf(req.body, 'do') !== 'render') {
      tell(req, sentence)
      return res.redirect(303, `/reports/${id}`)
    }
    const rendering = await reports.render(id, { at: now(), by: accountOf(res).id })
    res.redirect(303, addressOf(rendering))
  }

  routes.post('/reports/templates/:id/deletion', async (req, res) => {
    if (!/^\d{1,15}$/.test(req.params.id)) throw new NotFound('There is no such template.')
    await deleteTemplate(db, Number(req.params.id))
    tell(req, 'The template is removed. Reports that were made of it stay as they are.')
    res.redirect(303, '/reports/new')
  })

  /** The partner of the project, and its name as a title, where nobody said otherwise. */
  async function completed(definition: ReportDefinition): Promise<ReportDefinition> {
    const { project } = definition.subjects
    const found = project === null ? null : await getProject(db, project).catch(() => null)
    return {
      ...definition,
      subjects: { ...definition.subjects, project: found?.id ?? null },
      partner: definition.partner ?? found?.partner.id ?? null,
      title: definition.title || found?.name || '',
    }
  }

  /** A form as it came, completed, with what is wrong of it: alone, or beside what belongs to whom. */
  async function checked(body: unknown) {
    const sent = (body ?? {}) as Record<string, unknown>
    const first = readForm(sent)
    const definition = await completed(first.definition)
    // The project's name is title enough.
    const read =
      definition.title === first.definition.title ? first : readForm({ ...sent, title: definition.title })
    const errors: Record<string, string> = { ...read.errors }
    const partners = await listPartners(db)
    if (definition.partner !== null && !partners.some(({ id }) => id === definition.partner))
      errors.partner = 'This partner is gone. Choose another one, or none.'
    else {
      const project = definition.subjects.project
      const owner = project === null ? null : await getProject(db, project)
      if (
        owner &&
        definition.partner !== null &&
        owner.partner.id !== definition.partner &&
        !definition.withOthers
      )
        errors.project = `${fullName(owner)} is another partner’s. Choose a project of this one, or let things of other partners in.`
      for (const kind of kindNames) {
        const { foreign } = await chosenOf({ db }, kind, {
          ...definition,
          subjects: { ...definition.subjects, project: null },
        })
        if (foreign.length === 0) continue
        const [thing] = await kinds.get(kind).find(db, foreign.slice(0, 1))
        errors[kind] =
          `${thing?.name ?? `One ${kind}`} belongs to another partner. Take it out, or let things of other partners in.`
      }
    }
    Object.assign(errors, await unknownIn(definition.narrowing))
    const { first: told, ...wrong } = errors
    const [name] = Object.keys(wrong)
    return { definition, errors: name === undefined ? null : { ...wrong, first: told || name } }
  }

  /** What a report would be narrowed to that is not there: it would be about nobody. */
  async function unknownIn({ segment, tag, list, field }: Narrowing) {
    const errors: Record<string, string> = {}
    if (segment > 0) {
      const found = await db.selectFrom('segments').select('id').where('id', '=', segment).executeTakeFirst()
      if (!found) errors.segment = 'This segment is gone. Choose another one, or none.'
    }
    if (tag !== '') {
      const found = await db.selectFrom('tags').select('id').where('name', '=', tag).executeTakeFirst()
      if (!found) errors.tag = `No contact has the tag ${tag}. Choose one of the list, or none.`
    }
    if (field !== '' && list > 0) {
      const fields = await db.selectFrom('list_fields').select('tag').where('list_id', '=', list).execute()
      const known = fields.map((each) => each.tag)
      // Fields that came with an import are known from the subscriptions alone.
      const isThere = known.includes(field) || (await someSubscriptionHas(list, field))
      if (!isThere)
        errors.field = `Nobody on this list has a field of this name.${known.length === 0 ? '' : ` It has ${listed(known.slice(0, 12))}.`}`
    }
    return errors
  }

  async function someSubscriptionHas(list: number, field: string) {
    const found = await readers
      .selectFrom('subscriptions')
      .select('contact_id')
      .where('list_id', '=', list)
      .where(({ ref }) => jsonHas(ref('fields'), field))
      .limit(1)
      .executeTakeFirst()
    return found !== undefined
  }

  /** The form once more, with all that was typed: for a section that was moved, or a text that was drafted. */
  const isUnfinished = (body: unknown) => {
    const word = textOf(body, 'do')
    return word !== '' && word !== 'save' && word !== 'render'
  }

  async function showForm(
    req: Request,
    res: Response,
    report: { id: number; title: string; changed_at: number } | null,
    definition: ReportDefinition,
    errors: FormErrors,
    { seen = textOf(req.body, 'seen') || String(report?.changed_at) } = {},
  ) {
    const { draft } = deedOf(req.body)
    const preview = await previewOf(definition)
    // What somebody wrote stays, and the draft comes below it.
    const filled =
      draft && preview.drafts
        ? { ...definition, [draft]: withDraftBelow(definition[draft].trim(), preview.drafts[draft]) }
        : definition
    const [partners, projects, segments, tags, lists, fields, groups] = await Promise.all([
      listPartners(db),
      projectChoices(db),
      db.selectFrom('segments').select(['id', 'name']).orderBy('name').execute(),
      db.selectFrom('tags').select('name').orderBy('name').limit(500).execute(),
      db.selectFrom('lists').select(['id', 'name']).orderBy('name').execute(),
      db.selectFrom('list_fields').select(['tag', 'label']).distinct().orderBy('tag').limit(200).execute(),
      Promise.all(kindNames.map((kind) => thingsOf(kind, filled, textOf(req.body, `find_${kind}`)))),
    ])
    res
      .status(errors.first === '' ? 200 : 422)
      .set('Cache-Control', 'no-store')
      .render('reports/edit', {
        room: 'reports',
        report,
        seen,
        ...preview,
        definition: filled,
        values: { ...valuesOf(filled), ...(errors.days ? { days: textOf(req.body, 'days') } : {}) },
        errors,
        template: templates[filled.template],
        sectionKinds: sections,
        firstPage,
        groups,
        partners: partners.filter(({ archived_at, id }) => archived_at === null || id === filled.partner),
        projects,
        segments,
        tags,
        lists,
        fields: [...new Map(fields.map((field) => [field.tag, field])).values()],
        locales: Object.entries(locales).map(([locale, name]) => ({ locale, name })),
        timeZones: zonesWith(filled.timeZone),
        ownZone: calendar.timeZone,
        isNarrowed: isNarrowed(filled.narrowing),
      })
  }

  /** The report as it would be rendered now; what cannot be computed is said in its place. */
  async function previewOf(definition: ReportDefinition) {
    try {
      const computed = await reports.compute(definition)
      const people = new Map(computed.people.map(({ place, ...person }) => [place, person]))
      const title = definition.title || 'The title comes here'
      return {
        ...drawReport({ data: { ...computed.data, title }, people }),
        drafts: computed.drafts,
        problem: '',
        reference: '',
        isPrint: false,
        ink: safeInk(computed.data.partner?.ink ?? '').slice(1),
        logo: computed.logo ? `/partners/${definition.partner}/logo` : '',
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      return { drafts: null, problem: error.message, data: null, ink: safeInk('').slice(1) }
    }
  }

  /** What can be ticked of a kind: what is chosen, and the newest others, or those with this text in their name. */
  async function thingsOf(kind: KindName, definition: ReportDefinition, find: string) {
    const chosen = definition.subjects[`${kind}s`]
    const [own, found] = await Promise.all([
      chosen.length === 0 ? [] : kinds.get(kind).find(db, chosen),
      kinds.get(kind).search(readers, find, offered + 1),
    ])
    const others = found.filter(({ id }) => !chosen.includes(id))
    return {
      kind,
      title: kinds.get(kind).title,
      find,
      chosen: own.length,
      things: [
        ...own.map((thing) => ({ ...thing, isChosen: true })),
        ...others.slice(0, offered).map((thing) => ({ ...thing, isChosen: false })),
      ],
      hasMore: others.length > offered,
    }
  }

  return routes
}

/** All time zones by their names, the chosen one among them though it goes by an older name. */
const zonesWith = (chosen: string) =>
  [...new Set(['UTC', ...Intl.supportedValuesOf('timeZone'), chosen])].filter((name) => name !== '').sort()

/** Nothing twice where it was drafted before. */
const withDraftBelow = (written: string, draft: string) =>
  written === '' || draft === '' || written === draft ? written || draft : `${written}\n\n${draft}`

const textOf = (body: unknown, name: string) => {
  const value = ((body ?? {}) as Record<string, unknown>)[name]
  return typeof value === 'string' ? value.trim().slice(0, 200) : ''
}

/** What the plain fields of the form begin with. */
const valuesOf = (definition: ReportDefinition): Record<string, string> => ({
  title: definition.title,
  subtitle: definition.subtitle,
  prepared_by: definition.preparedBy,
  tag: definition.narrowing.tag,
  field: definition.narrowing.field,
  value: definition.narrowing.value,
  days: String(definition.period.days),
  from: definition.period.from,
  to: definition.period.to,
})
