import { code, note, partsOf, quoted, type Snippet, value } from '../campaigns/recipes.js'

/** What the snippets are made from. */
export interface PromoIngredients {
  /** Where this installation answers, without a slash at the end. */
  baseUrl: string
  newsletter: string
  /** The slug and the destination of an offer. */
  slug: string
  destination: string
}

/** For the program that makes the newsletter: it asks for a text and tells that it ran, for two seconds at the most. */
export function generatorSnippet({ baseUrl, newsletter }: PromoIngredients): Snippet {
  return {
    id: 'generator',
    name: 'the Python code',
    place: 'promo.py, beside your newsletter generator. Python 3.8 or newer, nothing to install',
    parts:
      partsOf(code`import html, json, logging, queue, sys, threading, urllib.error, urllib.parse, urllib.request

THROUGHLINE = '${value(quoted.single(baseUrl))}'
NEWSLETTER = '${value(quoted.single(newsletter))}'
TIMEOUT = 2  ${note('# seconds, for all of a call; then the issue goes on without it')}


def call(path, body=None):
    outcome = queue.Queue(1)

    def run():
        try:
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(THROUGHLINE + path, data, {'Content-Type': 'application/json'})
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                text = answer.read()
            outcome.put((json.loads(text) if text else None, None))
        except urllib.error.HTTPError as error:
            outcome.put((None, Exception(error.code, error.read().decode())))  ${note('# the answer says why')}
        except Exception as error:
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    result, error = outcome.get(timeout=TIMEOUT)
    if error:
        raise error
    return result


def select_promo():
    """The promo to run now, or None: then the issue goes out without one."""
    try:
        promo = call('/api/v1/promo/select-random?' + urllib.parse.urlencode({'newsletter': NEWSLETTER}))
        promo_html(promo), promo['offer_id'], promo['variation_id']  ${note('# what is no promo fails here')}
        return promo
    except Exception as error:
        logging.warning('no promo: %r', error)
        return None


def promo_html(promo):
    text, link, cta = (html.escape(promo[name]) for name in ('text', 'link', 'cta_text'))
    return f'<p>{text} <a href="{link}">{cta or "Read more"}</a></p>'


def track_impression(promo, send_id, placements=1):
    """Tells that the promo ran in this issue. Telling it twice counts once."""
    try:
        call('/api/v1/promo/track-impression', {
            'offer_id': promo['offer_id'],
            'variation_id': promo['variation_id'],
            'newsletter_send_id': send_id,
            'placements': placements,
        })
    except Exception as error:
        logging.warning('impression not told: %r', error)


if __name__ == '__main__':
    ${note('# python promo.py SEND_ID: best what your provider calls the mailing, so that both are tied together.')}
    promo = select_promo()
    if promo:
        print(promo_html(promo))  ${note('# put it into the issue, send that, and then:')}
        track_impression(promo, sys.argv[1])
`),
  }
}

/** For who has a redirect of their own: it leads on at once, and reports the click for one second at the most. */
export function redirectSnippet({ baseUrl, slug, destination }: PromoIngredients): Snippet {
  return {
    id: 'redirect-code',
    name: 'the TypeScript code',
    place:
      'redirect.ts. Node 22.18 or newer runs it by node redirect.ts, Node 20 by npx tsx redirect.ts. Set its address as the link URL of the offer',
    parts: partsOf(code`import { createServer, type IncomingMessage } from 'node:http'

const throughline = '${value(quoted.single(baseUrl))}'
const destinations: Record<string, string> = {
  '/${value(quoted.single(slug))}': '${value(quoted.single(destination))}',
}

${note('// Not awaited: whatever becomes of it, the reader is on the way.')}
function reportClick(variation: string, { headers, socket }: IncomingMessage) {
  fetch(throughline + '/api/v1/promo/track-click', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      variation_id: Number(variation),
      referrer: headers.referer,
      user_agent: headers['user-agent'],
      ip_address: String(headers['x-forwarded-for'] ?? socket.remoteAddress ?? ''),
    }),
    signal: AbortSignal.timeout(1000),
  }).then(
    (answer) => answer.ok || console.warn('click not recorded:', answer.status),
    (error) => console.warn('click not told:', error.message),
  )
}

createServer((request, response) => {
  const url = new URL('http://here/' + request.url?.replace(/^\/+/, ''))
  const destination = destinations[url.pathname]
  if (!destination) return void response.writeHead(404).end('There is no offer at this address.')
  const target = new URL(destination)
  for (const [name, value] of url.searchParams)
    if (name !== 'promo_var' && !target.searchParams.has(name)) target.searchParams.set(name, value)
  response.writeHead(302, { Location: target.href, 'Cache-Control': 'no-store' }).end()
  const variation = url.searchParams.get('promo_var')
  if (variation && request.method === 'GET') reportClick(variation, request)
}).listen(Number(process.env.PORT ?? 8080))
`),
  }
}
