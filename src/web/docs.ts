import { Router } from 'express'
import type * as z from 'zod'
import { type ApiInfo, fieldLines, type Operation, openApiDocument } from './openapi.js'

/**
 * The description of the API: `/api/openapi.json` for programs and `/docs` for people, both open to strangers. It
 * holds no data of this installation but its address.
 */
export function docsPages({ info, operations }: { info: ApiInfo; operations: Operation[] }) {
  const routes = Router()
  // Made when first asked for: a start need not wait for what few ever read.
  let document: ReturnType<typeof openApiDocument> | undefined
  let groups: ReturnType<typeof groupsOf> | undefined

  routes.get('/api/openapi.json', (_req, res) => {
    res.set({ 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'public, max-age=300' })
    document ??= openApiDocument(info, operations)
    res.json(document)
  })
  routes.get('/docs', (_req, res) => {
    groups ??= groupsOf(info.baseUrl, operations)
    res.render('help/docs', { info, groups })
  })
  return routes
}

/** The operations as the page shows them: by tag, each with its tables and a request to try. */
function groupsOf(baseUrl: string, operations: Operation[]) {
  const tags = [...new Set(operations.map(({ tag }) => tag))]
  return tags.map((tag) => ({
    tag,
    operations: operations
      .filter((operation) => operation.tag === tag)
      .map((operation) => {
        const {
          id,
          method,
          path,
          summary,
          description = '',
          open = false,
          params,
          query,
          headers,
          body,
          answers,
        } = operation
        const good = Object.values(answers)[0]!
        return {
          id,
          method: method.toUpperCase(),
          path,
          summary,
          description: wordsOf(description),
          open,
          curl: curlOf(baseUrl, operation),
          fields: [
            ...(params ? linesOf(params, 'input', 'path') : []),
            ...(query ? linesOf(query, 'input', 'query') : []),
            ...(headers ? linesOf(headers, 'input', 'header') : []),
            ...(body ? linesOf(body.schema, 'input', 'body') : []),
          ],
          answerFields: good.schema ? linesOf(good.schema, 'output', 'answer') : [],
          example: good.example === undefined ? '' : JSON.stringify(good.example, null, 2),
          answers: Object.entries(answers).map(([status, answer]) => ({
            status,
            description: answer.description,
          })),
        }
      }),
  }))
}

const linesOf = (schema: z.ZodType, io: 'input' | 'output', where: string) =>
  fieldLines(schema, io).map((line) => ({ ...line, where, description: wordsOf(line.description) }))

/** A description is CommonMark in OpenAPI; all that ours use of it is code in backticks: every second part is code. */
const wordsOf = (text: string) =>
  text.split('`').flatMap((part, index) => (part === '' ? [] : [{ text: part, code: index % 2 === 1 }]))

/** The sample request of an operation, for a terminal. */
function curlOf(baseUrl: string, { method, open, sample }: Operation) {
  if (!sample) return ''
  const words = ['curl']
  if (method !== 'get' && !(method === 'post' && sample.body)) words.push(`-X ${method.toUpperCase()}`)
  const lines = [`${words.join(' ')} '${baseUrl}${sample.path}'`]
  if (!open) lines.push(`-H "Authorization: Bearer $TOKEN"`)
  if (sample.body) lines.push(`-H 'Content-Type: application/json'`, `-d '${JSON.stringify(sample.body)}'`)
  return lines.join(' \\\n  ')
}
