import { type Times, time, type Visitor } from './pages.js'

function query(fields: Record<string, string | string[]>) {
  const said = new URLSearchParams()
  for (const [name, values] of Object.entries(fields))
    for (const value of [values].flat()) said.append(name, value)
  return said
}
const audience = (...asked: Record<string, string | string[]>[]) =>
  asked.map((fields) => `/audience?${query(fields)}`)

/** What the ranking is asked for, by what the filter says. */
const filters: Record<string, string[]> = {
  'the ranking': ['/audience', '/audience?machines=1'],
  'any of two tags': audience(
    { tag: ['press', 'patron'], tags: 'any' },
    { tag: ['board', 'printer'], tags: 'any' },
  ),
  'all of two tags': audience({ tag: ['press', 'early reader'] }, { tag: ['board', 'workshop'] }),
  'without a tag': audience({ not: 'early reader' }, { not: 'board' }),
  'a list': audience({ list: '1' }, { list: '2' }, { list: '1', status: 'unsubscribed' }),
  'a status': audience({ status: 'subscribed' }, { status: 'bounced' }, { status: 'none' }),
  'a band': audience({ band: 'champion' }, { band: 'dormant' }, { band: 'new' }, { band: 'none' }),
  'a source': audience({ source: 'csv' }, { source: 'buttondown' }),
  'active within days': audience({ active: '7' }, { active: '90' }, { quiet: '90' }),
  'a domain': audience({ domain: 'mail7.example' }, { domain: 'nowhere.example' }),
  'a score': audience({ score: '60' }, { score: '5' }),
  'three at once': audience(
    { tag: 'press', status: 'subscribed', active: '30' },
    { not: 'early reader', source: 'csv', score: '20' },
    { tag: 'board', list: '2', domain: 'mail3.example' },
  ),
  'another order': audience(
    { sort: 'opens' },
    { sort: 'name' },
    { sort: 'last' },
    { sort: 'trend' },
    { sort: 'since' },
  ),
  'a rare part of a name or address': audience(
    { q: 'weber12' },
    { q: 'zoe.zim' },
    { q: 'Pia Holm' },
    { q: 'mila.novak20' },
  ),
  'a common part': audience({ q: 'anna' }, { q: 'mail7' }, { q: 'weber' }, { q: 'er1' }),
  'one or two letters': audience({ q: 'a' }, { q: 'we' }, { q: '9' }),
  'what nobody has': audience({ q: 'zzzqq' }, { q: 'weberweber' }, { q: 'qx' }),
}

export interface Row {
  name: string
  times: Times
}

/** The ranking by each filter: the list as it is changed, which is the page without what stands around it. */
export async function timeFilters(large: Visitor, requests: number): Promise<Row[]> {
  const rows: Row[] = []
  for (const [name, paths] of Object.entries(filters)) {
    const [times] = await time([large], paths, requests, { as: 'page' })
    rows.push({ name, times: times! })
  }
  return rows
}

/** Whole pages beside the ranking. @param contacts numbers of contacts to look at */
export async function timePages(large: Visitor, contacts: number[], requests: number): Promise<Row[]> {
  const overTime = ['12w', '1y', 'all', '30d'].flatMap((range) =>
    ['', '&machines=1', '&tag=press', '&list=1'].map((more) => `/audience/over-time?range=${range}${more}`),
  )
  const pages: Record<string, { paths: string[]; times: number }> = {
    'a contact': { paths: contacts.map((id) => `/audience/${id}`), times: requests },
    activity: { paths: ['/audience/activity'], times: requests },
    'activity of a tag, a mailing, a contact': {
      paths: [
        '/audience/activity?tag=2',
        '/audience/activity?tag=9',
        '/audience/activity?mailing=20',
        `/audience/activity?contact=${contacts[0]}`,
        '/audience/activity?kind=replied',
        '/audience/activity?verdict=suspected',
      ],
      times: requests,
    },
    mailings: { paths: ['/mailings'], times: requests },
    'a mailing': { paths: ['/mailings/50', '/mailings/20', '/mailings/1?machines=1'], times: requests },
    tags: { paths: ['/audience/tags'], times: requests },
    'worth a word': { paths: ['/audience/words'], times: Math.min(requests, 30) },
    // Each view is remembered for a minute: each of these is asked for once.
    'over time, when nobody has looked for a minute': { paths: overTime, times: Math.min(requests, 14) },
  }
  const rows: Row[] = []
  for (const [name, { paths, times: count }] of Object.entries(pages)) {
    const [times] = await time([large], paths, count, { as: 'page' })
    rows.push({ name, times: times! })
  }
  return rows
}

const refreshing = {
  'the ranking': '/audience/ranking',
  'the audience with its filters': '/audience',
  activity: '/audience/activity',
  'the counts of a mailing': '/mailings/2/counts',
}

/** What refreshes itself, in a small and in a large audience. */
export async function timeRefreshing(visitors: [small: Visitor, large: Visitor], requests: number) {
  const rows: { name: string; small: Times; large: Times }[] = []
  for (const [name, path] of Object.entries(refreshing)) {
    const [small, large] = await time(visitors, [path], requests)
    rows.push({ name, small: small!, large: large! })
  }
  return rows
}
