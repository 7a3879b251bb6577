import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname, join, resolve, sep } from 'node:path'
import express, { Router } from 'express'
import { projectRoot } from '../config.js'

const require = createRequire(import.meta.url)
/** The installed file of a package, wherever npm has put it. */
const installed = (path: string) => require.resolve(path)

/** Third-party files are served from their installed packages, never copied in. */
const vendor: Record<string, string> = {
  'htmx.js': installed('htmx.org/dist/htmx.min.js'),
  'hx-ptag.js': installed('htmx.org/dist/ext/hx-ptag.min.js'),
  'uPlot.js': join(installed('uplot'), '../uPlot.esm.js'),
  'uPlot.css': join(installed('uplot'), '../uPlot.min.css'),
}

const folder = join(projectRoot, 'static')
/** One version for all files: styles import each other by relative address, so they must change together. */
let version: string | undefined
function currentVersion() {
  if (version === undefined) {
    const hash = createHash('sha256')
    for (const name of readdirSync(folder, { recursive: true, withFileTypes: true }))
      if (name.isFile()) hash.update(name.name).update(readFileSync(join(name.parentPath, name.name)))
    for (const path of Object.values(vendor)) hash.update(readFileSync(path))
    version = hash.digest('hex').slice(0, 10)
  }
  return version
}

/** The address of a file in static/ (or `vendor/…`) with its version in it, so that browsers may keep it for good. */
export const assetPath = (name: string) => `/static/${currentVersion()}/${name}`

const types: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
}

/**
 * What stands at a path below /static, with or without a version, for a reader inside this process.
 * @returns the media type and the bytes; null where nothing stands, or nothing of a kind that pages use
 */
export async function readAsset(path: string): Promise<{ type: string; body: Buffer } | null> {
  const [, room, first, ...rest] = path.split('/')
  const type = types[extname(path)]
  if (room !== 'static' || first === undefined || !type) return null
  const name = (first === currentVersion() ? rest : [first, ...rest]).join('/')
  const packaged = /^vendor\/([^/]+)$/.exec(name)?.[1]
  const file = packaged ? Object.hasOwn(vendor, packaged) && vendor[packaged] : resolve(folder, name)
  if (!file || (!packaged && !file.startsWith(folder + sep))) return null
  try {
    return { type, body: await readFile(file) }
  } catch {
    return null
  }
}

/**
 * Serves /static/<version>/… for a year, and the same files without a version for an hour: the landing page snippet
 * (`/static/t.js`) stands in other people's pages and must follow an upgrade.
 */
export function staticFiles() {
  const routes = Router()
  const open = { 'Access-Control-Allow-Origin': '*', 'Cross-Origin-Resource-Policy': 'cross-origin' }
  routes.use('/static', (req, res, next) => {
    const [, first, ...rest] = req.path.split('/')
    const versioned = first === currentVersion()
    res.set('Cache-Control', versioned ? 'public, max-age=31536000, immutable' : 'public, max-age=3600')
    res.set({ ...open, 'X-Content-Type-Options': 'nosniff' })
    if (versioned) req.url = `/${rest.join('/')}`
    next()
  })
  routes.get('/static/vendor/:name', (req, res, next) => {
    const path = Object.hasOwn(vendor, req.params.name) ? vendor[req.params.name] : undefined
    if (!path) return next()
    res.sendFile(path, { cacheControl: false, dotfiles: 'allow' })
  })
  routes.use('/static', express.static(folder, { cacheControl: false, index: false, fallthrough: true }))
  return routes
}
