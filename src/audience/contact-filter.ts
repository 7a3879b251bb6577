import * as z from 'zod'
import { one } from '../web/forms.js'
import { subscriptionStatuses } from './subscriptions.js'

export const bands = ['champion', 'active', 'passive', 'fading', 'dormant', 'new'] as const
export type Band = (typeof bands)[number]

/** What contacts can be ordered by, each with the direction people mean when they ask for it. */
export const contactSorts = {
  score: 'desc',
  trend: 'desc',
  name: 'asc',
  opens: 'desc',
  clicks: 'desc',
  last: 'desc',
  since: 'desc',
} as const
export type ContactSort = keyof typeof contactSorts
type Direction = 'asc' | 'desc'
const sortNames = Object.keys(contactSorts) as ContactSort[]

/** The most tags of one filter. */
const mostTags = 20

const text = (most: number) =>
  one(
    z
      .string()
      .trim()
      .transform((value) => [...value].slice(0, most).join(''))
      .catch(''),
  )
const days = one(z.coerce.number().int().min(1).max(3650).catch(0))
const id = one(z.coerce.number().int().min(0).max(1e15).catch(0))
/** Names of tags: once each, whatever their case, since tags differ by more than that. */
const names = z.preprocess(
  (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]),
  z
    .array(z.string().trim().max(80).catch(''))
    .transform((all) => {
      const known = new Map(all.map((name) => [name.toLowerCase(), name]))
      known.delete('')
      return [...known.values()].slice(0, mostTags)
    })
    .catch([]),
)

/**
 * What an address may say about contacts. A filter never fails: nonsense falls back to the default. Nothing said is
 * everybody but those who were erased, the highest score first.
 */
export const ContactFilter = z
  .object({
    /** Part of a name or of an address. */
    q: text(200),
    /** Names of tags that contacts have: all of them, or with `tags=any` one at least. */
    tag: names,
    tags: one(z.enum(['all', 'any']).catch('all')),
    /** Names of tags that contacts do not have. */
    not: names,
    /** Id of a list they are or were on; with `status`, how they stand to that list. 0: whichever. */
    list: id,
    /** `none`: on no list. */
    status: one(z.enum([...subscriptionStatuses, 'none', '']).catch('')),
    /** `none`: no score yet. */
    band: one(z.enum([...bands, 'none', '']).catch('')),
    /** Who told of them first, see origins.ts. */
    source: text(40),
    /** At least so many points. */
    score: one(z.coerce.number().min(0).max(100).catch(0)),
    /** They did something within so many days; 0: whenever. */
    active: days,
    /** They did nothing within so many days, or never; 0: whatever. */
    quiet: days,
    /** What stands behind the @ of their address. */
    domain: text(255).transform((value) => value.toLowerCase().replace(/^@/, '')),
    /** Opens and clicks of machines and proxies are looked at too. */
    machines: one(z.enum(['0', '1']).catch('0')).transform((value) => value === '1'),
    sort: one(z.string().catch('')),
    order: one(z.enum(['asc', 'desc', '']).catch('')),
    /** The last contact of the page before. */
    after: id,
  })
  .transform(({ sort, order, ...filter }) => {
    // One word says both, so that one <select> can: "score", or "score-asc" for the unusual way round.
    const [name, way] = sort.split('-')
    const by = sortNames.find((known) => known === name) ?? 'score'
    const asked = way === 'asc' || way === 'desc' ? way : order || contactSorts[by]
    return { ...filter, sort: by, order: asked as Direction }
  })
export type ContactFilter = z.infer<typeof ContactFilter>

export const everybody: ContactFilter = ContactFilter.parse({})

export const sortWord = (sort: ContactSort, order: Direction) =>
  order === contactSorts[sort] ? sort : `${sort}-${order}`

/** What chooses contacts, as against what only puts them in order or counts them otherwise. */
const choosing = [
  'q',
  'tag',
  'not',
  'list',
  'status',
  'band',
  'source',
  'score',
  'active',
  'quiet',
  'domain',
] as const
export type Choosing = (typeof choosing)[number]

const isUsual = (value: unknown) =>
  value === '' || value === 0 || (Array.isArray(value) && value.length === 0)

/** Which of its parts let only some contacts through. */
export const partsInForce = (filter: ContactFilter): Choosing[] =>
  choosing.filter((name) => !isUsual(filter[name]))

/** The fields of an address that says this filter; what is as usual is left out. */
export function fieldsOf(filter: ContactFilter): [name: string, value: string][] {
  const fields: [string, string][] = []
  for (const name of partsInForce(filter)) {
    const value = filter[name]
    for (const each of Array.isArray(value) ? value : [value]) fields.push([name, String(each)])
  }
  if (filter.tags === 'any' && filter.tag.length > 1) fields.push(['tags', 'any'])
  if (filter.machines) fields.push(['machines', '1'])
  const word = sortWord(filter.sort, filter.order)
  if (word !== 'score') fields.push(['sort', word])
  if (filter.after) fields.push(['after', String(filter.after)])
  return fields
}

/** A filter as an address says it, without the question mark: the same filter always reads the same. */
export const queryOf = (filter: ContactFilter) => new URLSearchParams(fieldsOf(filter)).toString()

/** The filter that such a query says. */
export function filterOf(query: string): ContactFilter {
  const said = new URLSearchParams(query)
  return ContactFilter.parse(Object.fromEntries([...said.keys()].map((name) => [name, said.getAll(name)])))
}

/** The address of a page with this filter; a changed filter begins with its first page again. */
export function contactsAddress(
  filter: ContactFilter,
  change: Partial<ContactFilter> = {},
  path = '/audience',
) {
  const query = queryOf({ ...filter, after: 0, ...change })
  return query ? `${path}?${query}` : path
}
