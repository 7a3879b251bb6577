import { timingSafeEqual } from 'node:crypto'
import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express'
import type { Logger } from 'pino'
import { isServerScript } from '../audience/devices.js'
import { isReferred, isUnavailable, sqliteCode } from '../database/errors.js'
import { LedgerFull, LedgerUnavailable } from '../ledger/ledger.js'
import { plainBody } from '../web/plain-body.js'
import type { CampaignDirectory } from './directory.js'
import { EventParameters, plainAddress } from './forms.js'
import { type EventFact, type EventReceipt, EventRefused } from './record.js'
import { maskAddress, maskRequest, type Refusals } from './refusals.js'

interface Needs {
  record: (fact: EventFact) => Promise<EventReceipt>
  directory: CampaignDirectory
  refusals: Refusals
  now: () => number
  log: Logger
}

type Details = Record<string, string>
/** What came in, before anybody has looked at it. Values from JSON keep their type. */
interface Given {
  values: Map<string, unknown>
  /** What could not be read, or came twice. */
  problems: Details
}

/** A request that cannot be read or is not valid: one sentence for each field. */
class BadRequest extends Error {
  constructor(
    readonly details: Details,
    readonly status = 400,
    readonly error = 'validation_error',
  ) {
    super(Object.values(details).join(' '))
  }
}

const bodyLimit = 64 * 1024
const extraFields = 50
const extraBytes = 8 * 1024
/** Writing JSON goes one call deeper for each level; a body that is all brackets would exhaust the stack. */
const deepestBody = 100

/**
 * `GET /api/event` and `POST /api/event`: where landing pages, servers and postbacks report what happened. It stands
 * before sessions and all else that serves people.
 */
export function eventDoor({ record, directory, refusals, now, log }: Needs) {
  let toldAt = Number.NEGATIVE_INFINITY
  let untold = 0

  async function answer(req: Request, res: Response, given: Given) {
    const at = now()
    try {
      const fact = await factOf(req, given, at)
      const receipt = await record(fact)
      acknowledge(res, receipt.id)
    } catch (error) {
      refuse(error, req, res, given, at)
    }
  }

  async function factOf(req: Request, given: Given, happenedAt: number): Promise<EventFact> {
    const { values, problems } = given
    if (problems.body) throw new BadRequest(problems) // what it lacks, nobody can tell
    const details: Details = { ...problems }
    const known: Record<string, unknown> = {}
    const extra: Record<string, unknown> = Object.create(null)
    let extras = 0
    const isGiven = (name: string) => {
      const value = values.get(name)
      return value !== undefined && value !== null && value !== ''
    }
    // An event that names both needs nobody else to say whose it is: then `sub` is a parameter like any other.
    const isWhole = isGiven('email') && isGiven('domain')
    for (const [name, value] of values) {
      if (isKnown(name) && !(name === 'sub' && isWhole)) {
        if (value !== null) known[name] = typeof value === 'number' ? String(value) : value
      } else {
        extra[name] = value
        extras++
      }
    }
    const parsed = EventParameters.safeParse(known)
    if (!parsed.success)
      for (const { path, message } of parsed.error.issues) details[String(path[0])] ??= message
    if (!isGiven('sub'))
      for (const name of ['email', 'domain']) if (!isGiven(name)) details[name] ??= `The ${name} is missing.`

    if (extras > extraFields)
      details.extra = `There are ${extras} extra parameters; ${extraFields} are kept at most.`
    else if (extras > 0 && Buffer.byteLength(JSON.stringify(extra)) > extraBytes)
      details.extra = 'The extra parameters are longer than 8 KiB together.'

    const cid = details.cid ? null : Number(String(values.get('cid')).trim())
    const campaign = cid === null ? null : await directory.find(cid)
    if (cid !== null && !campaign) details.cid = `Campaign ${cid} does not exist.`
    if (!parsed.success || !campaign || Object.keys(details).length > 0) throw new BadRequest(details)

    const event = parsed.data
    if (campaign.needsKey && !sameText(event.key ?? '', campaign.writeKey))
      throw new BadRequest(
        { key: `Campaign ${campaign.id} needs its write key, as key=….` },
        403,
        'forbidden',
      )
    if (!campaign.needsKey && event.key !== undefined && !sameText(event.key, campaign.writeKey)) {
      extra.key = event.key // not ours, so it means something to somebody else
      extras++
    }
    const own = req.headers['user-agent'] ?? ''
    const onBehalf = event.ip !== undefined || event.ua !== undefined || isServerScript(own)
    return {
      campaignId: campaign.id,
      kind: event.event,
      email: event.email ?? null,
      sub: isWhole ? null : event.sub!,
      domain: event.domain ?? null,
      callerId: event.eid ?? null,
      link: event.link ?? null,
      address: onBehalf ? (event.ip ?? null) : plainAddress(req.ip ?? ''),
      userAgent: onBehalf ? event.ua || null : own,
      extra: extras > 0 ? extra : null,
      happenedAt,
    }
  }

  function refuse(error: unknown, req: Request, res: Response, given: Given, at: number) {
    let problem = error
    if (error instanceof EventRefused) problem = new BadRequest(error.details)
    // Its campaign was deleted while it waited in the queue.
    if (isReferred(error))
      problem = new BadRequest({ cid: `Campaign ${String(given.values.get('cid'))} does not exist.` })
    if (problem instanceof BadRequest) {
      const cid = Number(given.values.get('cid') ?? Number.NaN)
      const domain = given.values.get('domain')
      const refusal = {
        at,
        reasons: Object.values(problem.details),
        cid: Number.isSafeInteger(cid) && cid > 0 ? cid : null,
        request: maskRequest(describe(given.values) || (req.originalUrl.split('?')[1] ?? '')),
        from:
          typeof domain === 'string' && domain
            ? domain.slice(0, 80)
            : maskAddress(plainAddress(req.ip ?? '')),
      }
      refusals.add(refusal, Object.keys(problem.details))
      return res.status(problem.status).json({ error: problem.error, details: problem.details })
    }
    if (isUnavailable(problem)) problem = new LedgerUnavailable(undefined, { cause: problem })
    if (problem instanceof LedgerFull || problem instanceof LedgerUnavailable) {
      tell(problem, at)
      res.set('Retry-After', '5')
      return res.status(503).json({
        error: 'unavailable',
        message: `${problem.message} Send the event again in a few seconds.`,
      })
    }
    throw problem
  }

  /** One line a second: while nothing can be written, every caller would make one. */
  function tell(problem: Error, at: number) {
    untold++
    if (at - toldAt < 1000 && at >= toldAt) return
    log.warn(
      { reason: problem.message, code: sqliteCode(problem.cause), events: untold },
      'events not recorded',
    )
    toldAt = at
    untold = 0
  }

  const answerAll: RequestHandler = async (req, res, next) => {
    res.setHeader('Access-Control-Allow-Origin', '*')
    res.setHeader('Cache-Control', 'no-store')
    res.setHeader('X-Content-Type-Options', 'nosniff')
    if (req.method === 'OPTIONS') {
      res.set({
        'Access-Control-Allow-Methods': 'GET, POST',
        'Access-Control-Allow-Headers': 'Content-Type',
        'Access-Control-Max-Age': '86400',
      })
      return void res.status(204).end()
    }
    if (req.method === 'HEAD' || isPrefetch(req)) return void res.status(204).end()
    if (req.method !== 'GET' && req.method !== 'POST') {
      res.set('Allow', 'GET, POST, HEAD, OPTIONS')
      return void res
        .status(405)
        .json({ error: 'method_not_allowed', message: 'Events come by GET or POST.' })
    }
    if (req.method === 'POST' || req.path !== '/') return next()
    await answer(req, res, readQuery(req))
  }
  const readBytes = plainBody(
    bodyLimit,
    (bytes) => bytes,
    express.raw({ type: () => true, limit: bodyLimit }),
  )
  const answerBody: RequestHandler = async (req, res, next) => {
    if (req.path !== '/') return next()
    await answer(req, res, readBody(req))
  }
  // The body could not be read: too long, cut off, or packed in a way we do not know.
  const unreadable: ErrorRequestHandler = (error, req, res, next) => {
    const { status } = error as { status?: number }
    if (!status || status >= 500) return next(error)
    const sentence = status === 413 ? 'The body is longer than 64 KiB.' : 'The body cannot be read.'
    refuse(new BadRequest({ body: sentence }, status), req, res, readQuery(req), now())
  }
  // Plain handlers, one after another: a router of its own would cost each event another walk through one.
  return [answerAll, readBytes, answerBody, unreadable]
}

/** The answer to nearly every request, so it is written by hand: Express's `json` looks at more than is needed here. */
function acknowledge(res: Response, id: number) {
  const body = `{"status":"ok","event_id":${id}}`
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', body.length)
  res.end(body)
}

function isPrefetch({ headers }: Request) {
  const { 'sec-purpose': modern = '', purpose = '', 'x-moz': mozilla = '' } = headers
  return /prefetch|prerender/i.test(`${modern} ${purpose} ${mozilla}`) || /preview/i.test(String(purpose))
}

const sameText = (given: string, wanted: string) => {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)]
  return a.length === b.length && timingSafeEqual(a, b)
}

const nothing = (): Given => ({ values: new Map(), problems: {} })

function readQuery(req: Request): Given {
  const mark = req.originalUrl.indexOf('?')
  return mark < 0 ? nothing() : readForm(req.originalUrl.slice(mark + 1), 'query')
}

/** The URL-encoded form of the WHATWG, but strict: what is no UTF-8 or comes twice is refused rather than guessed. */
function readForm(text: string, where: 'query' | 'body', given = nothing()): Given {
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    try {
      const name = decode(equals < 0 ? pair : pair.slice(0, equals))
      add(given, name, equals < 0 ? '' : decode(pair.slice(equals + 1)))
    } catch {
      given.problems[where] = 'A parameter is not valid UTF-8 in percent-encoding.'
    }
  }
  return given
}

function add({ values, problems }: Given, name: string, value: unknown) {
  if (values.has(name))
    problems[isKnown(name) ? name : 'extra'] ??= `The parameter ${name.slice(0, 40)} is given twice.`
  else values.set(name, value)
}

function decode(text: string) {
  if (!/[%+]/.test(text)) return text
  // A placeholder that nobody replaced (`%EMAIL%`) is no percent-encoding; it is told by its own sentence.
  if (/^%%?[A-Za-z_][\w.-]*%%?$/.test(text) && !/^(?:%[0-9a-f]{2})+$/i.test(text)) return text
  return decodeURIComponent(text.replaceAll('+', ' '))
}
const isKnown = (name: string) => Object.hasOwn(EventParameters.shape, name)

/** The parameters of the body, and beside them those of the address. */
function readBody(req: Request): Given {
  const given = readQuery(req)
  const refused = (sentence: string): Given => ({
    values: given.values,
    problems: { ...given.problems, body: sentence },
  })
  const bytes: Buffer = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return refused('The body is not valid UTF-8.')
  }
  if (text.trim() === '') return given
  if (req.is('application/x-www-form-urlencoded')) return readForm(text, 'body', given)
  if (req.is('multipart/*')) return refused('The body comes as JSON or as a plain form, not as multipart.')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return refused('The body is no valid JSON.')
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return refused('The body is a JSON object with the parameters as its fields.')
  if (isDeeper(json, deepestBody)) return refused(`The body has more than ${deepestBody} levels.`)
  for (const [name, value] of Object.entries(json)) add(given, name, value)
  for (const name of repeatedFields(text)) add(given, name, null)
  return given
}

/** The names that stand more than once in a JSON object; `JSON.parse` keeps the last and says nothing. */
function repeatedFields(text: string): string[] {
  const seen = new Set<string>()
  const repeated: string[] = []
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/gs)) {
    if (token === '{' || token === '[') depth++
    else if (token === '}' || token === ']') depth--
    else if (depth === 1 && /^\s*:/.test(text.slice(index + token.length, index + token.length + 20))) {
      const name: string = JSON.parse(token)
      if (seen.has(name)) repeated.push(name)
      seen.add(name)
    }
  }
  return repeated
}

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1)))

const describe = (values: Given['values']) =>
  [...values]
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('&')
