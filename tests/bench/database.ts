import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { createAccount } from '../../src/accounts/commands.js'
import { createCampaign } from '../../src/campaigns/commands.js'
import { settledSetting } from '../../src/campaigns/record.js'
import { migrate } from '../../src/database/migrate.js'
import { openDatabase } from '../../src/database/open.js'
import { writeSetting } from '../../src/database/settings.js'

export const account = { username: 'bench', password: 'a bench under a lime tree' }
export const domains = 50

/** How much the first campaign of a database holds. Each person has the same number of events. */
export interface Filling {
  events: number
  people: number
}

/** Makes an installation with an account and four campaigns, the first of them filled; its counts are not made yet. */
export async function makeDatabase(dataDir: string, filling: Filling | null) {
  mkdirSync(dataDir, { recursive: true })
  const path = join(dataDir, 'throughline.db')
  const db = openDatabase(path)
  const now = Date.now()
  await migrate(db, { dataDir, now: () => now })
  await createAccount(db, account, { by: null, at: now })
  for (const name of ['Filled', 'Live one', 'Live two', 'Live three'])
    await createCampaign(db, { name, offer_url: 'https://offer.example/', needs_key: false }, { by: 1, now })
  if (filling) {
    fill(path, filling, now)
    await writeSetting(db, settledSetting, String(filling.events))
    await writeSetting(db, 'contact_search_up_to', String(filling.people))
  }
  await db.destroy()
}

const firstNames =
  'anna ben clara david elif emil eva felix fiona greta hugo ida ines jan jonas julia karl lena leo lina louis lucia maja marco maria marta mats maya mia mila nadia nils noah nora olga oskar paul pia rosa ruth samir sara sofia theo tom ulla vera wanda yara zoe'
const lastNames =
  'abel almeida bauer becker berg bianchi bos brandt carvalho conti costa cruz demir dubois ekman ferrari fischer garcia girard gomes hansen hoffmann holm ito jansen keller kim klein kraus lambert lang larsen lind lopes maes marino martin meyer moretti nakamura neumann nilsson novak olsen peeters pereira petit ramos rossi roux santos sato schmid schulz silva simon sousa strand suzuki tanaka torres vidal visser vogel wagner weber winter wolf wright zimmer'

/** Names as temporary tables `first_names` and `last_names`, each with an id from 0. @returns how many there are */
export function nameTables(file: Sqlite.Database) {
  const [first, last] = [firstNames.split(' '), lastNames.split(' ')]
  for (const [table, names] of Object.entries({ first_names: first, last_names: last })) {
    file.exec(`create temp table ${table} (id integer primary key, name text)`)
    const insert = file.prepare(`insert into ${table} values (?, ?)`)
    for (const [id, name] of names.entries()) insert.run(id, name)
  }
  return { first: first.length, last: last.length }
}

/**
 * Four months of events, in order; each person comes back on a second domain, and every twentieth is a machine.
 * Written by SQLite alone, and indexed afterwards: ten million rows take a minute or two.
 */
function fill(path: string, { events, people }: Filling, now: number) {
  const file = new Sqlite(path)
  file.pragma('synchronous = off')
  file.pragma('cache_size = -400000')
  const { first, last } = nameTables(file)

  const indexes = file
    .prepare(
      `select name, sql from sqlite_master where tbl_name = 'events' and type = 'index' and sql is not null`,
    )
    .all() as { name: string; sql: string }[]
  const step = Math.floor((120 * 86_400_000) / events)
  file.transaction(() => {
    for (const { name } of indexes) file.exec(`drop index ${name}`)
    file.exec(`
      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${people})
      insert into contacts (id, email, created_at)
      select i, f.name || '.' || l.name || (i / ${first * last}) || '@mail' || (i * 31 % 23) || '.example', ${now}
      from n join first_names f on f.id = i % ${first}
        join last_names l on l.id = i / ${first} % ${last};

      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${domains})
      insert into sending_domains (id, name, created_at) select i, 'news' || i || '.sender.example', ${now} from n;

      with recursive n (i) as (select 1 union all select i + 1 from n where i < 200)
      insert into user_agents (id, text, device, machine)
      select i, 'Mozilla/5.0 (X11; Linux x86_64; rv:' || i || '.0) Gecko/20100101 Firefox/' || i || '.0', 'desktop', 0 from n;

      insert into user_agents (id, text, device, machine) values (201, 'LinkScanner-bot/2.1', null, 1);

      with recursive n (i, turn, contact) as (
        select 1, 0, 7920 % ${people} + 1
        union all
        select i + 1, i / ${people}, (i + 1) * 7919 % ${people} + 1 from n where i < ${events}
      )
      insert into events (id, campaign_id, contact_id, domain_id, kind, happened_at, caller_id, link, address,
        user_agent_id, country, device, extra, verdict, reasons)
      select i, 1, contact, (contact + (turn > 4) * 17) % ${domains} + 1,
        case when turn in (3, 8) then 2 when turn = 4 and contact % 5 = 0 then 3 else 1 end,
        ${now - 120 * 86_400_000} + i * ${step},
        case when i % 10 = 0 then 'e-' || i end, 1 + i % 4, printf('%016x%06x', i * 2654435761, contact),
        case when contact % 20 = 0 then 201 else 1 + i % 200 end,
        substr('DEGBFRUSNLPT', 1 + 2 * (contact % 6), 2), case when contact % 20 > 0 then 'desktop' end,
        case when i % 3 = 0 then '{"utm_content":"hero"}' end,
        2 * (contact % 20 = 0), contact % 20 = 0
      from n;

      insert into contact_search (rowid, words) select id, email || ' ' from contacts;
    `)
    for (const { sql } of indexes) file.exec(sql)
  })()
  file.pragma('wal_checkpoint(truncate)')
  file.close()
}

/** Events and those of them that count, of one campaign (null: of all). */
export function countEvents(dataDir: string, campaign: number | null) {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  const row = file
    .prepare(
      'select count(*) as events, coalesce(sum(verdict < 2), 0) as counted from events where campaign_id = ? or ? is null',
    )
    .get(campaign, campaign) as { events: number; counted: number }
  file.close()
  return row
}
