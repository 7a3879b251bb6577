import * as z from 'zod'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import {
  after,
  ErrorAnswer,
  Instant,
  Invalid,
  instant,
  instantOrNull,
  JsonApi,
  limit,
  notThere,
  usualAnswers,
  wrongBody,
  yesOrNo,
} from '../web/json-api.js'
import { inkOf } from './colour.js'
import type { TiedKinds } from './kinds.js'
import { getPartner, listPartners, listProjects, type Partner, type ProjectLine } from './queries.js'
import { getProject, thingsOf, tie } from './ties.js'

interface Needs {
  db: Db
  readers: Readers
  kinds: TiedKinds
  now: () => number
}

const group = 'Partners'
const Path = z.object({ id: z.coerce.number().int().min(1).max(1e15) })
const archived = yesOrNo.meta({ description: '1 lists the archived ones too.' })
const id = (what: string) =>
  z.coerce
    .number(`The ${what} is an id.`)
    .int(`The ${what} is an id.`)
    .min(1, `The ${what} is an id.`)
    .max(1e15, `The ${what} is an id.`)
const next = z.int().nullable().meta({ description: 'The `after` of the next page; null on the last.' })

const PartnerAnswer = z.object({
  id: z.int(),
  name: z.string(),
  colour: z.string().nullable().meta({ description: 'As #rrggbb; null where none was chosen.' }),
  ink: z
    .string()
    .nullable()
    .meta({ description: 'The colour as reports print it: darkened to a contrast of 4.5:1 on white.' }),
  emails: z.array(z.string()).meta({ description: 'Where reports go.' }),
  address: z.string().meta({ description: 'The postal address, in lines; may be empty.' }),
  has_logo: z.boolean(),
  created_at: Instant,
  archived_at: Instant.nullable(),
})
const examplePartner = {
  id: 3,
  name: 'Northwind',
  colour: '#f0b400',
  ink: '#977000',
  emails: ['ada@northwind.example'],
  address: 'Northwind Press\n12 Harbour Row',
  has_logo: true,
  created_at: '2026-09-01T08:00:00.000Z',
  archived_at: null,
}

const ProjectAnswer = z.object({
  id: z.int(),
  name: z.string(),
  partner: z.object({ id: z.int(), name: z.string() }),
  ties: z
    .record(z.string(), z.int().min(0))
    .meta({ description: 'How many things of each kind are tied to it: campaign, mailing, list, offer.' }),
  created_at: Instant,
  archived_at: Instant.nullable(),
})
const exampleProject = {
  id: 7,
  name: 'Autumn 2026',
  partner: { id: 3, name: 'Northwind' },
  ties: { campaign: 2, mailing: 9, list: 1 },
  created_at: '2026-09-02T08:00:00.000Z',
  archived_at: null,
}

const ThingAnswer = z.object({
  kind: z.string(),
  id: z.int(),
  name: z.string(),
  tied_at: Instant,
})

/** `/api/v1/partners…` and `/api/v1/projects…`: for programs, behind `requireToken`. */
export function partnerApi({ db, readers, kinds, now }: Needs) {
  const api = new JsonApi({ under: '/api/v1' })

  api.add(
    {
      method: 'get',
      path: '/api/v1/partners',
      id: 'listPartners',
      tag: group,
      sample: { path: '/api/v1/partners' },
      summary: 'List partners, the oldest first',
      query: z.strictObject({ archived, after, limit: limit({ usual: 50, most: 200 }) }),
      answers: {
        200: {
          description: 'A page of partners.',
          schema: z.object({ partners: z.array(PartnerAnswer), next }),
          example: { partners: [examplePartner], next: null },
        },
        ...usualAnswers,
      },
    },
    async ({ query }) => {
      const { page, next } = pageOf(await listPartners(db), query)
      return { partners: page.map(partnerAnswer), next }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/partners/{id}',
      id: 'getPartner',
      tag: group,
      sample: { path: '/api/v1/partners/3' },
      summary: 'Read a partner',
      params: Path,
      answers: {
        200: { description: 'The partner.', schema: PartnerAnswer, example: examplePartner },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params }) => partnerAnswer(await getPartner(db, params.id)),
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/projects',
      id: 'listProjects',
      tag: group,
      sample: { path: '/api/v1/projects?partner=3' },
      summary: 'List projects, the oldest first',
      query: z.strictObject({
        partner: id('partner').optional().meta({ description: 'Only those of this partner.' }),
        archived,
        after,
        limit: limit({ usual: 50, most: 200 }),
      }),
      answers: {
        200: {
          description: 'A page of projects.',
          schema: z.object({ projects: z.array(ProjectAnswer), next }),
          example: { projects: [exampleProject], next: null },
        },
        ...usualAnswers,
      },
    },
    async ({ query }) => {
      const [all, partners] = await Promise.all([
        listProjects(db, kinds, query.partner === undefined ? {} : { partner: query.partner }),
        listPartners(db),
      ])
      const { page, next } = pageOf(all, query)
      return { projects: page.map((project) => projectAnswer(project, partners)), next }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/projects/{id}',
      id: 'getProject',
      tag: group,
      sample: { path: '/api/v1/projects/7' },
      summary: 'Read a project with what is tied to it',
      params: Path,
      query: z.strictObject({ limit: limit({ usual: 200, most: 1000 }) }),
      answers: {
        200: {
          description: 'The project; of each kind the last tied things, as many as the limit says.',
          schema: ProjectAnswer.extend({ things: z.array(ThingAnswer) }),
          example: {
            ...exampleProject,
            things: [
              { kind: 'campaign', id: 5, name: 'Autumn Reading List', tied_at: '2026-09-02T08:10:00.000Z' },
            ],
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query }) => oneProject(params.id, query.limit),
  )

  api.add(
    {
      method: 'post',
      path: '/api/v1/ties',
      id: 'tieThing',
      tag: group,
      sample: { path: '/api/v1/ties', body: { kind: 'campaign', id: 5, project: 7 } },
      summary: 'Tie a thing to a project, move it there, or untie it',
      body: z.strictObject({
        kind: z
          .string('Say which kind of thing it is.')
          .meta({ description: 'campaign, mailing, list or offer.' }),
        id: z
          .int('The id is that of the thing.')
          .min(1, 'The id is that of the thing.')
          .meta({ description: 'Of the thing.' }),
        project: z
          .int('The project is an id, or null to untie.')
          .min(1, 'The project is an id, or null to untie.')
          .nullable()
          .meta({ description: 'The id of the project; null unties.' }),
      }),
      answers: {
        200: {
          description: 'Which project it belongs to, and which it belonged to before.',
          schema: z.object({
            kind: z.string(),
            id: z.int(),
            name: z.string(),
            project: z.int().nullable(),
            project_before: z.int().nullable(),
          }),
          example: { kind: 'campaign', id: 5, name: 'Autumn Reading List', project: 7, project_before: null },
        },
        ...usualAnswers,
        ...notThere,
        409: { description: 'The project is archived.', schema: ErrorAnswer },
        ...wrongBody,
      },
    },
    async ({ body }) => {
      const names = kinds.all.map(({ kind }) => kind as string)
      if (!names.includes(body.kind))
        throw new Invalid(422, { kind: `The kind is one of: ${names.join(', ')}.` })
      const wanted = { kind: body.kind, thingId: body.id, projectId: body.project }
      const { thing, from, into } = await tie(db, kinds, wanted, now())
      return {
        kind: body.kind,
        id: thing.id,
        name: thing.name,
        project: into?.id ?? null,
        project_before: from?.id ?? null,
      }
    },
  )
  async function oneProject(id: number, most: number) {
    const { partner } = await getProject(db, id)
    const projects = await listProjects(db, kinds, { partner: partner.id })
    const things = await Promise.all(
      kinds.all.map(async (kind) => {
        const own = await thingsOf(readers, kind, id, most)
        return own.things.map((thing) => ({
          kind: kind.kind,
          id: thing.id,
          name: thing.name,
          tied_at: instant(thing.tied_at),
        }))
      }),
    )
    const project = projects.find((one) => one.id === id)!
    return { ...projectAnswer(project, [partner]), things: things.flat() }
  }
  return { routes: api.close(), operations: api.operations }
}

interface Page {
  archived: boolean
  after?: number | undefined
  limit: number
}
/** Partners and projects are as many as somebody works for: all are read, and a page of them goes out. */
function pageOf<One extends { id: number; archived_at: number | null }>(
  all: One[],
  { archived, after = 0, limit }: Page,
) {
  const found = all
    .filter((one) => one.id > after && (archived || one.archived_at === null))
    .sort((one, other) => one.id - other.id)
  const page = found.slice(0, limit)
  return { page, next: found.length > limit ? page.at(-1)!.id : null }
}

const partnerAnswer = ({ id, name, colour, emails, address, hasLogo, created_at, archived_at }: Partner) => ({
  id,
  name,
  colour: colour || null,
  ink: colour === '' ? null : inkOf(colour).ink,
  emails,
  address,
  has_logo: hasLogo,
  created_at: instant(created_at),
  archived_at: instantOrNull(archived_at),
})

function projectAnswer(
  { id, name, partner_id, ties, created_at, archived_at }: ProjectLine,
  partners: { id: number; name: string }[],
) {
  return {
    id,
    name,
    partner: { id: partner_id, name: partners.find((partner) => partner.id === partner_id)!.name },
    ties,
    created_at: instant(created_at),
    archived_at: instantOrNull(archived_at),
  }
}
