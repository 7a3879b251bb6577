import { sumOfCounts } from '../audience/counting.js'
import { originName } from '../audience/origins.js'
import { periodName } from '../audience/periods.js'
import type { Calendar } from '../web/calendar.js'
import { type Change, change } from '../web/changes.js'
import { sparkline } from '../web/charts.js'
import { type DateFormats, number, percent, plural } from '../web/formats.js'
import {
  lastRated,
  type Outlier,
  rateFields,
  rateNames,
  type Series,
  type Summary,
  type TotalName,
  totalByPart,
} from './dashboard.js'
import {
  type Adding,
  adding,
  type Bounds,
  dayRanges,
  everyMailing,
  fieldsOf,
  type MailingFilter,
  type MailingSort,
  mailingSorts,
  mailingsAddress,
  type Spell,
  sortWord,
} from './mailing-filter.js'
import type { ListedMailing, MailingPage } from './mailing-list.js'
import {
  deliveredBasis,
  isUntold,
  type NumberName,
  numberKinds,
  numberNames,
  numberOf,
} from './mailing-numbers.js'
import { statusWord, whose } from './mailing-words.js'
import { betterRate } from './statistics.js'

/** How many mailings are compared by bars. */
const bars = 10

interface Column {
  sort: MailingSort
  label: string
  title: string
  look: string
}
const numberColumn = (sort: NumberName, look: string): Column => ({ sort, ...numberKinds[sort], look })
export const columns: Column[] = [
  { sort: 'name', label: 'Mailing', title: '', look: 'lead' },
  { sort: 'sent', label: 'Sent', title: 'When it was sent, or what has become of it', look: 'num' },
  numberColumn('sent_to', 'num late'),
  numberColumn('delivered', 'num'),
  numberColumn('opened', 'num late'),
  numberColumn('open_rate', 'num'),
  numberColumn('clicked', 'num late'),
  numberColumn('click_rate', 'num'),
  numberColumn('click_to_open', 'num late'),
  numberColumn('bounced', 'num late'),
  numberColumn('unsubscribed', 'num late'),
  { sort: 'basis', label: 'Numbers', title: 'Whose they are', look: '' },
]
const more: { sort: MailingSort; label: string }[] = numberNames
  .filter((name) => !columns.some(({ sort }) => sort === name))
  .map((name) => ({ sort: name, label: numberKinds[name].label }))

const adders: Record<Adding, string> = {
  dates: 'Sent between',
  status: 'Status',
  provider: 'Provider',
  list: 'List',
  sender: 'Sender',
  project: 'Project',
  basis: 'Whose numbers',
  number: 'A number',
}

/** What the filters can be set to: whatever there is among all mailings. */
export function choicesOf(all: readonly ListedMailing[]) {
  const [statuses, providers, senders] = [new Set<string>(), new Set<string>(), new Set<string>()]
  const [lists, projects] = [new Map<number, string>(), new Map<number, string>()]
  for (const mailing of all) {
    statuses.add(mailing.status)
    providers.add(mailing.provider)
    senders.add(mailing.from_address)
    for (const { id, name } of mailing.lists) lists.set(id, name)
    for (const { id, name, partner } of mailing.projects) projects.set(id, `${partner}, ${name}`)
  }
  const sorted = (values: Iterable<string>, label: (value: string) => string) =>
    [...new Set(values)]
      .filter((value) => value !== '')
      .sort()
      .map((value) => ({ value, label: label(value) }))
  const byName = (named: Map<number, string>) =>
    [...named]
      .map(([id, label]) => ({ value: String(id), label }))
      .sort((one, other) => one.label.localeCompare(other.label, 'en'))
  return {
    status: sorted(statuses, statusWord),
    provider: sorted(providers, originName),
    list: byName(lists),
    sender: sorted(
      [...senders].map((address) => address.toLowerCase()),
      (address) => address,
    ),
    project: byName(projects),
    basis: [
      { value: 'ours', label: 'ours' },
      { value: 'provider', label: 'the provider’s' },
    ],
  }
}
export type Choices = ReturnType<typeof choicesOf>

const nothingTo: Record<string, string> = {
  status: 'No provider has told of a status yet.',
  provider: 'There is no provider yet.',
  list: 'No mailing has gone to a list yet.',
  sender: 'No provider has told of a sender yet.',
  project: 'No mailing and no list of one is tied to a project yet.',
}

/** A bound in words: "at least 20%". */
const boundWords = (name: NumberName, words: string, value: number) =>
  `${words} ${numberKinds[name].unit === 'share' ? `${value}%` : number(value)}`
const without = (bounds: Bounds, name: NumberName) =>
  Object.fromEntries(Object.entries(bounds).filter(([other]) => other !== name)) as Bounds

/** Each part of a filter in words, with the address without it. */
export function chipsOf(filter: MailingFilter, choices: Choices, dates: DateFormats) {
  const chips: { label: string; value: string; without: string }[] = []
  const chip = (label: string, value: string, changes: Partial<MailingFilter>) =>
    chips.push({ label, value, without: mailingsAddress(filter, { ...changes, add: '' }) })
  const name = (what: keyof Choices, value: string) =>
    choices[what].find((choice) => choice.value === value)?.label ?? value
  const day = (text: string) => dates.date(Date.parse(`${text}T12:00:00Z`))
  if (filter.days) chip('sent within', plural(filter.days, 'day', 'days'), { days: 0 })
  if (filter.from) chip('sent from', day(filter.from), { from: '' })
  if (filter.to) chip('sent until', day(filter.to), { to: '' })
  if (filter.status)
    chip('status', filter.status === 'all' ? 'whichever, drafts as well' : name('status', filter.status), {
      status: '',
    })
  if (filter.provider) chip('provider', name('provider', filter.provider), { provider: '' })
  if (filter.list) chip('list', name('list', String(filter.list)), { list: 0 })
  if (filter.sender) chip('sender', filter.sender, { sender: '' })
  if (filter.project) chip('project', name('project', String(filter.project)), { project: 0 })
  if (filter.basis) chip('numbers', name('basis', filter.basis), { basis: '' })
  for (const [number, value] of Object.entries(filter.atLeast) as [NumberName, number][])
    chip(numberKinds[number].label.toLowerCase(), boundWords(number, 'at least', value), {
      atLeast: without(filter.atLeast, number),
    })
  for (const [number, value] of Object.entries(filter.atMost) as [NumberName, number][])
    chip(numberKinds[number].label.toLowerCase(), boundWords(number, 'at most', value), {
      atMost: without(filter.atMost, number),
    })
  return chips
}

/** What [+ Filter] asks for one part of the filter. */
function fieldFor(add: Adding | '', filter: MailingFilter, choices: Choices) {
  if (add === '') return null
  const label = adders[add]
  if (add === 'dates') return { name: add, label, kind: 'dates' as const, from: filter.from, to: filter.to }
  if (add === 'number')
    return {
      name: add,
      label,
      kind: 'number' as const,
      options: numberNames.map((name) => ({
        value: name,
        label: `${numberKinds[name].label}${numberKinds[name].unit === 'share' ? ', in %' : ''}`,
      })),
    }
  const options =
    add === 'status'
      ? [...choices.status, { value: 'all', label: 'whichever, drafts as well' }]
      : choices[add]
  return { name: add, label, kind: 'choice' as const, options, nothing: nothingTo[add] ?? '' }
}

/** What stands above and around the list. */
export function describeFrame(
  filter: MailingFilter,
  { choices, dates, count }: { choices: Choices; dates: DateFormats; count: number },
) {
  const to = (changes: Partial<MailingFilter>) => mailingsAddress(filter, { add: '', ...changes })
  const word = sortWord(filter.sort, filter.order)
  const sortChoices = [...columns, ...more].map(({ sort, label }) => ({
    word: sort as string,
    label: sort === 'sent' ? 'Newest' : label,
  }))
  const plainAddress = mailingsAddress(filter)
  const chips = chipsOf(filter, choices, dates)
  return {
    filter,
    count,
    address: to({}),
    chips,
    fields: (leaving: string[]) =>
      fieldsOf({ ...filter, after: 0, offset: 0 }).filter(([name]) => !leaving.includes(name)),
    ranges: dayRanges.map((days) => ({
      label: days === 0 ? 'All time' : `${days} days`,
      address: to({ days, from: '', to: '' }),
      current: days === filter.days && !filter.from && !filter.to,
    })),
    adders: adding.map((name) => ({
      label: adders[name],
      address: `${plainAddress}${plainAddress.includes('?') ? '&' : '?'}add=${name}`,
    })),
    adding: fieldFor(filter.add, filter, choices),
    sortChoices: [
      ...sortChoices,
      ...(sortChoices.some((choice) => choice.word === word) ? [] : [{ word, label: 'As in the table' }]),
    ].map((choice) => ({ ...choice, chosen: choice.word === word })),
    csvAddress: mailingsAddress(filter, {}, '/mailings/export.csv'),
    everyAddress: mailingsAddress({ ...everyMailing, machines: filter.machines }),
    isFiltered: filter.q !== '' || chips.length > 0,
    nothing:
      filter.q && chips.length === 0
        ? `No mailing has “${filter.q}” in its name or subject`
        : filter.q || chips.length > 0
          ? 'No mailing matches'
          : 'Nothing was sent yet',
  }
}

/** The table and its foot, in the whole page and alone. */
export function describeList(filter: MailingFilter, page: MailingPage) {
  const shown = filter.offset + page.rows.length
  return {
    filter,
    columns: columns.map((column) => {
      const current = column.sort === filter.sort
      const order = current ? (filter.order === 'asc' ? 'desc' : 'asc') : mailingSorts[column.sort]
      return {
        ...column,
        sorted: current ? (filter.order === 'asc' ? 'ascending' : 'descending') : '',
        address: mailingsAddress(filter, { sort: column.sort, order, add: '' }),
      }
    }),
    rows: page.rows.map((mailing) => rowOf(mailing, filter)),
    foot: {
      shown,
      from: filter.offset + 1,
      count: page.count,
      next: page.next === null ? '' : mailingsAddress(filter, { after: page.next, offset: shown, add: '' }),
    },
    address: mailingsAddress(filter, { add: '' }),
    isMore: filter.after > 0,
  }
}

const rawShare = (share: number | null) => (share === null ? '' : String(Math.round(share * 1e6) / 1e6))

/** A number as a page shows it, with its raw value. */
export function shownNumber(mailing: ListedMailing, name: NumberName) {
  const value = numberOf(mailing, name)
  const { unit, decimals } = numberKinds[name]
  return unit === 'share'
    ? { raw: rawShare(value), text: percent(value, decimals), isNone: value === null }
    : { raw: value === null ? '' : String(value), text: number(value), isNone: value === null }
}

function rowOf(mailing: ListedMailing, { machines }: MailingFilter) {
  const isOdd = mailing.sent_at === null || !['sent', ''].includes(mailing.status)
  const isOurs = mailing.basis === 'ours'
  return {
    id: mailing.id,
    name: mailing.name,
    address: `/mailings/${mailing.id}${machines ? '?machines=1' : ''}`,
    beside: mailing.lists.map(({ name }) => name).join(', ') || originName(mailing.provider),
    sentAt: mailing.sent_at,
    status: isOdd ? statusWord(mailing.status) : '',
    statusLook: /error|fail|suppress/.test(mailing.status) ? 'bad' : 'waiting',
    untracked: mailing.untracked,
    numbers: Object.fromEntries(numberNames.map((name) => [name, shownNumber(mailing, name)])),
    deliveredWhose:
      !isUntold(mailing) && deliveredBasis(mailing) !== mailing.basis
        ? whose(deliveredBasis(mailing), mailing.provider)
        : '',
    basis: isUntold(mailing) ? '' : mailing.basis,
    whose: isUntold(mailing) ? '' : whose(mailing.basis, mailing.provider),
    isOurs,
  }
}

/** What is not counted, and what cannot be judged, of the mailings whose numbers are ours. */
export const leftOutOf = (mailings: readonly ListedMailing[]) =>
  sumOfCounts(mailings.filter(({ basis }) => basis === 'ours').map(({ counts }) => counts))

export interface Sums {
  shown: Summary
  now: Summary
  before: Summary
}

/** The headline: totals as tiles, rates as a table, each with how it changed. */
export function describeSums(
  { shown, now, before }: Sums,
  { spell, matching, filter }: { spell: Spell; matching: ListedMailing[]; filter: MailingFilter },
) {
  const span = plural(spell.days, 'day', 'days')
  const than = `the ${span} before`
  const inSpan = spell.isWhole ? '' : `in ${span}`
  const total = (name: TotalName | 'mailings', label: string, good: 'up' | 'down' | 'neither') => {
    const read = (summary: Summary) => (name === 'mailings' ? summary.mailings : summary.totals[name])
    const [parts, earlier] = [
      totalByPart(matching, name, spell.now),
      totalByPart(matching, name, spell.before),
    ]
    return {
      name,
      label,
      raw: String(read(shown)),
      figure: number(read(shown)),
      change: change(read(now), read(before), { as: name === 'mailings' ? 'amount' : 'ratio', good }),
      before: read(before),
      inSpan,
      picture: sparkline(parts, { before: earlier, fromZero: true }),
      story: `${label} in twelve equal parts of ${span}: ${number(read(now))} in all, ${number(read(before))} in ${than}`,
    }
  }
  const outlier = (found: Outlier | null, decimals: 1 | 2) =>
    found && {
      raw: rawShare(found.value),
      text: percent(found.value, decimals),
      id: found.mailing.id,
      name: found.mailing.name,
      whose: whose(found.mailing.basis, found.mailing.provider),
    }
  return {
    than,
    tiles: [
      total('mailings', 'Mailings', 'neither'),
      total('sent', 'Sent', 'neither'),
      total('delivered', 'Delivered', 'neither'),
      total('opened', 'Opened', 'up'),
      total('clicked', 'Clicked', 'up'),
      total('unsubscribed', 'Left', 'down'),
    ],
    rates: rateNames.map((name) => {
      const { label, decimals, title } = numberKinds[rateFields[name]]
      const good = betterRate[name] === 'higher' ? ('up' as const) : ('down' as const)
      const cell = (
        read: (summary: Summary) => number | null,
        towards: 'up' | 'down' | 'neither' = good,
      ) => ({
        raw: rawShare(read(shown)),
        text: percent(read(shown), decimals),
        change: change(read(now), read(before), { as: 'points', good: towards }) as Change | null,
      })
      return {
        name,
        label,
        title,
        mailings: shown.rates[name].mailings,
        without: shown.rates[name].without,
        mean: cell(({ rates }) => rates[name].mean),
        pooled: cell(({ rates }) => rates[name].pooled),
        median: cell(({ rates }) => rates[name].median),
        deviation: cell(({ rates }) => rates[name].deviation, 'neither'),
        best: outlier(shown.rates[name].best, decimals),
        bestChange: cell(({ rates }) => rates[name].best?.value ?? null).change,
        worst: outlier(shown.rates[name].worst, decimals),
        worstChange: cell(({ rates }) => rates[name].worst?.value ?? null).change,
      }
    }),
    basis: shown.basis,
    basisWords: basisWords(shown.basis),
    changes: spell.isWhole
      ? `Changes compare these ${span} with ${than}.`
      : `Changes compare the last ${span}${filter.to ? ' of the range' : ''} with ${than}.`,
  }
}

/** Whose the numbers of many mailings are, in a sentence. */
function basisWords({ ours, provider }: Summary['basis']) {
  if (provider === 0) return ours === 0 ? '' : 'All by our own numbers.'
  if (ours === 0)
    return 'All by the providers’ own numbers, in which machines and mail proxies are among the people.'
  return `${plural(ours, 'mailing', 'mailings')} by our own numbers, ${number(provider)} by the providers’, in which machines and mail proxies are among the people.`
}

/** The last mailings as bars beside each other, each column on its own scale from zero. */
export function describeBars(shown: readonly ListedMailing[], { rates }: Summary) {
  const last = lastRated(shown, bars)
  const scale = (name: 'open' | 'click') =>
    Math.max(rates[name].mean ?? 0, ...last.map((mailing) => mailing.rates[name] ?? 0))
  const [openMost, clickMost] = [scale('open'), scale('click')]
  const width = (share: number | null, most: number) =>
    share === null || most === 0 ? 0 : Math.round((share / most) * 1000) / 10
  return {
    meanOpen: width(rates.open.mean, openMost),
    meanClick: width(rates.click.mean, clickMost),
    rows: last.map((mailing) => ({
      id: mailing.id,
      name: mailing.name,
      sentAt: mailing.sent_at!,
      open: { ...shownNumber(mailing, 'open_rate'), width: width(mailing.rates.open, openMost) },
      click: { ...shownNumber(mailing, 'click_rate'), width: width(mailing.rates.click, clickMost) },
      whose: whose(mailing.basis, mailing.provider),
    })),
  }
}

/** The two pictures over time, and their tables. */
export function describeSeries(
  { unit, points }: Series,
  { dates, filter, calendar }: { dates: DateFormats; filter: MailingFilter; calendar: Calendar },
) {
  const shown = points.map((point) => ({
    at: point.at,
    name: periodName(dates, point.at, unit),
    mailings: point.mailings,
    sent: point.sent,
    delivered: point.delivered,
    open: {
      raw: rawShare(point.open.mean),
      text: percent(point.open.mean, 1),
      pooled: percent(point.open.pooled, 1),
      rawPooled: rawShare(point.open.pooled),
    },
    click: {
      raw: rawShare(point.click.mean),
      text: percent(point.click.mean, 1),
      pooled: percent(point.click.pooled, 1),
      rawPooled: rawShare(point.click.pooled),
    },
  }))
  const rated = points.filter(({ open }) => open.mean !== null)
  const top = rated.reduce<(typeof points)[number] | null>(
    (best, point) => (best === null || point.open.mean! > best.open.mean! ? point : best),
    null,
  )
  const sent = points.reduce((sum, point) => sum + point.sent, 0)
  return {
    unit,
    zone: calendar.timeZone,
    points: shown,
    last: shown.at(-1)!,
    units: (['week', 'month'] as const).map((choice) => ({
      label: choice === 'week' ? 'Weeks' : 'Months',
      address: mailingsAddress(filter, { by: choice, add: '' }),
      current: choice === unit,
    })),
    sentStory: `People sent to by ${unit}, ${number(sent)} in all over ${plural(points.length, unit, `${unit}s`)}.`,
    ratesStory: top
      ? `Average open and click rate by ${unit}. The highest open rate, ${percent(top.open.mean, 1)}, is that of ${periodName(dates, top.at, unit)}.`
      : `Average open and click rate by ${unit}. No mailing has a rate yet.`,
  }
}
