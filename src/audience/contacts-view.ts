import { noValue, number, plural } from '../web/formats.js'
import {
  bands,
  type Choosing,
  type ContactFilter,
  type ContactSort,
  contactSorts,
  contactsAddress,
  everybody,
  partsInForce,
  sortWord,
} from './contact-filter.js'
import type { BandSizes, ContactPage, ContactRow } from './contact-list.js'
import { originName } from './origins.js'

export const bandWords: Record<string, string> = {
  champion: 'Champion',
  active: 'Active',
  passive: 'Passive',
  fading: 'Fading',
  dormant: 'Dormant',
  new: 'New',
  none: 'No score yet',
}
export const statusWords: Record<string, string> = {
  subscribed: 'subscribed',
  paused: 'paused',
  unconfirmed: 'not confirmed',
  unsubscribed: 'unsubscribed',
  complained: 'complained',
  bounced: 'bounced',
  removed: 'removed',
  none: 'on no list',
}
const columns: { sort: ContactSort | null; label: string; look: string }[] = [
  { sort: 'name', label: 'Contact', look: 'lead' },
  { sort: 'score', label: 'Score', look: '' },
  { sort: 'trend', label: 'Trend', look: 'num' },
  { sort: 'opens', label: 'Opens', look: 'num' },
  { sort: 'clicks', label: 'Clicks', look: 'num' },
  { sort: 'last', label: 'Last activity', look: 'num' },
  { sort: 'since', label: 'Since', look: 'num late' },
  { sort: null, label: 'Source', look: 'late' },
  { sort: null, label: 'Tags', look: 'late' },
]
/** On a phone, where the table has no head. */
export const sortChoices = [
  { word: 'score', label: 'Score' },
  { word: 'trend', label: 'Trend' },
  { word: 'last', label: 'Last activity' },
  { word: 'name', label: 'Name' },
  { word: 'opens', label: 'Opens' },
  { word: 'clicks', label: 'Clicks' },
  { word: 'since', label: 'Newest' },
]
const inOrder: Record<string, string> = {
  score: 'highest score first',
  'score-asc': 'lowest score first',
  trend: 'who rose most first',
  'trend-asc': 'who fell most first',
  name: 'by name',
  'name-asc': 'by name',
  'name-desc': 'by name, backwards',
  opens: 'most opens first',
  'opens-asc': 'fewest opens first',
  clicks: 'most clicks first',
  'clicks-asc': 'fewest clicks first',
  last: 'latest activity first',
  'last-asc': 'longest quiet first',
  since: 'newest subscribers first',
  'since-asc': 'oldest subscribers first',
}
const directionWords = { asc: 'ascending', desc: 'descending' } as const

/** The table and its foot, in the whole page and alone. */
export function describeList(
  filter: ContactFilter,
  page: ContactPage,
  matching: number,
  {
    timeZone,
    shown = 0,
    isMore = false,
    chosen = [],
  }: { timeZone: string; shown?: number; isMore?: boolean; chosen?: number[] },
) {
  const sinceMonth = monthFormat(timeZone)
  const to = (change: Partial<ContactFilter>) => contactsAddress(filter, change)
  const until = shown + page.rows.length
  const parts = partsInForce(filter)
  const word = sortWord(filter.sort, filter.order)
  const proxies = sumOf(page.rows, 'proxy_opens')
  const machines = sumOf(page.rows, 'machine_opens') + sumOf(page.rows, 'machine_clicks')
  const unjudged = sumOf(page.rows, 'unjudged_opens') + sumOf(page.rows, 'unjudged_clicks')
  return {
    rows: page.rows.map((row) => ({ ...rowOf(row, filter, sinceMonth), isChosen: chosen.includes(row.id) })),
    matching,
    isMore,
    isFiltered: parts.length > 0,
    withMachines: filter.machines,
    everybodyAddress: contactsAddress({ ...everybody, machines: filter.machines }),
    // Only the first page in the usual order is read from an index alone, and so may be read every few seconds.
    refreshAddress:
      parts.length === 0 && word === 'score' && filter.after === 0 && !isMore
        ? contactsAddress({ ...everybody, machines: filter.machines }, {}, '/audience/ranking')
        : '',
    caption: `${captionOf(parts, filter)}, ${inOrder[word]}`,
    columns: columns.map(({ sort, label, look }) => {
      const current = sort === filter.sort
      const order = sort && (current ? (filter.order === 'asc' ? 'desc' : 'asc') : contactSorts[sort])
      return {
        label,
        look,
        word: sort,
        address: sort && order ? to({ sort, order }) : '',
        sorted: current ? directionWords[filter.order] : '',
      }
    }),
    foot: {
      shown: isMore ? until : page.rows.length,
      fromTop: isMore || filter.after === 0 ? '' : to({}),
      next: page.next === null ? '' : to({ after: page.next }),
      nextPart:
        page.next === null
          ? ''
          : `${contactsAddress(filter, { after: page.next }, '/audience/more')}&shown=${until}`,
      people: leftOutSentence(filter, { proxies, machines, rows: page.rows.length, isMore }),
      unjudged,
      switchTo: to({ machines: !filter.machines, after: filter.after }),
    },
  }
}

function rowOf(row: ContactRow, { machines }: ContactFilter, sinceMonth: (at: number) => string) {
  const opens = machines ? row.opens + row.proxy_opens + row.machine_opens : row.opens
  const clicks = machines ? row.clicks + row.machine_clicks : row.clicks
  const lastAt = machines ? latest(row.last_active_at, row.machine_last_active_at) : row.last_active_at
  const score = row.score === null ? null : Math.round(row.score)
  return {
    id: row.id,
    name: row.name || row.email,
    email: row.name ? row.email : '',
    score,
    band: row.band,
    trend: trendOf(row.trend),
    opens,
    opensTitle: beside([
      !machines && row.proxy_opens > 0 && `${number(row.proxy_opens)} by mail proxies left out`,
      !machines && row.machine_opens > 0 && `${number(row.machine_opens)} by machines left out`,
      row.unjudged_opens > 0 && `${number(row.unjudged_opens)} cannot be judged`,
    ]),
    clicks,
    clicksTitle: beside([
      !machines && row.machine_clicks > 0 && `${number(row.machine_clicks)} by machines left out`,
      row.unjudged_clicks > 0 && `${number(row.unjudged_clicks)} cannot be judged`,
    ]),
    lastAt,
    since: row.subscribed_at,
    sinceMonth: row.subscribed_at === null ? '' : sinceMonth(row.subscribed_at),
    source: originName(row.source),
    status: row.status && row.status !== 'subscribed' ? (statusWords[row.status] ?? row.status) : '',
    tags: row.tags.slice(0, roomFor(row.tags)),
    moreTags: row.tags.slice(roomFor(row.tags)),
  }
}

/** Two tags stand side by side while both are short; else the first stands alone, and the others are counted. */
const roomFor = ([first = '', second = '']: string[]) => (first.length + second.length <= 14 ? 2 : 1)

/** The bands at the left: each alone, in the order that is in force. */
export function bandLinks(filter: ContactFilter, sizes: BandSizes) {
  const [only, ...others] = partsInForce(filter)
  const current = only === undefined ? 'everyone' : only === 'band' && others.length === 0 ? filter.band : ''
  const names = ['everyone', ...bands, ...(sizes.none > 0 ? ['none' as const] : [])] as const
  return names.map((name) => ({
    label: name === 'everyone' ? 'Everyone' : bandWords[name]!,
    contacts: sizes[name],
    isCurrent: name === current,
    address: contactsAddress({
      ...everybody,
      machines: filter.machines,
      sort: filter.sort,
      order: filter.order,
      band: name === 'everyone' ? '' : name,
    }),
  }))
}

export interface NamedList {
  id: number
  name: string
}

/** Each part of a filter in words, with the address without it. */
export function chipsOf(filter: ContactFilter, lists: NamedList[]) {
  const chips: { label: string; value: string; without: string }[] = []
  const chip = (label: string, value: string, change: Partial<ContactFilter>) =>
    chips.push({ label, value, without: contactsAddress(filter, change) })
  for (const name of filter.tag) chip('tag is', name, { tag: filter.tag.filter((other) => other !== name) })
  for (const name of filter.not)
    chip('tag is not', name, { not: filter.not.filter((other) => other !== name) })
  if (filter.list)
    chip('list', lists.find(({ id }) => id === filter.list)?.name ?? String(filter.list), { list: 0 })
  if (filter.status) chip('status', statusWords[filter.status]!, { status: '' })
  if (filter.band) chip('band', bandWords[filter.band]!.toLowerCase(), { band: '' })
  if (filter.score) chip('score', `${filter.score} or more`, { score: 0 })
  if (filter.source) chip('source', originName(filter.source), { source: '' })
  if (filter.active) chip('active within', plural(filter.active, 'day', 'days'), { active: 0 })
  if (filter.quiet) chip('quiet for', plural(filter.quiet, 'day', 'days'), { quiet: 0 })
  if (filter.domain) chip('domain', filter.domain, { domain: '' })
  return chips
}

const captionOf = (parts: Choosing[], { band }: ContactFilter) =>
  parts.length === 0
    ? 'All contacts'
    : parts.length === 1 && band !== ''
      ? `Contacts of the band ${bandWords[band]}`
      : 'Contacts that match the filter'

function leftOutSentence(
  { machines: included }: ContactFilter,
  { proxies, machines, rows, isMore }: { proxies: number; machines: number; rows: number; isMore: boolean },
) {
  const some = [
    proxies > 0 && `${plural(proxies, 'open', 'opens')} by mail proxies`,
    machines > 0 && `${number(machines)} by machines`,
  ].filter((part) => part !== false)
  const whose = `of ${isMore ? 'the last' : 'these'} ${number(rows)}`
  if (some.length === 0) return included ? 'Machines and mail proxies are counted.' : 'People only.'
  return included ? `Counted ${whose}: ${some.join(', ')}` : `Left out ${whose}: ${some.join(', ')}`
}

const sumOf = (
  rows: ContactRow[],
  what: Exclude<keyof ContactRow & `${string}_${'opens' | 'clicks'}`, never>,
) => rows.reduce((sum, row) => sum + row[what], 0)

const latest = (one: number | null, other: number | null) =>
  one === null ? other : other === null ? one : Math.max(one, other)

function trendOf(points: number | null) {
  if (points === null) return { way: 'none', size: noValue }
  if (points === 0) return { way: 'level', size: 'level' }
  return { way: points > 0 ? 'up' : 'down', size: number(Math.abs(points)) }
}

const beside = (parts: (string | false)[]) => parts.filter((part) => part !== false).join(', ')

/** Nov 2024 */
function monthFormat(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric', timeZone })
  return (at: number) => format.format(at).replace('Sept', 'Sep')
}
