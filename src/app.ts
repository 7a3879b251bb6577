import express from 'express'
import type { Logger } from 'pino'
import { openCountries } from './audience/countries.js'
import { campaignDirectory } from './campaigns/directory.js'
import { eventDoor } from './campaigns/door.js'
import { integrationPages } from './campaigns/integration-page.js'
import { campaignRecorder } from './campaigns/record.js'
import { Refusals } from './campaigns/refusals.js'
import { settler } from './campaigns/settle.js'
import { type Config, version } from './config.js'
import type { Db } from './database/open.js'
import type { Readers } from './database/readers.js'
import type { Ledger } from './ledger/ledger.js'
import { healthDoor } from './operations/health.js'
import type { Job } from './operations/jobs.js'
import { calendar } from './web/calendar.js'
import { errorHandler, notFound } from './web/errors.js'
import { dateFormats } from './web/formats.js'
import { staticFiles } from './web/assets.js'
import { useViews } from './web/views.js'

export interface Needs {
  config: Config
  db: Db
  readers: Readers
  ledger: Ledger
  log: Logger
  now: () => number
}

/** The whole application: doors for machines first, which pay for nothing that pages need, then pages for people. */
export function createApp({ config, db, readers, ledger, log, now }: Needs) {
  const days = calendar(config.TIME_ZONE)
  const recorder = campaignRecorder({ db, calendar: days, countryOf: openCountries() })
  const record = ledger.register(recorder.events)
  const settle = ledger.register(recorder.settlements)
  const directory = campaignDirectory(db)
  const refusals = new Refusals()

  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', 'simple')
  app.set('trust proxy', config.TRUST_PROXY)

  app.use(eventDoor({ record, directory, refusals, now, log }))
  app.use(healthDoor({ db, now }))
  app.use(staticFiles())

  // Pages for people.
  useViews(app, { dates: dateFormats(days), version, watch: config.NODE_ENV === 'development' })
  app.use((_req, res, next) => {
    Object.assign(res.locals, {
      account: null,
      csrf: '',
      flash: '',
      now: now(),
      lastEventAt: null,
      baseUrl: config.BASE_URL,
      room: '',
    })
    next()
  })

  app.use(integrationPages({ db, record, refusals, config, now }))

  app.use(notFound)
  app.use(errorHandler(log))

  const settling = settler({ db, readers, settle, now })
  const jobs: Job[] = [{ name: 'settle verdicts', when: '* * * * *', run: () => settling.run() }]
  return { app, jobs, refusals, settle, settling }
}
