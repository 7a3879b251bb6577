import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { TestApp } from './app.js'

// What the tables of a report have to say, asked of the facts (engagements, events, what a provider told) by queries that
// have nothing in common with those of the program.

type App = Pick<TestApp, 'db' | 'clock'>
type Raw = string | number | null

/** A table as the facts have it: raw numbers, shares of one, days as `YYYY-MM-DD`. */
export interface ToldTable {
  caption: string
  /** How each column is printed: words, a number, a share with so many decimals, a day. */
  kinds: ('text' | 'number' | 0 | 1 | 2 | 'day')[]
  rows: Raw[][]
  total?: Raw[]
}

export async function asked<Row>({ db }: Pick<TestApp, 'db'>, query: RawBuilder<Row>) {
  return (await query.execute(db as unknown as Kysely<never>)).rows
}

/** In whole numbers: what is bound to a query is none, and divides with a remainder. */
const inWhole = (value: RawBuilder<unknown>, unit: number) =>
  sql`cast(${value} as integer) / cast(${unit} as integer)`
const among = (ids: readonly number[]) => sql`(${sql.join(ids)})`
/** Of these contacts alone, if any are named. */
const of = (only: readonly number[] | undefined) =>
  only === undefined ? sql`true` : sql`contact_id in ${among(only)}`
const share = (part: number | null, whole: number | null) =>
  part === null || whole === null || whole === 0 ? null : part / whole

interface MailingFacts {
  name: string
  day: string
  age: number
  sent: number
  delivered: number
  opened: number
  clicked: number
  replied: number
  bounced: number
  unsubscribed: number
  complained: number
}

/** Mailings in people, the first sent first. */
async function mailingFacts(app: App, ids: readonly number[], only?: readonly number[]) {
  return asked<MailingFacts>(
    app,
    sql`with each as (
          select mailing_id, contact_id,
            max(kind in (4, 5)) and not max(kind in (2, 6, 7, 8, 9, 10, 11)) as bounced,
            max(kind = 6 and verdict < 2) as opened, max(kind = 7 and verdict < 2) as clicked,
            max(kind = 8) as replied, max(kind = 9) as complained, max(kind = 10) as unsubscribed
          from engagements where mailing_id in ${among(ids)} and ${of(only)} group by 1, 2)
        select m.name, date(m.sent_at / 1000, 'unixepoch') as day, ${app.clock.now()} - m.sent_at as age,
          count(*) as sent, sum(1 - bounced) as delivered, sum(opened) as opened, sum(clicked) as clicked,
          sum(replied) as replied, sum(bounced) as bounced, sum(unsubscribed) as unsubscribed,
          sum(complained) as complained
        from each join mailings m on m.id = mailing_id group by m.id order by m.sent_at`,
  )
}

/** The same of mailings that their provider alone tells of. */
async function reportedFacts(app: App, ids: readonly number[]) {
  return asked<MailingFacts>(
    app,
    sql`select m.name, date(m.sent_at / 1000, 'unixepoch') as day, ${app.clock.now()} - m.sent_at as age,
          r.recipients as sent, r.deliveries as delivered, r.unique_opens as opened, r.unique_clicks as clicked,
          0 as replied, r.permanent_failures + r.temporary_failures as bounced,
          r.unsubscriptions as unsubscribed, r.complaints as complained
        from mailings m join mailing_snapshots r on r.mailing_id = m.id
        where m.id in ${among(ids)}
          and r.taken_at = (select max(taken_at) from mailing_snapshots l where l.mailing_id = m.id)
        order by m.sent_at`,
  )
}

const sumOf = (facts: readonly MailingFacts[], name: Exclude<keyof MailingFacts, 'name' | 'day'>) =>
  facts.reduce((sum, mailing) => sum + mailing[name], 0)

function mailingTables(these: readonly MailingFacts[], earlier: readonly MailingFacts[]): ToldTable[] {
  const all = Object.fromEntries(
    (['sent', 'delivered', 'opened', 'clicked', 'bounced', 'unsubscribed'] as const).map((name) => [
      name,
      sumOf(these, name),
    ]),
  ) as unknown as MailingFacts
  const rates = (of: MailingFacts) => [
    share(of.opened, of.delivered),
    share(of.clicked, of.delivered),
    share(of.clicked, of.opened),
    share(of.bounced, of.sent),
    share(of.unsubscribed, of.delivered),
  ]
  const reach = (of: MailingFacts) => [
    of.delivered,
    of.opened,
    share(of.opened, of.delivered),
    of.clicked,
    share(of.clicked, of.delivered),
    share(of.unsubscribed, of.delivered),
  ]
  return [
    {
      caption: 'Mailings, the first sent first',
      kinds: ['text', 'day', 'number', 'number', 1, 'number', 1, 2],
      rows: these.map((mailing) => [mailing.name, mailing.day, ...reach(mailing)]),
      total: ['All of them', null, ...reach(all)],
    },
    {
      caption: 'The mailings before, the latest first',
      kinds: ['text', 'day', 1, 1, 1, 2, 2],
      rows: earlier
        .toReversed()
        .slice(0, 5)
        .map((mailing) => [mailing.name, mailing.day, ...rates(mailing)]),
      total: ['These together', null, ...rates(all)],
    },
    {
      caption: 'All numbers of the mailings',
      kinds: ['text', 'day', ...Array.from({ length: 8 }, () => 'number' as const)],
      rows: these.map(
        ({ name, day, sent, delivered, opened, clicked, replied, bounced, unsubscribed, complained }) => [
          ...[name, day, sent, delivered, opened, clicked, replied, bounced, unsubscribed, complained],
        ],
      ),
    },
  ]
}

/** Bounces, who left, who complained. */
const lossRows = (these: readonly MailingFacts[]): Raw[][] => [
  ['Bounced', sumOf(these, 'bounced'), share(sumOf(these, 'bounced'), sumOf(these, 'sent')), 'of sent'],
  ...(
    [
      ['Unsubscribed', 'unsubscribed'],
      ['Complained', 'complained'],
    ] as const
  ).map(([words, name]) => [
    words,
    sumOf(these, name),
    share(sumOf(these, name), sumOf(these, 'delivered')),
    'of delivered',
  ]),
]
const quality = (rows: Raw[][]): ToldTable => ({
  caption: 'Quality',
  kinds: ['text', 'number', 2, 'text'],
  rows,
})

/** The first ten links and, where there are more, all of them. */
function linkTables(links: { url: string | null; clicks: number; people: number }[]): ToldTable[] {
  const all = links.reduce((sum, { clicks }) => sum + clicks, 0)
  const rows = links.map(({ url, clicks, people }) => [
    url === null ? 'A link that nobody told' : url.replace('https://', ''),
    ...[clicks, people, share(clicks, all)],
  ])
  const kinds: ToldTable['kinds'] = ['text', 'number', 'number', 1]
  return [
    { caption: 'Links, most clicks first', kinds, rows: rows.slice(0, 10) },
    ...(rows.length > 10 ? [{ caption: 'All links, most clicks first', kinds, rows }] : []),
  ]
}

/** The first eight countries, the others together, and the devices. */
function placeTables(
  countries: { name: string | null; clicks: number }[],
  devices: { name: string | null; clicks: number }[],
  what: 'Systems' | 'Devices',
): ToldTable[] {
  const all = countries.reduce((sum, { clicks }) => sum + clicks, 0)
  const names = new Intl.DisplayNames('en', { type: 'region' })
  const kinds: ToldTable['kinds'] = ['text', 'number', 1]
  const others = countries.slice(8).reduce((sum, { clicks }) => sum + clicks, 0)
  return [
    {
      caption: 'Countries, most clicks first',
      kinds,
      rows: [
        ...countries
          .slice(0, 8)
          .map(({ name, clicks }) => [name === null ? 'not known' : names.of(name)!, clicks, clicks / all]),
        ...(others > 0 ? [['all others', others, others / all]] : []),
      ],
    },
    {
      caption: `${what}, most clicks first`,
      kinds,
      rows: devices.map(({ name, clicks }) => [
        name === null ? 'not known' : what === 'Systems' ? name : `${name[0]!.toUpperCase()}${name.slice(1)}`,
        ...[clicks, clicks / all],
      ]),
    },
  ]
}

const clicksBy = (
  app: App,
  column: 'country' | 'os',
  { these, only }: { these: number[]; only: number[] | undefined },
) =>
  asked<{ name: string | null; clicks: number }>(
    app,
    sql`select ${sql.ref(column)} as name, count(*) as clicks from engagements
        where mailing_id in ${among(these)} and kind = 7 and verdict in (0, 1) and ${of(only)}
        group by 1 order by clicks desc, name is null, name`,
  )

/** Each mailing's people by the hour (or day) since it was sent, cumulated, as the first click of each tells. */
const clickedBy = (
  app: App,
  ids: readonly number[],
  { length, steps, only }: { length: number; steps: number; only: readonly number[] | undefined },
) =>
  asked<{ mailing: number; step: number; people: number }>(
    app,
    sql`with recursive steps (step) as (select 0 union all select step + 1 from steps where step < ${steps}),
          firsts as (select mailing_id, contact_id, min(happened_at) as at from engagements
            where kind = 7 and verdict < 2 and ${of(only)} group by 1, 2)
        select m.id as mailing, step,
          (select count(*) from firsts where mailing_id = m.id and at < m.sent_at + step * ${length}) as people
        from steps, mailings m where m.id in ${among(ids)} order by m.id, step`,
  )
/** The same in the numbers of its provider: what it said last. null before it said anything. */
const reportedBy = (app: App, ids: readonly number[], { length, steps }: { length: number; steps: number }) =>
  asked<{ mailing: number; step: number; people: number | null }>(
    app,
    sql`with recursive steps (step) as (select 0 union all select step + 1 from steps where step < ${steps})
        select m.id as mailing, step, case step when 0 then 0 else
          (select unique_clicks from mailing_snapshots s
            where s.mailing_id = m.id and taken_at <= m.sent_at + step * ${length}
            order by taken_at desc limit 1) end as people
        from steps, mailings m where m.id in ${among(ids)} order by m.id, step`,
  )

const hour = 3_600_000
type Steps = { mailing: number; step: number; people: number | null }[]

/** Both curves, from the people of each step: of the first 72 hours beside the median before, and of each day. */
function curveTables({
  hours,
  before,
  days,
  delivered,
  deliveredBefore,
  whole,
}: {
  hours: Steps
  before: Steps
  days: Steps
  delivered: number
  deliveredBefore: Map<number, number>
  whole: number
}): ToldTable[] {
  const sumAt = (steps: Steps, at: number) => {
    const values = steps.filter(({ step }) => step === at).map(({ people }) => people)
    return values.includes(null) ? null : values.reduce<number>((sum, value) => sum + value!, 0)
  }
  const usualAt = (at: number) => {
    const shares = before
      .filter(({ step }) => step === at)
      .map(({ mailing, people }) => people! / deliveredBefore.get(mailing)!)
      .sort((one, other) => one - other)
    const half = (shares.length - 1) / 2
    return (shares[Math.floor(half)]! + shares[Math.ceil(half)]!) / 2
  }
  return [
    {
      caption: 'Share of the delivered who clicked, hour by hour',
      kinds: ['number', 1, 1],
      rows: Array.from({ length: 73 }, (_, at) => [at, share(sumAt(hours, at), delivered), usualAt(at)]),
    },
    {
      caption: 'People who clicked first, day by day since sending',
      kinds: ['number', 'number'],
      rows: Array.from({ length: whole }, (_, day) => [day + 1, sumAt(days, day + 1)! - sumAt(days, day)!]),
    },
  ]
}

interface Issues {
  /** Those of the report, the first sent first, and all that went out before them. */
  these: number[]
  earlier: number[]
  /** Contacts of whom alone it tells. */
  only?: number[]
}

/** Whole days that all of these have behind them, thirty at the most. */
const wholeDays = (facts: readonly MailingFacts[]) =>
  Math.min(30, ...facts.map(({ age }) => Math.floor(age / (24 * hour))))

/** All that a report says of mailings that we count ourselves; `drawn` has the numbers behind its pictures. */
export async function factsOfMailings(app: App, { these, earlier, only }: Issues) {
  const facts = await mailingFacts(app, these, only)
  const before = await mailingFacts(app, earlier, only)
  const links = await asked<{ url: string | null; clicks: number; people: number }>(
    app,
    sql`select l.url, count(*) as clicks, count(distinct mailing_id || ' ' || contact_id) as people
        from engagements e left join links l on l.id = e.link_id
        where mailing_id in ${among(these)} and kind = 7 and verdict < 2 and ${of(only)}
        group by l.id order by clicks desc, coalesce(l.url, '')`,
  )
  const [machines] = await asked<{ proxies: number; opens: number; clicks: number }>(
    app,
    sql`select sum(kind = 6 and verdict = 3) as proxies, sum(kind = 6 and verdict = 2) as opens,
          sum(kind = 7 and verdict > 1) as clicks
        from engagements where mailing_id in ${among(these)} and ${of(only)}`,
  )
  const grown = these.filter((_, place) => facts[place]!.age >= 72 * hour)
  const delivered = facts
    .filter(({ age }) => age >= 72 * hour)
    .reduce((sum, mailing) => sum + mailing.delivered, 0)
  return {
    printed: [
      ...mailingTables(facts, before),
      ...linkTables(links),
      ...placeTables(
        await clicksBy(app, 'country', { these, only }),
        await clicksBy(app, 'os', { these, only }),
        'Systems',
      ),
      quality([
        ...lossRows(facts),
        ['Opens by mail privacy proxies', machines!.proxies, null, 'left out'],
        ['Opens by machines', machines!.opens, null, 'left out'],
        ['Clicks by machines', machines!.clicks, null, 'left out'],
      ]),
    ],
    drawn: curveTables({
      hours: await clickedBy(app, grown, { length: hour, steps: 72, only }),
      before: await clickedBy(app, earlier, { length: hour, steps: 72, only }),
      days: await clickedBy(app, these, { length: 24 * hour, steps: 30, only }),
      delivered,
      deliveredBefore: new Map(earlier.map((id, place) => [id, before[place]!.delivered])),
      whole: wholeDays(facts),
    }),
  }
}

/** All that a report says of mailings that their provider alone tells of. */
export async function factsOfReported(app: App, { these, earlier }: Issues) {
  const [facts, before] = [await reportedFacts(app, these), await reportedFacts(app, earlier)]
  const links = await asked<{ url: string; clicks: number; people: number }>(
    app,
    sql`select url, sum(clicks) as clicks, sum(unique_clicks) as people from mailing_link_reports
        where mailing_id in ${among(these)} group by url order by 2 desc, url`,
  )
  const [{ last } = { last: 0 }] = await asked<{ last: number }>(
    app,
    sql`select ${inWhole(sql`min(last - sent_at)`, 24 * hour)} as last from mailings m join
          (select mailing_id, max(checked_at) as last from mailing_reports group by 1) on mailing_id = m.id
        where m.id in ${among(these)}`,
  )
  return {
    printed: [...mailingTables(facts, before), ...linkTables(links), quality(lossRows(facts))],
    drawn: curveTables({
      hours: await reportedBy(app, these, { length: hour, steps: 72 }),
      before: await reportedBy(app, earlier, { length: hour, steps: 72 }),
      days: await reportedBy(app, these, { length: 24 * hour, steps: 30 }),
      delivered: sumOf(facts, 'delivered'),
      deliveredBefore: new Map(earlier.map((id, place) => [id, before[place]!.delivered])),
      whole: Math.min(30, last),
    }),
  }
}

/** All that a report says of a tracker campaign. */
export async function factsOfCampaign(
  app: App,
  { id, name }: { id: number; name: string },
  only?: readonly number[],
) {
  const steps = sql`sum(kind = 1 and verdict < 2) as clicks, sum(kind = 2 and verdict < 2) as landings,
    sum(kind = 3 and verdict < 2) as conversions`
  interface Steps {
    name: string
    clicks: number
    landings: number
    conversions: number
  }
  const [all] = await asked<Steps & { people: number; converted: number; machine: number; first: number }>(
    app,
    sql`select ${steps}, count(distinct iif(kind = 1 and verdict < 2, contact_id, null)) as people,
          count(distinct iif(kind = 3 and verdict < 2, contact_id, null)) as converted,
          sum(verdict > 1) as machine, 
          ${inWhole(sql`min(iif(kind = 1 and verdict < 2, happened_at, null))`, hour)} as first
        from events where campaign_id = ${id} and ${of(only)}`,
  )
  const domains = await asked<Steps>(
    app,
    sql`select d.name, ${steps} from events join sending_domains d on d.id = domain_id
        where campaign_id = ${id} and ${of(only)} group by d.id order by clicks desc, d.name`,
  )
  const by = (column: 'country' | 'device') =>
    asked<{ name: string | null; clicks: number }>(
      app,
      sql`select ${sql.ref(column)} as name, count(*) as clicks from events
          where campaign_id = ${id} and kind = 1 and verdict < 2 and ${of(only)}
          group by 1 order by clicks desc, name is null, name`,
    )
  const days = await asked<Steps & { day: string }>(
    app,
    sql`with recursive days (day) as (
          select min(date(happened_at / 1000, 'unixepoch')) from events where campaign_id = ${id}
          union all select date(day, '+1 day') from days
            where day < date(${app.clock.now()} / 1000, 'unixepoch'))
        select day, coalesce(sum(kind = 1), 0) as clicks, coalesce(sum(kind = 2), 0) as landings,
          coalesce(sum(kind = 3), 0) as conversions
        from days left join events on date(happened_at / 1000, 'unixepoch') = day
          and campaign_id = ${id} and verdict < 2 and ${of(only)}
        group by day order by day`,
  )
  const hours = await asked<{ step: number; clicks: number }>(
    app,
    sql`with recursive steps (step) as (select 0 union all select step + 1 from steps where step < 72)
        select step, (select count(*) from events where campaign_id = ${id} and kind = 1 and verdict < 2 and ${of(only)}
          and ${inWhole(sql`happened_at`, hour)} < ${all!.first} + step) as clicks from steps order by step`,
  )
  const told = ({ clicks, landings, conversions }: Steps) => [
    ...[clicks, landings, conversions, share(conversions, clicks)],
  ]
  return {
    printed: [
      {
        caption: 'Campaigns, as events and in people',
        kinds: ['text', 'number', 'number', 'number', 2, 'number', 'number'],
        rows: [[name, ...told(all!), all!.people, all!.converted]],
      },
      ...placeTables(await by('country'), await by('device'), 'Devices'),
      quality([['Tracker events by machines', all!.machine, null, 'left out']]),
    ] satisfies ToldTable[] as ToldTable[],
    /** Without their intervals. */
    domains: domains.map((domain) => [domain.name, ...told(domain)]),
    drawn: [
      {
        caption: 'Email clicks, cumulated',
        kinds: ['number', 'number'],
        rows: hours.map(({ step, clicks }) => [step, clicks]),
      },
      {
        caption: 'By day',
        kinds: ['day', 'number', 'number', 'number'],
        rows: days.map(({ day, clicks, landings, conversions }) => [day, clicks, landings, conversions]),
      },
    ] satisfies ToldTable[] as ToldTable[],
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** 7 Nov */
const shortDay = (day: string) => `${Number(day.slice(8))} ${months[Number(day.slice(5, 7)) - 1]}`

/** The rows as a page has them: numbers raw, days in words. */
export const rawRows = ({ kinds, rows }: ToldTable) =>
  rows.map((row) =>
    row.map((cell, place) => (kinds[place] === 'day' && cell !== null ? shortDay(String(cell)) : cell)),
  )

/** All rows, the total among them, as American English prints them. */
export const printedRows = ({ kinds, rows, total }: ToldTable) =>
  [...rows, ...(total ? [total] : [])].map((row) =>
    row.map((cell, place) => {
      const kind = kinds[place]!
      if (cell === null) return kind === 'day' || kind === 'text' ? '' : '–'
      if (typeof cell === 'string') return kind === 'day' ? shortDay(cell) : cell
      return kind === 'number' ? cell.toLocaleString('en-US') : `${(cell * 100).toFixed(kind as number)}%`
    }),
  )
/** The rows as the CSV has them: rates in per cent with two decimals. */
export const csvRows = ({ kinds, rows, total }: ToldTable) =>
  [...rows, ...(total ? [total] : [])].map((row) =>
    row.map((cell, place) =>
      cell === null
        ? ''
        : typeof cell === 'number' && typeof kinds[place] === 'number'
          ? String(Math.round(cell * 10_000) / 100)
          : String(cell),
    ),
  )
