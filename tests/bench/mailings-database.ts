import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { type Audience, makeAudience } from './audience-database.js'

/** An audience with mailings of its own, and beside them others of which a provider alone tells. */
export interface Mailed extends Audience {
  reported: number
  /** How often the provider said something new of each. */
  snapshots: number
}

const hour = 3_600_000
const day = 24 * hour

/** Makes an installation with both kinds of mailings, lists, senders, a partner's projects. Its counts are not made yet. */
export async function makeMailed(dataDir: string, mailed: Mailed) {
  await makeAudience(dataDir, mailed)
  const file = new Sqlite(join(dataDir, 'throughline.db'))
  file.pragma('synchronous = off')
  fill(file, mailed, Date.now())
  file.close()
}

function fill(
  file: Sqlite.Database,
  { mailings, every = 7 * day, reported, snapshots }: Mailed,
  now: number,
) {
  const apart = Math.floor((mailings * every) / reported)
  const numbers = `recipients, deliveries, opens, unique_opens, clicks, unique_clicks, temporary_failures,
    permanent_failures, unsubscriptions, complaints`
  // Of each mailing k tells how far it has come, from 1 to as many snapshots as there are.
  const grown = `i * 7919 % 900 + 1050, i * 7919 % 900 + 1000,
    (i * 7919 % 900 + 1000) * (30 + i % 21) * k / ${snapshots} / 70, (i * 7919 % 900 + 1000) * (30 + i % 21) * k / ${snapshots} / 100,
    (i * 7919 % 900 + 1000) * (3 + i % 5) * k / ${snapshots} / 80, (i * 7919 % 900 + 1000) * (3 + i % 5) * k / ${snapshots} / 100,
    20, 30, i % 9, i % 2`
  file.transaction(() => {
    file.exec(`
      insert into lists (id, provider, provider_id, name, created_at)
      values (3, 'emailoctopus', 'a', 'Paperboat', ${now}), (4, 'emailoctopus', 'b', 'The Bindery', ${now});

      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${reported})
      insert into mailings (id, provider, provider_id, list_id, name, subject, from_address, status, sent_at, created_at)
      select ${mailings} + i, 'emailoctopus', printf('campaign-%d', i), case when i % 7 > 0 then 3 + i % 2 end,
        'Campaign ' || i, 'What is new, number ' || i, 'sender' || (i % 5) || '@paperboat.example', 'sent',
        ${now} - i * ${apart} - ${day}, ${now} - i * ${apart} - ${day} from n;

      insert into mailing_lists (mailing_id, list_id)
      select id, 3 from mailings where id > ${mailings} and (list_id is null or list_id = 3)
      union all
      select id, 4 from mailings where id > ${mailings} and (list_id is null or list_id = 4);

      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${reported}),
      t (k) as (select 1 union all select k + 1 from t where k < ${snapshots})
      insert into mailing_snapshots (mailing_id, taken_at, ${numbers})
      select ${mailings} + i, ${now} - i * ${apart} - ${day} + k * k * ${Math.floor((30 * day) / snapshots ** 2)}, ${grown}
      from n, t order by i, k;

      insert into mailing_reports (mailing_id, checked_at, ${numbers})
      select mailing_id, ${now}, ${numbers} from mailing_snapshots
      where id in (select max(id) from mailing_snapshots group by mailing_id);

      insert into partners (id, name, created_at) values (1, 'Paperboat', ${now});
      insert into projects (id, partner_id, name, created_at) values (1, 1, 'Autumn', ${now}), (2, 1, 'Winter', ${now});
      insert into project_ties (kind, thing_id, project_id, tied_at) values ('list', 3, 1, ${now});
      insert into project_ties (kind, thing_id, project_id, tied_at)
      select 'mailing', id, 2, ${now} from mailings where id > ${mailings} and id % 11 = 0;
    `)
  })()
}
