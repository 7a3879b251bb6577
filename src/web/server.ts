import { createServer } from 'node:http'
import type { Express } from 'express'

/** An event may carry 8 KiB of extra parameters, which percent-encoding makes three times as long. */
const longestHead = 64 * 1024

/**
 * The HTTP server around the app. Node refuses what is no HTTP by itself, without a word; here the caller, who may be
 * a landing page on another origin, is told what is wrong.
 */
export function httpServer(app: Express) {
  const server = createServer({ maxHeaderSize: longestHead }, app)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
    const tooLong = error.code === 'HPE_HEADER_OVERFLOW'
    const body = JSON.stringify({
      error: 'validation_error',
      details: {
        query: tooLong
          ? 'The address and the headers are longer than 64 KiB together.'
          : 'This is no valid HTTP request. Letters outside ASCII have to be percent-encoded in an address.',
      },
    })
    socket.end(
      [
        tooLong ? 'HTTP/1.1 431 Request Header Fields Too Large' : 'HTTP/1.1 400 Bad Request',
        'Content-Type: application/json; charset=utf-8',
        `Content-Length: ${Buffer.byteLength(body)}`,
        'Access-Control-Allow-Origin: *',
        'Cache-Control: no-store',
        'Connection: close',
        '',
        body,
      ].join('\r\n'),
    )
  })
  return server
}
