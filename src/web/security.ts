import type { Response } from 'express'
import helmet from 'helmet'

/**
 * What browsers are told about every page: nothing but our own scripts, styles, pictures and forms, in nobody's frame.
 *
 * Plain http on a home network must stay whole: there, requests are not upgraded to https, and the headers that
 * browsers only heed on https (and complain about elsewhere) are left out.
 */
export function securityHeaders({ BASE_URL }: { BASE_URL: string }) {
  const https = BASE_URL.startsWith('https:')
  return helmet({
    contentSecurityPolicy: {
      // Helmet's own defaults hold 'unsafe-inline' for styles and upgrade-insecure-requests.
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    strictTransportSecurity: https ? { maxAge: 365 * 24 * 3600, includeSubDomains: false } : false,
    crossOriginOpenerPolicy: https,
    originAgentCluster: https,
    referrerPolicy: { policy: 'same-origin' },
    frameguard: { action: 'deny' },
  })
}

/** This page alone may hold a frame, of a document of ours. */
export function allowFrame(res: Response) {
  res.set('Content-Security-Policy', `${res.get('Content-Security-Policy')};frame-src 'self'`)
}

/**
 * A document that somebody else wrote, for a frame in a page of ours: it runs no script, sends no form, knows no cookie
 * and fetches nothing. Its own styles hold, and pictures that lie within it.
 * @param options.images lets pictures from elsewhere in as well: whoever keeps them then sees that they are looked at
 */
export function foreignDocument(res: Response, { images }: { images: boolean }) {
  res.set({
    'Content-Security-Policy': [
      'sandbox',
      "default-src 'none'",
      `img-src data:${images ? ' https:' : ''}`,
      "style-src 'unsafe-inline'",
      "form-action 'none'",
      "base-uri 'none'",
      "frame-ancestors 'self'",
    ].join(';'),
    'X-Frame-Options': 'SAMEORIGIN',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
  })
}
