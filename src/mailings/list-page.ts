import { Router } from 'express'
import * as z from 'zod'
import { originName } from '../audience/origins.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { render, renderFragment, wantsFragment } from '../web/render.js'
import { listComparisons } from './ours-and-theirs.js'
import { hasMailings, listMailings, type MailingSort, mailingSorts } from './queries.js'
import { ListView, listAddress, sortWord } from './views.js'

interface Needs {
  db: Db
  readers: Readers
  now: () => number
}

const columns: { sort: MailingSort; label: string; title: string; look: string }[] = [
  { sort: 'name', label: 'Mailing', title: '', look: 'lead' },
  { sort: 'sent', label: 'Sent', title: '', look: 'num' },
  { sort: 'delivered', label: 'Delivered', title: 'Sent less bounced', look: 'num' },
  { sort: 'opens', label: 'Opens', title: 'All opens of everybody', look: 'num late' },
  { sort: 'open_rate', label: 'Open rate', title: 'People who opened ÷ delivered', look: 'num' },
  { sort: 'clicks', label: 'Clicks', title: 'All clicks of everybody', look: 'num late' },
  { sort: 'click_rate', label: 'Click rate', title: 'People who clicked ÷ delivered', look: 'num' },
  {
    sort: 'click_to_open',
    label: 'Click-to-open',
    title: 'People who clicked ÷ people who opened',
    look: 'num late',
  },
  { sort: 'unsubscribed', label: 'Left', title: 'People who unsubscribed', look: 'num late' },
]

/** `/mailings`: all that was sent, and how it did; and how that compares with what the provider says. */
export function mailingListPages({ db, readers, now }: Needs) {
  const routes = Router()

  routes.get('/mailings', async (req, res) => {
    const view = ListView.parse(req.query)
    const [page, lists, any] = await Promise.all([
      listMailings(readers, view, view),
      db.selectFrom('lists').select(['id', 'name']).orderBy('name').execute(),
      hasMailings(db),
    ])
    const shown = view.offset + page.rows.length
    const data = {
      room: 'mailings',
      view,
      any,
      lists,
      mailings: page.rows.map((mailing) => ({ ...mailing, from: originName(mailing.provider) })),
      address: listAddress(view),
      at: (changes: Partial<ListView>) => listAddress(view, changes),
      sortWord: sortWord(view.sort, view.order),
      sortChoices: columns.map(({ sort, label }) => ({ sort, label: sort === 'sent' ? 'Newest' : label })),
      columns: columns.map((column) => {
        const current = column.sort === view.sort
        const order = current ? (view.order === 'asc' ? 'desc' : 'asc') : mailingSorts[column.sort]
        return {
          ...column,
          sorted: current ? (view.order === 'asc' ? 'ascending' : 'descending') : '',
          address: listAddress(view, { sort: column.sort, order }),
        }
      }),
      foot: {
        shown,
        from: view.offset + 1,
        count: page.count,
        next: page.next === null ? '' : listAddress(view, { after: page.next, offset: shown }),
      },
      isMore: view.after > 0,
    }
    res.set('Cache-Control', 'no-store')
    if (wantsFragment(req) && view.after > 0) return renderFragment(res, 'mailings/_more-mailings', data)
    if (wantsFragment(req) && req.url !== data.address) res.set('HX-Replace-Url', data.address)
    render(res, { page: 'mailings/index', fragment: 'mailings/_list' }, data)
  })

  const After = z.object({
    after: z.coerce.number().int().min(0).max(1e15).catch(0),
  })
  routes.get('/mailings/ours-and-theirs', async (req, res) => {
    const { after } = After.parse(req.query)
    const page = await listComparisons(readers, { after, now: now() })
    res.render('mailings/ours-and-theirs', { room: 'mailings', ...page, after })
  })

  return routes
}
