import { json, type NextFunction, type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { NotFound } from './errors.js'
import type { Operation } from './openapi.js'

/** Wrong input: one sentence for each field that is wrong. */
export class Invalid extends Error {
  constructor(
    readonly status: 400 | 422,
    readonly details: Record<string, string>,
  ) {
    super(Object.values(details).join(' '))
  }
}

/** What every operation may answer beside its own. */
export const ErrorAnswer = z.object({
  error: z.string().meta({ description: 'A word for programs, such as not_found.' }),
  message: z.string().meta({ description: 'A sentence for people.' }),
  request: z.string().optional().meta({ description: 'What the log of the server calls this request.' }),
})
export const InvalidAnswer = z.object({
  error: z.literal('validation_error'),
  details: z.record(z.string(), z.string()).meta({ description: 'One sentence for each wrong field.' }),
})
export const usualAnswers: Operation['answers'] = {
  400: { description: 'A parameter is wrong, or the body is no JSON.', schema: InvalidAnswer },
  401: { description: 'No API token, or one that does not work.', schema: ErrorAnswer },
}
export const notThere = { 404: { description: 'There is no such thing.', schema: ErrorAnswer } }
export const wrongBody = { 422: { description: 'A field of the body is wrong.', schema: InvalidAnswer } }
export const longBody = { 413: { description: 'The body is longer than 100 KiB.', schema: ErrorAnswer } }

/** A page of a list is found by key: the last id of the page before. */
export const after = z.coerce
  .number('The after is an id.')
  .int('The after is an id.')
  .min(0, 'The after is an id.')
  .max(Number.MAX_SAFE_INTEGER, 'The after is an id.')
  .optional()
  .meta({ description: 'The `next` of the page before.' })
export const limit = ({ usual, most }: { usual: number; most: number }) => {
  const sentence = `The limit is a number from 1 to ${most}.`
  return z.coerce
    .number(sentence)
    .int(sentence)
    .min(1, sentence)
    .max(most, sentence)
    .default(usual)
    .meta({ description: 'How many at most.' })
}
/** Says yes or no in a query. */
export const yesOrNo = z
  .enum(['0', '1'], 'Say 1 for yes or 0 for no.')
  .default('0')
  .transform((text) => text === '1')

/** An instant as JSON tells it: ISO 8601 in UTC. */
export const Instant = z.iso.datetime()
export const instant = (at: number) => new Date(at).toISOString()
export const instantOrNull = (at: number | null) => (at === null ? null : instant(at))

/** Described operations and what does them, as routes that parse with the very schemas of the description. */
export class JsonApi {
  readonly routes = Router()
  readonly operations: Operation[] = []

  readonly #under: string

  constructor({ under }: { under: string }) {
    this.#under = under
    this.routes.use(under, (_req, res, next) => {
      res.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
      next()
    })
    this.routes.use(under, json({ limit: '100kb', type: () => true, strict: false }))
  }

  /** @param answer gets what the schemas made of the request; what it returns is the JSON of the answer */
  add<Params extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodObject>(
    operation: Omit<Operation, 'params' | 'query' | 'body'> & { params?: Params; query?: Query; body?: Body },
    answer: (
      given: { params: z.output<Params>; query: z.output<Query>; body: z.output<Body> },
      res: Response,
    ) => Promise<object>,
  ) {
    const { body } = operation
    this.operations.push({ ...operation, body: body && { schema: body, types: ['application/json'] } })
    this.routes[operation.method](
      operation.path.replace(/\{(\w+)\}/g, ':$1'),
      async (req: Request, res: Response) => {
        const given = {
          params: operation.params
            ? read(operation.params, req.params, () => new NotFound('There is no such id.'))
            : {},
          query: operation.query
            ? read(operation.query, req.query, (details) => new Invalid(400, details))
            : {},
          body: body ? read(body, object(req.body), (details) => new Invalid(422, details)) : {},
        }
        res.json(await answer(given as Parameters<typeof answer>[0], res))
      },
    )
    return this
  }

  /** Call it when all operations are there: it tells what went wrong, and what is nowhere. */
  close() {
    const methods = new Map<string, string[]>()
    for (const { path, method } of this.operations) {
      const pattern = path.replace(/\{(\w+)\}/g, ':$1')
      methods.set(pattern, [...(methods.get(pattern) ?? []), method.toUpperCase()])
    }
    for (const [pattern, allowed] of methods)
      this.routes.all(pattern, (_req, res) => {
        res.status(405).set('Allow', allowed.join(', '))
        res.json({ error: 'method_not_allowed', message: `Here goes ${allowed.join(' and ')}.` })
      })
    this.routes.use(this.#under, (error: unknown, _req: Request, res: Response, next: NextFunction) => {
      const invalid = error instanceof Invalid ? error : bodyProblem(error)
      if (!invalid) return next(error)
      res.status(invalid.status).json({ error: 'validation_error', details: invalid.details })
    })
    return this.routes
  }
}

function read<Schema extends z.ZodObject>(
  schema: Schema,
  given: unknown,
  problem: (details: Record<string, string>) => Error,
): z.output<Schema> {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const details: Record<string, string> = {}
  for (const issue of parsed.error.issues) {
    if (issue.code === 'unrecognized_keys')
      for (const key of issue.keys) details[key] ??= 'There is no such field.'
    else details[String(issue.path[0] ?? 'body')] ??= issue.message
  }
  throw problem(details)
}

function object(body: unknown) {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body
  if (body === undefined) return {}
  throw new Invalid(400, { body: 'The body is a JSON object.' })
}

function bodyProblem(error: unknown): Invalid | null {
  const { type, status } = error as { type?: string; status?: number }
  if (type === 'entity.parse.failed') return new Invalid(400, { body: 'The body is no valid JSON.' })
  if (type === 'entity.too.large') return null
  return type && status && status < 500 ? new Invalid(400, { body: 'The body cannot be read.' }) : null
}
