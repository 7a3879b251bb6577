import type { RequestHandler } from 'express'

/**
 * Reads the body of a request that is as nearly every sender sends it: its length is told, it is not packed, and its text
 * is UTF-8. What is otherwise, or longer, goes the general way; for a door that is asked a thousand times a second, finding
 * out that a body is plain costs more there than all that is done with it.
 * @param most bytes
 * @param parse makes `req.body` of the bytes; what it throws refuses the request
 * @param otherwise the general way
 */
export function plainBody(
  most: number,
  parse: (bytes: Buffer) => unknown,
  otherwise: RequestHandler,
): RequestHandler {
  return (req, res, next) => {
    const { headers } = req
    const length = Number(headers['content-length'])
    if (
      !(length > 0 && length <= most) ||
      headers['content-encoding'] !== undefined ||
      /charset(?!="?utf-?8)/i.test(headers['content-type'] ?? '')
    )
      return otherwise(req, res, next)
    // Node hands on no more bytes than were told, and says so where there are fewer.
    const parts: Buffer[] = []
    req.on('data', (part: Buffer) => parts.push(part))
    req.on('error', (error) => next(Object.assign(error, { status: 400, type: 'request.aborted' })))
    req.on('end', () => {
      try {
        req.body = parse(parts.length === 1 ? parts[0]! : Buffer.concat(parts))
      } catch (error) {
        return next(error)
      }
      next()
    })
  }
}

/** @throws an error of status 400 and type `entity.parse.failed`, as `express.json` does */
export function parseJson(bytes: Buffer): unknown {
  const text = bytes.toString()
  try {
    return JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text)
  } catch (error) {
    throw Object.assign(error as Error, { status: 400, type: 'entity.parse.failed' })
  }
}
