import * as z from 'zod'

/** One operation of an API: what it is called, and the zod schemas that read what comes in and describe what goes out. */
export interface Operation {
  method: 'get' | 'post' | 'patch'
  /** As OpenAPI writes it: `/api/v1/campaigns/{id}`. */
  path: string
  /** A verb and a noun in camel case, one of a kind. */
  id: string
  tag: string
  summary: string
  description?: string
  params?: z.ZodObject
  query?: z.ZodObject
  headers?: z.ZodObject
  body?: { schema: z.ZodType; types: string[] }
  /** Answers by status; one without a schema has no body worth describing. */
  answers: Record<number, { description: string; schema?: z.ZodType; example?: unknown }>
  /** Needs an API token, unless it is open. */
  open?: boolean
  /** A request that the readable page shows, as path and query, with a body where there is one. */
  sample?: { path: string; body?: object }
}

type JsonSchema = Record<string, unknown> & {
  type?: string | string[]
  properties?: Record<string, JsonSchema>
  required?: string[]
  description?: string
}

/**
 * A zod schema as JSON Schema 2020-12: as senders write it (`input`) or as readers find it (`output`). What zod
 * transforms has no other description than that of what goes in.
 */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema: json }) {
      // A word that is trimmed first and then looked up in a list: the list is what a sender wants to know.
      const { def } = zodSchema._zod as { def: { type: string; out?: z.ZodType } }
      const out =
        def.type === 'pipe' ? (def.out?._zod.def as { type: string; entries?: Record<string, string> }) : null
      if (io === 'input' && out?.type === 'enum') json.enum = Object.values(out.entries!)
      // OpenAPI 3.1 follows JSON Schema, which has `examples` in the plural.
      if ('example' in json) {
        json.examples = [json.example]
        delete json.example
      }
    },
  }) as JsonSchema
  return rest
}

export interface ApiInfo {
  title: string
  version: string
  /** Where this installation answers. */
  baseUrl: string
  description: string
}

/** The OpenAPI 3.1 document of these operations. */
export function openApiDocument({ title, version, baseUrl, description }: ApiInfo, operations: Operation[]) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of operations) {
    paths[operation.path] ??= {}
    paths[operation.path]![operation.method] = operationObject(operation)
  }
  return {
    openapi: '3.1.1',
    info: { title, version, description, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: baseUrl }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An API token, made in the settings.' },
      },
    },
  }
}

function operationObject(operation: Operation) {
  const { id, tag, summary, description, params, query, headers, body, answers, open } = operation
  const parameters = [
    ...parametersOf(params, 'path'),
    ...parametersOf(query, 'query'),
    ...parametersOf(headers, 'header'),
  ]
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description ? { description } : {}),
    security: open ? [] : [{ token: [] }],
    ...(params || query || headers ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: true,
            content: Object.fromEntries(
              body.types.map((type) => [type, { schema: jsonSchema(body.schema, 'input') }]),
            ),
          },
        }
      : {}),
    responses: Object.fromEntries(
      Object.entries(answers).map(([status, answer]) => [
        status,
        {
          description: answer.description,
          ...(answer.schema
            ? {
                content: {
                  'application/json': {
                    schema: jsonSchema(answer.schema, 'output'),
                    ...(answer.example === undefined ? {} : { example: answer.example }),
                  },
                },
              }
            : {}),
        },
      ]),
    ),
  }
}

function parametersOf(schema: z.ZodObject | undefined, where: 'path' | 'query' | 'header') {
  if (!schema) return []
  const { properties = {}, required = [] } = jsonSchema(schema, 'input')
  return Object.entries(properties).map(([name, { description, ...of }]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    ...(description ? { description } : {}),
    schema: of,
  }))
}

/** A field of a request or an answer, as a table shows it; `name` is its way from the top: `unique.email_clicks`. */
export interface FieldLine {
  name: string
  type: string
  required: boolean
  description: string
  /** What holds when it is left out; empty when nothing does. */
  usual: string
}

/** Every field of a schema, those of inner objects after their own. */
export function fieldLines(schema: z.ZodType, io: 'input' | 'output'): FieldLine[] {
  const lines: FieldLine[] = []
  const json = jsonSchema(schema, io)
  if (json.type === 'array') walk(json.items as JsonSchema, '[].')
  else walk(json, '')
  return lines

  function walk(json: JsonSchema, prefix: string) {
    for (const [name, field] of Object.entries(json.properties ?? {})) {
      const items = field.items as JsonSchema | undefined
      lines.push({
        name: prefix + name,
        type: typeWords(field),
        required: json.required?.includes(name) ?? false,
        description: field.description ?? '',
        usual: field.default === undefined ? '' : String(field.default),
      })
      if (field.properties) walk(field, `${prefix}${name}.`)
      else if (items?.properties) walk(items, `${prefix}${name}[].`)
    }
  }
}

function typeWords(json: JsonSchema): string {
  const { anyOf } = json as { anyOf?: JsonSchema[] }
  if (anyOf) return [...new Set(anyOf.map(typeWords))].join(' or ')
  if (Array.isArray(json.enum)) return json.enum.map(String).join(', ')
  if (json.const !== undefined) return String(json.const)
  if (json.format === 'date-time') return 'date-time'
  if (json.type === 'array') return `list of ${plurals[typeWords(json.items as JsonSchema)] ?? 'values'}`
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = json as { minimum?: number; maximum?: number }
  if (json.type === 'integer' && minimum !== undefined && maximum < Number.MAX_SAFE_INTEGER)
    return `${minimum} to ${maximum}`
  return Array.isArray(json.type) ? json.type.join(' or ') : (json.type ?? 'any')
}
const plurals: Record<string, string> = { object: 'objects', string: 'strings', integer: 'integers' }
