import { join } from 'node:path'
import express from 'express'
import type { Logger } from 'pino'
import { accessTokenDoor, accessTokenOperations, accessTokens } from './accounts/access-tokens.js'
import { onlyLoggedIn, recognise } from './accounts/gate.js'
import { loginPages, logoutPages } from './accounts/login.js'
import { sessions } from './accounts/sessions.js'
import { settingsPages } from './accounts/settings.js'
import { setupLink, setupPages } from './accounts/setup.js'
import { loginThrottle } from './accounts/throttle.js'
import { requireToken } from './accounts/tokens.js'
import { twoFactor } from './accounts/two-factor.js'
import { activityPage } from './audience/activity-page.js'
import { audienceApi } from './audience/api.js'
import { openAudience } from './audience/audience.js'
import { audienceBodies, audiencePages } from './audience/audience-page.js'
import { contactPage } from './audience/contact-page.js'
import { openCountries } from './audience/countries.js'
import { engagementRoom } from './audience/engagement-room.js'
import { audienceChapters } from './audience/glossary.js'
import { removeOldImports } from './audience/import-page.js'
import { destroyOldSalts } from './audience/internet-addresses.js'
import { listPages } from './audience/list-pages.js'
import { openNetworks } from './audience/networks.js'
import { overTimePage } from './audience/over-time-page.js'
import { privacySection } from './audience/privacy-section.js'
import { scoreRecorder, scorer } from './audience/scoring.js'
import { searchIndex } from './audience/search.js'
import { tagPages } from './audience/tag-pages.js'
import { wordsPage } from './audience/words-page.js'
import { campaignApi, eventOperations } from './campaigns/api.js'
import { campaignPage } from './campaigns/campaign-page.js'
import { campaignRemover } from './campaigns/commands.js'
import { campaignRoom } from './campaigns/contact-room.js'
import { campaignDirectory } from './campaigns/directory.js'
import { eventDoor } from './campaigns/door.js'
import { editPages } from './campaigns/edit-pages.js'
import { campaignChapters } from './campaigns/glossary.js'
import { homePage, showLastEvent } from './campaigns/home-page.js'
import { integrationPages, longLists } from './campaigns/integration-page.js'
import { campaignRecorder } from './campaigns/record.js'
import { Refusals } from './campaigns/refusals.js'
import { settler } from './campaigns/settle.js'
import { campaignKind } from './campaigns/tied-kind.js'
import { type Config, version } from './config.js'
import type { Db } from './database/open.js'
import type { Readers } from './database/readers.js'
import { openButtondown } from './esp/buttondown/buttondown.js'
import { canonicalId, spellingsOf } from './esp/buttondown/ids.js'
import { buttondownPages } from './esp/buttondown/pages.js'
import type { ConnectedProvider } from './esp/connected-provider.js'
import { deliveriesRoom } from './esp/deliveries-room.js'
import { openEmailOctopus } from './esp/emailoctopus/emailoctopus.js'
import { emailOctopusPages } from './esp/emailoctopus/pages.js'
import { webhookOperations } from './esp/webhook-operations.js'
import type { Ledger } from './ledger/ledger.js'
import { openMailer } from './mail/mailer.js'
import { mailingApi } from './mailings/api.js'
import { benchmarkSection } from './mailings/benchmarks.js'
import { comparePage } from './mailings/compare-page.js'
import { mailingsDashboard } from './mailings/dashboard-page.js'
import { mailingChapters } from './mailings/glossary.js'
import { heatmapPage } from './mailings/heatmap-page.js'
import { mailingsOfList } from './mailings/list-mailings.js'
import { mailingMessage } from './mailings/mailing-message.js'
import { mailingPage } from './mailings/mailing-page.js'
import { listKind, mailingKind } from './mailings/tied-kinds.js'
import { alertPage } from './operations/alert-page.js'
import { alertSettings } from './operations/alert-settings.js'
import { alerts as openAlerts } from './operations/alerts.js'
import { auditPage } from './operations/audit-page.js'
import { auditing } from './operations/audited.js'
import { backupPages } from './operations/backup-pages.js'
import { backupSection, openBackups } from './operations/backups.js'
import { noteSize } from './operations/disk.js'
import { OperationsFacts } from './operations/facts.js'
import { Faults } from './operations/faults.js'
import { operationsChapters } from './operations/glossary.js'
import { healthDoor, healthOperations } from './operations/health.js'
import { databaseFacts, ledgerFacts, providerFacts, trafficFacts } from './operations/health-facts.js'
import { backupFacts, jobFacts } from './operations/job-and-backup-facts.js'
import { jobApi } from './operations/job-api.js'
import { jobPages } from './operations/job-pages.js'
import { Jobs } from './operations/jobs.js'
import { metricsDoor } from './operations/metrics-door.js'
import { operationsPage } from './operations/operations-page.js'
import { privacyPage } from './operations/privacy-page.js'
import { requestLines } from './operations/request-lines.js'
import { restoreCheckJob } from './operations/restore-check.js'
import { retention as openRetention, removedInWords, retentionRecorder } from './operations/retention.js'
import { Traffic } from './operations/traffic.js'
import { upkeepJobs } from './operations/upkeep.js'
import { watcher } from './operations/watch.js'
import { partnerApi } from './partners/api.js'
import { partnerChapters } from './partners/glossary.js'
import { TiedKinds } from './partners/kinds.js'
import { logoUploads } from './partners/logo-uploads.js'
import { partnerPages } from './partners/partner-pages.js'
import { projectPages } from './partners/project-pages.js'
import { tieDoor } from './partners/tie-door.js'
import { promoChoicesPage } from './promos/choices-page.js'
import { promoEditPages } from './promos/edit-pages.js'
import { promoChapters } from './promos/glossary.js'
import { promoImportBodies, promoImportPage } from './promos/import-page.js'
import { promoIntegrationPage } from './promos/integration-page.js'
import { promoOfferPage } from './promos/offer-page.js'
import { promoOperations } from './promos/operations.js'
import { promoOverviewPage } from './promos/overview-page.js'
import { openPromos } from './promos/promos.js'
import { redirectOperations } from './promos/redirect-operations.js'
import { promoSendsPage } from './promos/sends-page.js'
import { promoSettingsSection } from './promos/settings-section.js'
import { promoSimulatorPage } from './promos/simulator-page.js'
import { promoTextsPage } from './promos/texts-page.js'
import { offerKind } from './promos/tied-kind.js'
import { builderPages, reportBodies } from './reports/builder-pages.js'
import { comparedRates } from './reports/compared-rates.js'
import { reportRoom } from './reports/contact-room.js'
import { openDeliveries } from './reports/deliveries.js'
import { reportChapters } from './reports/glossary.js'
import { liveDoor } from './reports/live-door.js'
import { openPress } from './reports/pdf/press.js'
import { reportPages } from './reports/report-pages.js'
import { openReports } from './reports/reports.js'
import { schedulePages } from './reports/schedule-pages.js'
import { installationSecret, sealer } from './secret.js'
import { staticFiles } from './web/assets.js'
import { calendar } from './web/calendar.js'
import { docsPages } from './web/docs.js'
import { errorHandler, notFound, onlyPaths } from './web/errors.js'
import { dateFormats } from './web/formats.js'
import { formBodies, onlyGenuine } from './web/forms.js'
import { glossaryPages } from './web/glossary.js'
import { watchRequests } from './web/request-log.js'
import { securityHeaders } from './web/security.js'
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
  const dates = dateFormats(days)
  const countryOf = openCountries()
  const networks = openNetworks(config.DATA_DIR)
  const audience = openAudience({
    db,
    ledger,
    calendar: days,
    countryOf,
    networks,
    dataDir: config.DATA_DIR,
    secret: installationSecret(config.DATA_DIR),
    now,
  })
  const { contacts, rooms } = audience
  const recorder = campaignRecorder({ db, calendar: days, contacts, countryOf })
  rooms.enter(engagementRoom())
  rooms.enter({ ...campaignRoom(), ...recorder.people })
  const record = ledger.register(recorder.events)
  const settle = ledger.register(recorder.settlements, { patient: true })
  rooms.enter(deliveriesRoom(spellingsOf, { readByIds: ['buttondown'] }))
  rooms.enter(reportRoom({ now }))
  const scoring = scorer({
    db,
    readers,
    rooms,
    // All of a night are many: with longer rests it would take too long until everybody is scored.
    write: ledger.register(scoreRecorder(db), { patient: true, rest: 0.5 }),
    now,
  })
  const buttondown = openButtondown({
    db,
    ledger,
    audience,
    config,
    secret: installationSecret(config.DATA_DIR),
    score: () => scoring.runAll(),
    now,
    log,
  })
  const emailOctopus = openEmailOctopus({
    db,
    ledger,
    audience,
    config,
    secret: installationSecret(config.DATA_DIR),
    score: () => scoring.runAll(),
    now,
    log,
  })
  const mailer = openMailer({ db, config, log, now })
  const kinds = new TiedKinds()
  kinds.enter(campaignKind())
  kinds.enter(mailingKind({ dates }))
  kinds.enter(listKind())
  kinds.enter(offerKind())
  const directory = campaignDirectory(db)
  const refusals = new Refusals()
  const remover = campaignRemover({ db, log })
  const secret = config.SESSION_SECRET ?? installationSecret(config.DATA_DIR)
  const throttle = loginThrottle({ db, now, secret })
  const factor = twoFactor({ db, now, seal: sealer(installationSecret(config.DATA_DIR)) })
  const setup = setupLink({ db, baseUrl: config.BASE_URL })
  const tokens = accessTokens({
    db,
    now,
    secret: installationSecret(config.DATA_DIR),
    algorithm: config.ACCESS_TOKEN_ALGORITHM,
  })
  const promos = openPromos({
    db,
    readers,
    ledger,
    calendar: days,
    networks,
    config,
    secret: installationSecret(config.DATA_DIR),
    tokens,
    canonicalId,
    log,
    now,
  })

  const settling = settler({ db, readers, settle, now })
  const search = searchIndex({ db })
  const jobs = new Jobs({ db, log, now, timeZone: config.TIME_ZONE })
  const press = openPress({ config, log })
  const backups = openBackups({ db, config, calendar: days })
  const path = join(config.DATA_DIR, 'throughline.db')
  const traffic = new Traffic()
  const faults = new Faults({ now })
  const providers = [
    { provider: 'buttondown', name: 'Buttondown', ...watched(buttondown) },
    { provider: 'emailoctopus', name: 'EmailOctopus', ...watched(emailOctopus) },
  ]
  /** Where a room tells of itself what operators want to know. */
  const operations = new OperationsFacts()
  operations.enter(trafficFacts({ traffic, startedAt: now() }))
  operations.enter(ledgerFacts({ ledger, refusedFields: () => refusals.byField }))
  operations.enter(databaseFacts({ db, path, dataDir: config.DATA_DIR }))
  operations.enter(providerFacts({ db, providers, now }))
  const retention = openRetention({
    db,
    readers,
    remove: ledger.register(retentionRecorder(db), { patient: true }),
    providers: providers.map(({ provider }) => provider),
    promosWait: () => !promos.spool.isEmpty,
    now,
  })
  const alertsKept = alertSettings({ db, seal: sealer(installationSecret(config.DATA_DIR)) })
  operations.enter(jobFacts({ db, jobs }))
  operations.enter(backupFacts({ db, backups, settings: alertsKept, startedAt: now(), now }))
  const alerts = openAlerts({
    db,
    facts: operations,
    settings: alertsKept,
    watch: watcher({ db, dataDir: config.DATA_DIR, ledger, traffic, providers, now }),
    postman: mailer,
    baseUrl: config.BASE_URL,
    now,
    log,
  })

  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', 'simple')
  app.set('trust proxy', config.TRUST_PROXY)

  const line = requestLines({ log, which: config.LOG_REQUESTS })
  app.use(
    watchRequests((req, res, milliseconds) => {
      traffic.note(req, res, milliseconds)
      line?.(req, res, milliseconds)
    }),
  )
  app.use('/api/event', eventDoor({ record, directory, refusals, now, log }))
  promos.openDoors(app.router)
  app.use('/webhooks/buttondown', buttondown.webhook)
  app.use('/webhooks/emailoctopus', emailOctopus.webhook)
  app.use(accessTokenDoor({ tokens, db, throttle, factor, now }))
  app.use(healthDoor({ db, now, facts: operations }))
  app.use(metricsDoor({ db, now, facts: operations, token: config.METRICS_TOKEN }))
  app.use(staticFiles())
  app.use('/static', notFound)

  // Programs with a token: no session, no cookies.
  const api = campaignApi({ db, readers, directory, now })
  const audit = auditing({ db, now })
  app.use('/api/v1', requireToken({ db, now }), audit)
  app.use(api.routes)
  const peopleApi = audienceApi({ db, readers, calendar: days, now })
  app.use(peopleApi.routes)
  const newsletterApi = mailingApi({ db, readers, calendar: days, now })
  app.use(newsletterApi.routes)
  const projectApi = partnerApi({ db, readers, kinds, now })
  app.use(projectApi.routes)
  const workApi = jobApi({ db, jobs })
  app.use(workApi.routes)

  // Pages for people.
  const views = useViews(app, { dates, version, watch: config.NODE_ENV === 'development' })
  const reports = openReports({
    db,
    readers,
    kinds,
    calendar: days,
    directory: promos.directory,
    views,
    now,
  })
  const deliveries = openDeliveries({ db, reports, press, mailer, calendar: days, log, now })
  app.use(securityHeaders(config))
  app.use(
    docsPages({
      info: {
        title: 'Throughline',
        version,
        baseUrl: config.BASE_URL,
        description: 'Follows a reader from the inbox to the sale.',
      },
      operations: [
        ...eventOperations,
        ...api.operations,
        ...peopleApi.operations,
        ...newsletterApi.operations,
        ...projectApi.operations,
        ...promoOperations,
        ...redirectOperations,
        ...webhookOperations,
        ...accessTokenOperations,
        ...workApi.operations,
        ...healthOperations,
      ],
    }),
  )
  app.use('/api', notFound)
  app.use(onlyPaths)
  app.use(sessions({ db, now, secret, baseUrl: config.BASE_URL }))
  app.use(recognise({ db, now, baseUrl: config.BASE_URL }))
  app.use(loginPages({ db, now, throttle, factor }))
  app.use(setupPages({ db, now, link: setup }))
  app.use(liveDoor({ db, secret, now }))
  // Whatever else strangers may see stands here, before the gate.
  app.use(
    onlyLoggedIn,
    longLists(),
    reportBodies(),
    promoImportBodies(),
    audienceBodies({ config, now }),
    logoUploads(),
    formBodies(),
    onlyGenuine,
    audit,
  )
  app.use(showLastEvent({ db }))
  app.use(
    operationsPage({
      db,
      readers,
      path,
      dataDir: config.DATA_DIR,
      ledger,
      traffic,
      refusals,
      facts: operations,
      settings: alertsKept,
      providers,
      now,
    }),
  )
  app.use(alertPage({ alerts, settings: alertsKept, mailIsSet: mailer.isSet }))
  app.use(privacyPage({ db, retention }))
  app.use(auditPage({ db }))
  app.use(logoutPages({ db, now }))
  app.use(
    settingsPages({
      db,
      now,
      throttle,
      factor,
      sections: [
        privacySection({
          db,
          changed() {
            recorder.forgetSettings()
            audience.engagements.forgetSettings()
          },
        }),
        benchmarkSection({ db, rates: comparedRates }),
        promoSettingsSection({ db, changed: () => promos.settingsChanged() }),
        mailer.section,
        backupSection({ db, backups }),
      ],
    }),
  )

  app.use(tieDoor({ db, kinds, now }))
  app.use(partnerPages({ db, kinds, now }))
  app.use(projectPages({ db, readers, kinds, now }))
  app.use(campaignPage({ db, readers, calendar: days, dates, now }))
  app.use(homePage({ db, calendar: days, now }))
  app.use(editPages({ db, readers, directory, remover, now }))
  app.use(integrationPages({ db, record, refusals, config, now }))
  app.use(
    audiencePages({
      db,
      readers,
      calendar: days,
      config,
      retag: audience.retag,
      importContacts: audience.importContacts,
      now,
    }),
  )
  app.use(activityPage({ db, readers, calendar: days, now }))
  app.use(wordsPage({ db, readers, calendar: days, now }))
  app.use(tagPages({ db, mergeTags: audience.mergeTags, deleteTag: audience.deleteTag, now }))
  app.use(overTimePage({ db, readers, calendar: days, dates, now }))
  app.use(
    listPages({
      db,
      readers,
      calendar: days,
      dates,
      mailingsOf: (list, counting) => mailingsOfList(readers, list, counting),
      now,
    }),
  )
  app.use(mailingsDashboard({ readers, calendar: days, dates, now }))
  app.use(comparePage({ readers, dates, now }))
  app.use(heatmapPage({ db, readers, calendar: days, now }))
  app.use(mailingMessage({ db }))
  app.use(mailingPage({ db, readers, calendar: days, dates, now }))
  app.use(
    contactPage({
      db,
      readers,
      rooms,
      retag: audience.retag,
      erase: audience.erase,
      calendar: days,
      dates,
      now,
    }),
  )
  app.use(buttondownPages({ db, buttondown, audience, config, now }))
  app.use(emailOctopusPages({ db, emailOctopus, config, now }))
  const { directory: offers } = promos
  const baseUrl = config.BASE_URL
  app.use(promoOverviewPage({ readers, directory: offers, calendar: days, now }))
  app.use(promoEditPages({ db, directory: offers, baseUrl, now }))
  app.use(
    promoOfferPage({
      db,
      readers,
      directory: offers,
      calendar: days,
      dates,
      baseUrl,
      now,
    }),
  )
  app.use(promoTextsPage({ readers, directory: offers, calendar: days, now }))
  app.use(promoSendsPage({ db, readers, directory: offers }))
  app.use(promoChoicesPage({ readers, directory: offers }))
  app.use(promoSimulatorPage())
  app.use(promoIntegrationPage({ directory: offers, baseUrl }))
  app.use(promoImportPage({ db, directory: offers, now }))
  app.use(jobPages({ db, jobs, now }))
  app.use(builderPages({ db, readers, kinds, reports, calendar: days, now }))
  app.use(
    reportPages({
      db,
      reports,
      press,
      seals: sealer(installationSecret(config.DATA_DIR)),
      baseUrl: config.BASE_URL,
      calendar: days,
      now,
    }),
  )
  app.use(backupPages({ db, jobs, backups, config, now }))
  app.use(schedulePages({ db, deliveries, mailer, calendar: days, log, now }))
  app.use(
    glossaryPages({
      chapters: [
        ...campaignChapters,
        ...audienceChapters,
        ...mailingChapters,
        ...partnerChapters,
        ...promoChapters,
        ...operationsChapters,
        ...reportChapters,
      ],
    }),
  )

  app.use(notFound)
  app.use(errorHandler(log, { faulty: faults.add }))

  // Everything that happens by the clock, in the order in which the page Jobs tells it.
  jobs.enter(
    {
      name: 'read-buttondown-deliveries',
      title: 'Read deliveries of Buttondown',
      what: 'Reads what the webhook of Buttondown has brought.',
      schedule: '*/5 * * * * *',
      run: () => buttondown.deliveries.run(),
    },
    {
      name: 'read-emailoctopus-deliveries',
      title: 'Read deliveries of EmailOctopus',
      what: 'Reads what the webhook of EmailOctopus has brought.',
      schedule: '2-59/5 * * * * *',
      run: () => emailOctopus.deliveries.run(),
    },
    {
      name: 'start-buttondown-sync',
      title: 'Start a sync with Buttondown that was asked for',
      what: 'Takes up a sync that somebody asked for, here or in a terminal.',
      schedule: '* * * * * *',
      run: () => buttondown.sync.performWaiting(),
    },
    {
      name: 'start-emailoctopus-sync',
      title: 'Start a sync with EmailOctopus that was asked for',
      what: 'Takes up a sync that somebody asked for, here or in a terminal.',
      schedule: '* * * * * *',
      run: () => emailOctopus.sync.performWaiting(),
    },
    {
      name: 'sync-emailoctopus',
      title: 'Sync with EmailOctopus',
      what: 'Looks whether a sync is due by the schedule chosen on the page of EmailOctopus, and performs it.',
      schedule: '*/5 * * * *',
      run: () => emailOctopus.scheduled(),
    },
    {
      name: 'sync-buttondown',
      title: 'Sync with Buttondown',
      what: 'Fetches what is new at Buttondown, and what its webhook missed.',
      schedule: '15 2 * * *',
      run: () => buttondown.nightly(),
    },
    {
      name: 'look-at-buttondown-webhook',
      title: 'Look at the webhook of Buttondown',
      what: 'Asks Buttondown whether it has switched the webhook off.',
      schedule: '25 * * * *',
      run: () => buttondown.lookAtWebhook(),
    },
    {
      name: 'score-active',
      title: 'Score whoever did something',
      what: 'Scores the contacts of whom something came in.',
      schedule: '30 * * * * *',
      run: () => scoring.run(),
    },
    {
      name: 'score-everybody',
      title: 'Score everybody',
      what: 'Scores all contacts, since scores fade with time.',
      schedule: '40 3 * * *',
      run: () => scoring.runAll(),
    },
    {
      name: 'destroy-address-salts',
      title: 'Destroy old salts',
      what: 'Destroys the salts of past months, after which hashed internet addresses can no longer be told apart.',
      schedule: '10 0 * * *',
      run: () => destroyOldSalts(db, now()),
    },
    {
      name: 'remove-old-imports',
      title: 'Remove old imports',
      what: 'Removes uploaded CSV files that nobody has confirmed.',
      schedule: '*/15 * * * *',
      run: () => removeOldImports({ config, now }),
    },
    {
      name: 'settle-verdicts',
      title: 'Settle verdicts',
      what: 'Judges events for good, ten minutes after they happened.',
      schedule: '* * * * *',
      run: () => settling.run(),
    },
    {
      name: 'remove-deleted-campaigns',
      title: 'Remove deleted campaigns',
      what: 'Removes the events of deleted campaigns, a few at a time.',
      schedule: '*/10 * * * *',
      run: () => remover.run(),
    },
    {
      name: 'index-contacts',
      title: 'Index addresses',
      what: 'Makes new addresses and names known to the search.',
      schedule: '* * * * * *',
      run: () => search.run(),
    },
    {
      name: 'record-spooled-promos',
      title: 'Record spooled promo facts',
      what: 'Brings facts of promos that waited on disk into the database.',
      schedule: '* * * * * *',
      run: () => promos.replay(),
    },
    {
      name: 'refresh-promo-learning',
      title: 'Refresh what learning knows',
      what: 'Brings what the choice of texts knows of them up to date.',
      schedule: '* * * * * *',
      run: () => promos.refresh(),
    },
    {
      name: 'look-at-issue-deliveries',
      title: 'See how many got each issue',
      what: 'Looks how many people got each issue.',
      schedule: '*/5 * * * *',
      run: () => promos.lookAgain(),
    },
    {
      name: 'clean-up-promos',
      title: 'Remove old choices and salts',
      what: 'Removes choices of promos that are too old to be asked about, and destroys their old salts.',
      schedule: '15 0 * * *',
      run: () => promos.cleanUp(),
    },
    ...upkeepJobs({ db, readers }),
    ...backups.jobs,
    restoreCheckJob({ db, config, now }),
    {
      name: 'look-for-trouble',
      title: 'Look for trouble',
      what: 'Tells once of what goes wrong, and once when it is over.',
      schedule: '40 * * * * *',
      run: () => alerts.look(),
    },
    {
      name: 'note-faults',
      title: 'Note what went wrong',
      what: 'Keeps the errors of the last minute, grouped, for the page of operations.',
      schedule: '20 * * * * *',
      run: () => faults.keep(db),
    },
    {
      name: 'note-database-size',
      title: 'Note the size of the database',
      what: 'From one note a day to the next it can be told how fast the database grows.',
      schedule: '5 0 * * *',
      run: () => noteSize(db, { path, today: days.dayOf(now()) }),
    },
    {
      name: 'deliver-reports',
      title: 'Render and deliver reports',
      what: 'Renders the reports whose schedule is due, archives them and sends them, and tries again what failed.',
      schedule: '* * * * *',
      run: () => deliveries.runDue(),
    },
    {
      name: 'remove-what-is-old',
      title: 'Remove what is too old',
      what: 'Takes away what is kept for a while only, as Privacy says: addresses and user agents of old events, deliveries that were read, old runs of jobs.',
      schedule: '50 2 * * *',
      run: async () => removedInWords(await retention.run()),
    },
  )
  return {
    app,
    setup,
    jobs,
    backups,
    remover,
    refusals,
    settle,
    settling,
    audience,
    buttondown,
    emailOctopus,
    scoring,
    promos,
    operations,
    retention,
    alerts,
    faults,
    reports,
    press,
    deliveries,
    mailer,
  }
}

/** What operations watches of a provider. */
const watched = (connected: Pick<ConnectedProvider, 'apiKey' | 'silence'>) => ({
  isConnected: async () => (await connected.apiKey.read()) !== null,
  silence: () => connected.silence(),
})
