import type { Migration } from 'kysely'
import * as theHouse from './0001-the-house.js'
import * as theAudience from './0002-the-audience.js'
import * as worthAWord from './0003-worth-a-word.js'
import * as mailings from './0004-mailings.js'
import * as promos from './0005-promos.js'
import * as reports from './0006-reports.js'
import * as reportSchedules from './0007-report-schedules.js'
import * as operations from './0008-operations.js'
import * as care from './0009-care.js'
import * as oldSlugs from './0010-old-slugs.js'
import * as retention from './0011-retention.js'
import * as sealedEvents from './0012-sealed-events.js'
import * as quartersOfEngagements from './0013-quarters-of-engagements.js'
import * as sealedEngagements from './0014-sealed-engagements.js'
import * as clicksAgain from './0015-clicks-again.js'
import * as erasedSubscriptions from './0016-erased-subscriptions.js'

/** In the order they run. A new one goes last; one that has landed is never edited again. */
export const migrations: Record<string, Migration> = {
  '0001-the-house': theHouse,
  '0002-the-audience': theAudience,
  '0003-worth-a-word': worthAWord,
  '0004-mailings': mailings,
  '0005-promos': promos,
  '0006-reports': reports,
  '0007-report-schedules': reportSchedules,
  '0008-operations': operations,
  '0009-care': care,
  '0010-old-slugs': oldSlugs,
  '0011-retention': retention,
  '0012-sealed-events': sealedEvents,
  '0013-quarters-of-engagements': quartersOfEngagements,
  '0014-sealed-engagements': sealedEngagements,
  '0015-clicks-again': clicksAgain,
  '0016-erased-subscriptions': erasedSubscriptions,
}
