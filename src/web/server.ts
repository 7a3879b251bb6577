import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Express } from 'express'

/** An event may carry 8 KiB of extra parameters, which percent-encoding makes three times as long. */
const longestHead = 64 * 1024

/**
 * Milliseconds: a head that trickles in (slowloris) has so long, a whole request with its body so long, and what
 * overdoes it is cut off when it is next looked at.
 */
const headTime = 10_000
const requestTime = 120_000
const lookEvery = 2_000

/**
 * Express makes each request and each answer of Node its own by giving it another prototype. V8 keeps an object to which
 * that happens, with all that hangs on it, until it looks through the whole heap, and whoever handles it has to find out
 * anew what it is: that costs four times what is left of Express. Made with the prototype that Express wants, they are
 * left as they are.
 */
function bornForExpress(app: Express) {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse {}
  app.request = Object.setPrototypeOf(AppRequest.prototype, app.request)
  app.response = Object.setPrototypeOf(AppResponse.prototype, app.response)
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse }
}

/**
 * The HTTP server around the app. Node refuses what is no HTTP by itself, without a word; here the caller, who may be
 * a landing page on another origin, is told what is wrong.
 */
export function httpServer(
  app: Express,
  { headersTimeout = headTime, requestTimeout = requestTime, connectionsCheckingInterval = lookEvery } = {},
) {
  const server = createServer(
    {
      ...bornForExpress(app),
      maxHeaderSize: longestHead,
      headersTimeout,
      requestTimeout,
      connectionsCheckingInterval,
    },
    app,
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
    const tooLong = error.code === 'HPE_HEADER_OVERFLOW'
    const tooSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
    const body = JSON.stringify({
      error: 'validation_error',
      details: {
        query: tooSlow
          ? 'The request did not come to its end in time.'
          : tooLong
            ? 'The address and the headers are longer than 64 KiB together.'
            : 'This is no valid HTTP request. Letters outside ASCII have to be percent-encoded in an address.',
      },
    })
    socket.end(
      [
        tooSlow
          ? 'HTTP/1.1 408 Request Timeout'
          : tooLong
            ? 'HTTP/1.1 431 Request Header Fields Too Large'
            : 'HTTP/1.1 400 Bad Request',
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
