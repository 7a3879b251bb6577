import { createHash } from 'node:crypto'
import type { Request, Response } from 'express'

/** htmx asks for a part of a page; a boosted link, the back button and what replaces the body want the whole. */
export const wantsFragment = (req: Request) =>
  Boolean(
    req.get('HX-Request') &&
      !req.get('HX-Boosted') &&
      !req.get('HX-History-Restore-Request') &&
      req.get('HX-Request-Type') !== 'full',
  )

export const wantsJson = (req: Request) =>
  req.path.startsWith('/api/') || req.accepts(['html', 'json']) === 'json'

/** A page that refreshes itself: no sign that somebody is there. */
export const isRefresh = (req: Request) => Boolean(req.get('X-Refresh'))

/** One URL, two callers: a browser gets the page, htmx the part of it that changes. */
export function render(res: Response, view: { page: string; fragment: string }, data: object) {
  res.vary('HX-Request, HX-Boosted, HX-History-Restore-Request, HX-Request-Type')
  if (wantsFragment(res.req)) renderFragment(res, view.fragment, data)
  else res.render(view.page, data)
}

/**
 * A part of a page that refreshes itself. Where nothing changed since the tag that htmx sends back (`HX-PTag`), the
 * answer is an empty 304 and the page is not touched.
 */
export function renderFragment(res: Response, fragment: string, data: object) {
  res.render(fragment, data, (error: Error | null, html?: string) => {
    if (error) return res.req.next?.(error)
    const tag = createHash('sha256').update(html!).digest('base64url').slice(0, 22)
    res.set({ 'HX-PTag': tag, 'Cache-Control': 'no-store' })
    // A link keeps the tag of what it fetched last, whatever the page shows by now: only a refresh may be left out.
    if (isRefresh(res.req) && res.req.get('HX-PTag') === tag) return void res.status(304).end()
    res.send(html)
  })
}
