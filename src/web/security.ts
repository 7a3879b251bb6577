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
