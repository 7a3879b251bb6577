import { join } from 'node:path'
import type { Express } from 'express'
import nunjucks from 'nunjucks'
import { projectRoot } from '../config.js'
import { assetPath } from './assets.js'
import { type DateFormats, duration, noValue, number, percent, plural } from './formats.js'

interface Options {
  dates: DateFormats
  version: string
  /** Looks for changed templates on each request, for development. */
  watch?: boolean
}

/**
 * The one Nunjucks environment: autoescape on, and a name that nobody set is an error, not an empty string.
 * @returns it, for documents that are rendered for nobody's request
 */
export function useViews(app: Express, { dates, version, watch = false }: Options): nunjucks.Environment {
  const views = new nunjucks.Environment(
    new nunjucks.FileSystemLoader(join(projectRoot, 'views'), { noCache: watch }),
    { autoescape: true, throwOnUndefined: true, trimBlocks: true, lstripBlocks: true },
  )
  views.addGlobal('asset', assetPath)
  views.addGlobal('version', version)
  views.addGlobal('plural', plural)
  views.addGlobal('noValue', noValue)
  views.addFilter('number', number)
  views.addFilter('percent', percent)
  views.addFilter('duration', duration)
  views.addFilter('date', dates.date)
  views.addFilter('moment', dates.moment)
  views.addFilter('exact', dates.exact)
  views.addFilter('clock', dates.clock)
  views.addFilter('ago', dates.ago)
  views.addFilter('iso', dates.iso)
  views.express(app)
  app.set('view engine', 'njk')
  return views
}
