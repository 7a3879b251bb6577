import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { engagementNumber } from '../../src/audience/engagement-kinds.js'
import { engagementReason, engagementVerdict } from '../../src/audience/engagement-verdict.js'
import { makeDatabase, nameTables } from './database.js'

/** How large an audience is, and what it has done. */
export interface Audience {
  contacts: number
  engagements: number
  mailings: number
  /** Milliseconds from one mailing to the next; a week unless something else is said. */
  every?: number
}

const week = 7 * 86_400_000
/** Names of tags with the share of contacts that have them, in thousandths. */
export const tagShares: Record<string, number> = {
  'early reader': 400,
  press: 150,
  workshop: 80,
  patron: 60,
  'met in person': 40,
  translator: 20,
  printer: 10,
  board: 2,
  'wrote back': 1,
}

/**
 * Makes an installation with contacts on two lists, tags and a weekly mailing. Its counts are not made yet.
 *
 * Each mailing goes to a part of the contacts, from week to week a few of them later ones; some open and click much
 * more than others.
 */
export async function makeAudience(dataDir: string, audience: Audience) {
  await makeDatabase(dataDir, null)
  const file = new Sqlite(join(dataDir, 'throughline.db'))
  file.pragma('synchronous = off')
  file.pragma('cache_size = -400000')
  fill(file, audience, Date.now())
  file.pragma('wal_autocheckpoint = 0')
  file.pragma('wal_checkpoint(truncate)')
  file.close()
}

function fill(
  file: Sqlite.Database,
  { contacts, engagements, mailings, every = week }: Audience,
  now: number,
) {
  const { first, last } = nameTables(file)
  const each = Math.floor(engagements / mailings)
  const parts = { delivered: 0.56, opened: 0.32, clicked: 0.115 }
  const receivers = Math.floor(each * parts.delivered)
  const opensEnd = receivers + Math.floor(each * parts.opened)
  const clicksEnd = opensEnd + Math.floor(each * parts.clicked)
  const joined = Math.floor((contacts - receivers) / mailings)
  const begin = now - mailings * every
  const kind = engagementNumber
  const { apple, agent, burst, unjudged } = engagementReason
  const { person, machine, proxy } = engagementVerdict

  const indexes = file
    .prepare(
      `select name, sql from sqlite_master where tbl_name = 'engagements' and type = 'index' and sql is not null`,
    )
    .all() as { name: string; sql: string }[]
  file.transaction(() => {
    for (const { name } of indexes) file.exec(`drop index ${name}`)
    file.exec(`
      insert into lists (id, provider, provider_id, name, created_at)
      values (1, 'buttondown', 'long-line', 'The Long Line', ${begin}), (2, 'csv', 'workshops', 'Workshops', ${begin});

      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${contacts})
      insert into contacts (id, email, name, name_folded, source, created_at)
      select i, f.name || '.' || l.name || (i / ${first * last}) || '@mail' || (i * 31 % 23) || '.example',
        case when i % 5 > 0 then upper(substr(f.name, 1, 1)) || substr(f.name, 2) || ' ' || l.name else '' end,
        case when i % 5 > 0 then f.name || ' ' || l.name else '' end,
        case when i % 17 = 0 then 'csv' when i % 29 = 0 then 'tracker' else 'buttondown' end,
        ${begin} + i * ${Math.floor((mailings * every) / contacts)}
      from n join first_names f on f.id = i % ${first} join last_names l on l.id = i / ${first} % ${last};

      insert into subscriptions (list_id, contact_id, status, source, subscribed_at, unsubscribed_at)
      select 1, id, case when id % 10 = 3 then 'unsubscribed' when id % 37 = 0 then 'bounced'
          when id % 41 = 0 then 'unconfirmed' else 'subscribed' end,
        'embedded_form', created_at, case when id % 10 = 3 then created_at + ${8 * week} end
      from contacts where id % 29 > 0
      union all
      select 2, id, 'subscribed', 'csv', created_at, null from contacts where id % 17 = 0;

      insert into subscription_changes (list_id, contact_id, changed_at, status)
      select list_id, contact_id, subscribed_at, 'subscribed' from subscriptions
      union all
      select list_id, contact_id, unsubscribed_at, 'unsubscribed' from subscriptions where unsubscribed_at > 0;

      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${mailings})
      insert into mailings (id, provider, provider_id, list_id, name, status, sent_at, created_at)
      select i, 'buttondown', printf('mailing-%d', i), 1, 'Letter ' || i, 'sent', ${begin} + (i - 1) * ${every},
        ${begin} + (i - 1) * ${every} from n;

      insert into mailing_lists (mailing_id, list_id) select id, 1 from mailings;

      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${mailings} * 4)
      insert into links (id, url) select i, 'https://longline.example/letter/' || i from n;

      with recursive n (i) as (select 0 union all select i + 1 from n where i < ${each * mailings} - 1),
      turns as (
        select i, i / ${each} as m, i % ${each} as turn, (i * 2654435761 & 4294967295) as dice,
          (i * 40503 + i / 7 * 69069 & 65535) as die
        from n
      ),
      told as (
        select *, case when turn < ${receivers} then ${kind('delivered')} when turn < ${opensEnd} then ${kind('opened')}
            when turn < ${clicksEnd} then ${kind('clicked')} else ${kind('replied')} end as kind,
          case when turn < ${receivers} then turn else dice % ${receivers} * die / 65536 end as k
        from turns
      )
      insert into engagements (contact_id, mailing_id, kind, happened_at, exact, provider, provider_id, link_id,
        os, browser, country, verdict, reasons)
      select ((m * ${joined} + k) * 7919) % ${contacts} + 1, m + 1, kind,
        ${begin} + m * ${every} + case when turn < ${receivers} then 60000 + turn * 10
          else 600000 + (turn - ${receivers}) * ${Math.floor((3 * 86_400_000) / (each - receivers))} end,
        1, 'buttondown', printf('%08x-%04x-4%03x-8%03x-%012x', dice, die, i % 4096, i / 7 % 4096, i),
        case when kind = ${kind('clicked')} then 1 + m * 4 + i % 4 end,
        case when kind <> ${kind('delivered')} and i % 3 > 0 then 'iOS' end,
        case when kind <> ${kind('delivered')} and i % 3 > 0 then 'Safari' end,
        case when kind <> ${kind('delivered')} then substr('DEGBFRUSNLPT', 1 + 2 * (die % 6), 2) end,
        case when kind = ${kind('opened')} and i % 4 = 0 then ${proxy}
          when kind = ${kind('opened')} and i % 33 = 0 then ${machine}
          when kind = ${kind('clicked')} and i % 12 = 0 then ${machine} else ${person} end,
        case when kind = ${kind('opened')} and i % 4 = 0 then ${apple}
          when kind = ${kind('opened')} and i % 33 = 0 then ${agent}
          when kind = ${kind('clicked')} and i % 12 = 0 then ${burst}
          when kind in (${kind('opened')}, ${kind('clicked')}) and i % 9 = 1 then ${unjudged} else 0 end
      from told;

      insert into contact_search (rowid, words) select id, email || ' ' || name_folded from contacts;
      insert into settings (name, value) values ('contact_search_up_to', '${contacts}');
    `)
    const addTag = file.prepare('insert into tags (id, name, created_at) values (?, ?, ?)')
    const give = file.prepare(
      `insert into contact_tags (contact_id, tag_id, origin, added_at)
       select id, ?, 'ours', ? from contacts where (id * 7 + ? * 131) % 1000 < ?`,
    )
    for (const [index, [name, share]] of Object.entries(tagShares).entries()) {
      addTag.run(index + 1, name, begin)
      give.run(index + 1, begin, index, share)
    }
    for (const { sql } of indexes) file.exec(sql)
  })()
}

/** Forgets all scores, as if nobody had ever been scored, and keeps the schedule from beginning with it by itself. */
export function forgetScores(dataDir: string) {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { timeout: 5_000 })
  file.exec(`
    update contacts set score = null, score_before = null, band = null;
    update tag_counts set scored = 0, score_sum = 0;
    delete from contacts_to_score;
    insert into settings (name, value) values ('score_average', '0.1') on conflict do update set value = '0.1';
  `)
  file.close()
}

/** @returns whether the last contact with receptions has a score: scoring goes by ascending numbers */
export function scoringWatch(dataDir: string) {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  const last = file.prepare('select max(contact_id) as id from receptions where mailing_id > 0').get() as {
    id: number
  }
  const look = file.prepare<[number], { score: number | null }>('select score from contacts where id = ?')
  return { isDone: () => look.get(last.id)!.score !== null, close: () => file.close() }
}

/** The contacts who did most, and as many from all the others. */
export function someContacts(dataDir: string, count: number): number[] {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  const ids = file
    .prepare(
      `select id from (select id from contacts order by opens + clicks desc limit @count)
       union all
       select id from (select id from contacts where id % (select 1 + max(id) / @count from contacts) = 0)`,
    )
    .pluck()
    .all({ count: Math.ceil(count / 2) }) as number[]
  file.close()
  return ids
}
