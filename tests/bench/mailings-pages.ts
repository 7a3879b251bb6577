import type { Row } from './audience-pages.js'
import { time, type Visitor } from './pages.js'

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index)

/**
 * The pages of mailings. Curves are remembered for a while: each of the comparisons and of the mailings is asked for once,
 * so that every one of them is read.
 * @param own ids of mailings that events tell of
 * @param reported ids of those that a provider alone tells of
 */
export async function timeMailings(
  visitor: Visitor,
  { own, reported, requests }: { own: number[]; reported: number[]; requests: number },
): Promise<Row[]> {
  const compare = (ids: number[], first: number) =>
    `/mailings/compare?${numbers(0, 8)
      .map((step) => `m=${ids[(first * 8 + step) % ids.length]}`)
      .join('&')}`
  const once = (ids: number[]) => Math.max(1, Math.min(Math.floor(requests / 2), Math.floor(ids.length / 8)))
  const pages: Record<string, { paths: string[]; times: number }> = {
    'the dashboard': { paths: ['/mailings'], times: requests },
    'of a range': {
      paths: ['/mailings?days=30', '/mailings?days=90', '/mailings?days=365&by=month', '/mailings?by=week'],
      times: requests,
    },
    'by a filter': {
      paths: [
        '/mailings?provider=emailoctopus',
        '/mailings?list=3&open_rate_min=20',
        '/mailings?project=1&delivered_min=500&bounced_max=60',
        '/mailings?sender=sender2@paperboat.example',
        '/mailings?q=number+7',
        '/mailings?basis=ours&machines=1',
      ],
      times: requests,
    },
    'in another order': {
      paths: ['/mailings?sort=open_rate', '/mailings?sort=name', '/mailings?sort=click_to_open-asc'],
      times: requests,
    },
    'as CSV': { paths: ['/mailings/export.csv'], times: Math.min(requests, 50) },
    'eight side by side, by events': {
      paths: numbers(0, once(own)).map((first) => compare(own, first)),
      times: once(own),
    },
    'eight side by side, by snapshots': {
      paths: numbers(0, once(reported)).map((first) => compare(reported, first)),
      times: once(reported),
    },
    'one against the last five of its list': {
      paths: reported.map((id) => `/mailings/compare?m=${id}&last=5&span=30d`),
      times: Math.min(requests, reported.length),
    },
    'a mailing, by events': {
      paths: own.map((id) => `/mailings/${id}`),
      times: Math.min(requests, own.length),
    },
    'a mailing, by snapshots': {
      paths: reported.map((id) => `/mailings/${id}`),
      times: Math.min(requests, reported.length),
    },
  }
  const rows: Row[] = []
  for (const [name, { paths, times: count }] of Object.entries(pages)) {
    const [times] = await time([visitor], paths, count, { as: 'page' })
    rows.push({ name, times: times! })
  }
  return rows
}
