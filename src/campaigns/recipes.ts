import { hostOf } from './forms.js'

/** A piece of code to copy. The parts in order make the exact text; `value` is what was filled in, `note` a comment. */
export interface Snippet {
  id: string
  /** What it is called where it is copied: "the PHP code". */
  name: string
  /** Where it goes. */
  place: string
  parts: { kind: 'code' | 'value' | 'note'; text: string }[]
}

export const languages = ['browser', 'php', 'node', 'python', 'curl'] as const
export type Language = (typeof languages)[number]
export const languageNames: Record<Language, string> = {
  browser: 'Browser',
  php: 'PHP',
  node: 'Node',
  python: 'Python',
  curl: 'curl',
}

/** What the snippets of one campaign are made from. */
export interface Ingredients {
  campaignId: number
  offerUrl: string
  /** Where this installation answers, without a slash at the end. */
  baseUrl: string
  /** The campaign's write key, when events need it. */
  writeKey: string | null
}

class Marked {
  constructor(
    readonly kind: 'value' | 'note',
    readonly text: string,
  ) {}
}
/** What was filled in. */
export const value = (text: string | number) => new Marked('value', String(text))
/** A comment. */
export const note = (text: string) => new Marked('note', text)
export type Piece = Marked | string | Piece[]

/** Code with values and notes in it. */
export function code(strings: TemplateStringsArray, ...pieces: Piece[]): Piece[] {
  return strings.raw.flatMap((text, index) => [text, pieces[index] ?? ''])
}
export function partsOf(piece: Piece): Snippet['parts'] {
  const flat = ([piece] as unknown[]).flat(Number.POSITIVE_INFINITY) as (Marked | string)[]
  return flat
    .map((part) =>
      typeof part === 'string' ? { kind: 'code' as const, text: part } : { kind: part.kind, text: part.text },
    )
    .filter(({ text }) => text !== '')
}
/** The exact text of a snippet: what Copy puts on the clipboard. */
export const textOf = ({ parts }: Pick<Snippet, 'parts'>) => parts.map(({ text }) => text).join('')

/** Each language has its own way to keep a value from ending the quotes it stands in. */
export const quoted = {
  html: (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;'),
  /** Between single quotes of PHP, JavaScript and Python. */
  single: (text: string) => text.replace(/[\\']/g, '\\$&'),
  shell: (text: string) => text.replaceAll("'", "'\\''"),
}

/** The address of somebody as the link recipe carries it. */
export const encodeRecipient = (email: string) => Buffer.from(email).toString('base64url')

/**
 * A landing page's address with the campaign and the recipient in it.
 * @param landingUrl an http(s) URL; its own query and fragment stay
 */
export function recipeLink(landingUrl: string, campaignId: number, email: string) {
  const url = new URL(landingUrl)
  url.search += `${url.search ? '&' : ''}cid=${campaignId}&e=${encodeRecipient(email)}`
  return url.href
}

/** Code for the landing page: reports the arrival and the way to the offer. */
export function arrivalSnippet(language: Language, given: Ingredients): Snippet {
  return { id: `arrival-${language}`, ...arrivals[language](given) }
}

/** The offer's address up to the sub-id's value, and what follows it: a fragment stays at the end. */
const withSub = (offerUrl: string) => {
  const url = offerUrl.replace(/#.*$/s, '')
  return `${url}${url.includes('?') ? '&' : '?'}sub=`
}
const afterSub = (offerUrl: string, joiner: '+' | '.'): Piece => {
  const fragment = offerUrl.slice(offerUrl.replace(/#.*$/s, '').length)
  return fragment ? code` ${joiner} '${value(quoted.single(fragment))}'` : ''
}

type Recipe = (given: Ingredients) => Omit<Snippet, 'id'>

const arrivals: Record<Language, Recipe> = {
  browser: ({ campaignId, offerUrl, baseUrl, writeKey }) => ({
    name: 'the browser snippet',
    place: 'Before </body> of the landing page, 1 KB',
    parts: partsOf(code`<script async src="${value(quoted.html(baseUrl))}/static/t.js"
        data-campaign="${value(campaignId)}"${
          writeKey === null
            ? ''
            : code`
        data-key="${value(quoted.html(writeKey))}"`
        }></script>

${note('<!-- Marks the link that leads to the offer. It is never delayed. -->')}
<a href="${value(quoted.html(offerUrl))}" data-offer>Order</a>
`),
  }),

  php: ({ campaignId, offerUrl, baseUrl, writeKey }) => ({
    name: 'the PHP code',
    place: 'landing.php, or the top of your own page',
    parts: partsOf(code`<?php
${note('// Reports to Throughline after the page is sent. Whatever fails there, your page does not.')}
function throughline($event, $email, $more = []) {
  $query = http_build_query($more + [
    'cid' => ${value(campaignId)},${
      writeKey === null
        ? ''
        : code`
    'key' => '${value(quoted.single(writeKey))}',`
    }
    'event' => $event,
    'email' => $email,
    'domain' => $_SERVER['HTTP_HOST'],
    'ip' => $_SERVER['REMOTE_ADDR'], ${note('// behind a proxy: the address it passes on')}
    'ua' => $_SERVER['HTTP_USER_AGENT'] ?? '',
  ]);
  register_shutdown_function(function () use ($query) {
    if (function_exists('fastcgi_finish_request')) fastcgi_finish_request();
    $once = stream_context_create(['http' => ['timeout' => 1, 'ignore_errors' => true]]);
    @file_get_contents('${value(quoted.single(baseUrl))}/api/event?' . $query, false, $once);
  });
}

$is_visit = $_SERVER['REQUEST_METHOD'] === 'GET' && !isset($_SERVER['HTTP_SEC_PURPOSE']);
$e = isset($_GET['e']) && is_string($_GET['e']) ? $_GET['e'] : '';
$email = (string) base64_decode(strtr($e, '-_', '+/'));
if ($is_visit && strpos($email, '@') !== false) {
  ${note('// An arrival. It goes on without the address in the URL, so that a reload counts nothing.')}
  $sub = bin2hex(random_bytes(16));
  throughline('email_click', $email, ['eid' => $sub]);
  $kept = ['expires' => time() + 86400, 'path' => '/', 'httponly' => true, 'samesite' => 'Lax'];
  setcookie('throughline', "$sub $email", $kept);
  [$path, $query] = explode('?', $_SERVER['REQUEST_URI'], 2) + ['', ''];
  $rest = implode('&', preg_grep('/^(e|cid)=/', explode('&', $query), PREG_GREP_INVERT));
  header('Location: /' . ltrim($path, '/\\') . ($rest === '' ? '' : "?$rest"), true, 303);
  exit;
}
if (isset($_GET['order'])) {
  ${note('// The way to the offer. Its sub lets the network report the sale without an address.')}
  [$sub, $email] = explode(' ', (string) filter_input(INPUT_COOKIE, 'throughline'), 2) + ['', ''];
  if ($is_visit && $email !== '') throughline('landing_click', $email);
  $offer = '${value(quoted.single(withSub(offerUrl)))}';
  header('Location: ' . $offer . urlencode($sub)${afterSub(offerUrl, '.')}, true, 303);
  exit;
}
?>
<a href="?order">Order</a>
`),
  }),

  node: ({ campaignId, offerUrl, baseUrl, writeKey }) => ({
    name: 'the Node code',
    place: 'landing.mjs, or parts of it in your own server',
    parts: partsOf(code`import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'

${note('// Reports to Throughline while the page is sent. Whatever fails there, your page does not.')}
function throughline(req, event, email, more = {}) {
  const query = new URLSearchParams({
    cid: '${value(campaignId)}',${
      writeKey === null
        ? ''
        : code`
    key: '${value(quoted.single(writeKey))}',`
    }
    event,
    email,
    domain: req.headers.host,
    ip: req.socket.remoteAddress.replace(/^::ffff:/, ''), ${note('// behind a proxy: the address it passes on')}
    ua: req.headers['user-agent'] ?? '',
    ...more,
  })
  const url = '${value(quoted.single(baseUrl))}/api/event?' + query
  fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => {})
}

createServer((req, res) => {
  const isVisit = req.method === 'GET' && !req.headers['sec-purpose']
  const { pathname, search, searchParams } = new URL('http://localhost' + req.url)
  const recipient = Buffer.from(searchParams.get('e') ?? '', 'base64url').toString()
  if (isVisit && recipient.includes('@')) {
    ${note('// An arrival. It goes on without the address in the URL, so that a reload counts nothing.')}
    const sub = randomUUID()
    throughline(req, 'email_click', recipient, { eid: sub })
    const kept = encodeURIComponent(sub + ' ' + recipient)
    res.setHeader('set-cookie', 'throughline=' + kept + '; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax')
    const rest = search.slice(1).split('&').filter((part) => !/^(e|cid)=/.test(part)).join('&')
    const location = pathname.replace(/^\/+/, '/') + (rest && '?' + rest)
    return res.writeHead(303, { location }).end()
  }
  if (searchParams.has('order')) {
    ${note('// The way to the offer. Its sub lets the network report the sale without an address.')}
    const cookies = new URLSearchParams(req.headers.cookie?.replaceAll('; ', '&'))
    const [, sub = '', email] = /^(\S+) (.+)$/.exec(cookies.get('throughline')) ?? []
    if (isVisit && email) throughline(req, 'landing_click', email)
    const offer = '${value(quoted.single(withSub(offerUrl)))}'
    return res.writeHead(303, { location: offer + encodeURIComponent(sub)${afterSub(offerUrl, '+')} }).end()
  }
  res.setHeader('content-type', 'text/html')
  res.end('<a href="?order">Order</a>')
}).listen(process.env.PORT ?? 8080)
`),
  }),

  python: ({ campaignId, offerUrl, baseUrl, writeKey }) => ({
    name: 'the Python code',
    place: 'landing.py, or parts of it in your own server',
    parts: partsOf(code`import base64, os, secrets, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlencode
from urllib.request import urlopen

${note('# Reports to Throughline in a thread of its own. Whatever fails there, your page does not.')}
def throughline(request, event, email, **more):
    query = urlencode({
        'cid': ${value(campaignId)},${
          writeKey === null
            ? ''
            : code`
        'key': '${value(quoted.single(writeKey))}',`
        }
        'event': event,
        'email': email,
        'domain': request.headers.get('Host', ''),
        'ip': request.client_address[0],  ${note('# behind a proxy: the address it passes on')}
        'ua': request.headers.get('User-Agent', ''),
        **more,
    })
    def send():
        try:
            urlopen('${value(quoted.single(baseUrl))}/api/event?' + query, timeout=2).close()
        except Exception:
            pass
    threading.Thread(target=send).start()

def recipient(e):
    try:
        return base64.urlsafe_b64decode(e + '=' * (-len(e) % 4)).decode()
    except ValueError:
        return ''

class Landing(BaseHTTPRequestHandler):
    def do_GET(self):
        is_visit = not self.headers.get('Sec-Purpose')
        path, _, query = self.path.partition('?')
        given = parse_qs(query, keep_blank_values=True)
        email = recipient(given.get('e', [''])[0])
        if is_visit and '@' in email:
            ${note('# An arrival. It goes on without the address in the URL, so that a reload counts nothing.')}
            sub = secrets.token_hex(16)
            throughline(self, 'email_click', email, eid=sub)
            kept = quote(sub + ' ' + email, safe='')
            rest = '&'.join(part for part in query.split('&') if not part.startswith(('e=', 'cid=')))
            self.send_response(303)
            self.send_header('Set-Cookie', f'throughline={kept}; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax')
            self.send_header('Location', '/' + path.lstrip('/\\') + (rest and '?' + rest))
            return self.end_headers()
        if 'order' in given:
            ${note('# The way to the offer. Its sub lets the network report the sale without an address.')}
            cookies = parse_qs(self.headers.get('Cookie', '').replace('; ', '&'))
            sub, _, email = cookies.get('throughline', [''])[0].partition(' ')
            if is_visit and email:
                throughline(self, 'landing_click', email)
            offer = '${value(quoted.single(withSub(offerUrl)))}'
            self.send_response(303)
            self.send_header('Location', offer + quote(sub)${afterSub(offerUrl, '+')})
            return self.end_headers()
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.end_headers()
        self.wfile.write(b'<a href="?order">Order</a>')

ThreadingHTTPServer(('', int(os.environ.get('PORT', 8080))), Landing).serve_forever()
`),
  }),

  curl: (given) => ({
    name: 'the curl commands',
    place: 'In a terminal, or any shell script',
    parts: partsOf([
      note('# The recipient opens the landing page.'),
      '\n',
      curl(given, 'email_click'),
      '\n\n',
      note('# The recipient follows the link to the offer.'),
      '\n',
      curl(given, 'landing_click'),
      '\n',
    ]),
  }),
}

function curl({ campaignId, baseUrl, writeKey }: Ingredients, event: string): Piece {
  const field = (name: string, text: Piece) => code` \
  --data-urlencode '${name}=${text}'`
  return [
    code`curl --get --max-time 2 '${value(quoted.shell(baseUrl))}/api/event'`,
    field('cid', value(campaignId)),
    writeKey === null ? '' : field('key', value(quoted.shell(writeKey))),
    field('event', event),
    field('email', 'anna@example.com'),
    field('domain', 'news.example.com'),
    field('ip', '203.0.113.7'),
    field('ua', 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'),
  ]
}

/** Languages that make links on the sender's side. */
export type LinkLanguage = Exclude<Language, 'browser'>

/** Code for the sender's software: makes the link that carries its recipient. */
export function linkSnippet(
  language: LinkLanguage,
  { campaignId }: Ingredients,
  landingUrl: string,
): Snippet {
  return { id: `link-${language}`, ...links[language](campaignId, landingUrl) }
}

const links: Record<LinkLanguage, (campaignId: number, landingUrl: string) => Omit<Snippet, 'id'>> = {
  php: (campaignId, landingUrl) => ({
    name: 'the PHP code for links',
    place: 'Where your software writes the message',
    parts: partsOf(code`<?php
function campaign_link($email) {
  $e = rtrim(strtr(base64_encode($email), '+/', '-_'), '=');
  return '${value(quoted.single(beforeRecipient(campaignId, landingUrl)))}' . $e;
}

echo campaign_link($argv[1] ?? 'anna@example.com');
`),
  }),
  node: (campaignId, landingUrl) => ({
    name: 'the Node code for links',
    place: 'Where your software writes the message',
    parts: partsOf(code`function campaignLink(email) {
  const e = Buffer.from(email).toString('base64url')
  return '${value(quoted.single(beforeRecipient(campaignId, landingUrl)))}' + e
}

console.log(campaignLink(process.argv[2] ?? 'anna@example.com'))
`),
  }),
  python: (campaignId, landingUrl) => ({
    name: 'the Python code for links',
    place: 'Where your software writes the message',
    parts: partsOf(code`import base64, sys

def campaign_link(email):
    e = base64.urlsafe_b64encode(email.encode()).decode().rstrip('=')
    return '${value(quoted.single(beforeRecipient(campaignId, landingUrl)))}' + e

print(campaign_link(sys.argv[1] if len(sys.argv) > 1 else 'anna@example.com'))
`),
  }),
  curl: (campaignId, landingUrl) => ({
    name: 'the shell command for links',
    place: 'In a terminal, or any shell script',
    parts: partsOf(code`email='anna@example.com'
e=$(printf %s "$email" | base64 | tr '+/' '-_' | tr -d '=\n')
echo '${value(quoted.shell(beforeRecipient(campaignId, landingUrl)))}'"$e"
`),
  }),
}
const beforeRecipient = (campaignId: number, landingUrl: string) => {
  const url = new URL(landingUrl)
  url.hash = ''
  return recipeLink(url.href, campaignId, '')
}

/** Where the shop or the affiliate network reports a sale; the braces are theirs to fill in. */
export function postbackSnippets({ campaignId, offerUrl, baseUrl, writeKey }: Ingredients) {
  const url = (rest: Piece) =>
    partsOf(
      code`${value(baseUrl)}/api/event?cid=${value(campaignId)}&event=conversion${
        writeKey === null ? '' : code`&key=${value(encodeURIComponent(writeKey))}`
      }${rest}&eid={order_id}`,
    )
  return {
    sub: {
      id: 'postback-sub',
      name: 'the postback URL with a sub-id',
      place: 'Postback URL of an affiliate network, which returns the sub-id',
      parts: url(code`&sub={sub}`),
    },
    email: {
      id: 'postback-email',
      name: 'the postback URL with an address',
      place: 'Postback URL of your own shop, which knows the address',
      parts: url(code`&email={customer_email}&domain=${value(hostOf(offerUrl) ?? '')}`),
    },
  } satisfies Record<string, Snippet>
}
