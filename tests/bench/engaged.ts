import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { makeDatabase } from './database.js'

/** How much the audience of a database holds. */
export interface Audience {
  contacts: number
  mailings: number
  /** Each contact has the same number of them. */
  engagements: number
}

export const tags = ['buyer', 'reader', 'press', 'beta', 'lapsed', 'paperboat', 'local', 'speaker']
const first =
  'anna ben clara david elif emil eva felix fiona greta hugo ida ines jan jonas julia karl lena leo lina'.split(
    ' ',
  )
const last =
  'abel berg bianchi brandt carvalho conti cruz demir dubois ekman ferrari fischer garcia hansen holm ito'.split(
    ' ',
  )
const week = 7 * 86_400_000

/**
 * An installation with a newsletter: contacts with names, tags and subscriptions, and their engagements with weekly
 * mailings, of ten five deliveries, three opens (one of ten by a proxy) and two clicks. Its counts are not made yet.
 */
export async function makeAudience(dataDir: string, { contacts, mailings, engagements }: Audience) {
  await makeDatabase(dataDir, null)
  const file = new Sqlite(join(dataDir, 'throughline.db'))
  file.pragma('synchronous = off')
  file.pragma('cache_size = -400000')
  const now = Date.now()
  const indexes = file
    .prepare(
      `select name, sql from sqlite_master where tbl_name = 'engagements' and type = 'index' and sql is not null`,
    )
    .all() as { name: string; sql: string }[]
  for (const { name } of indexes) file.exec(`drop index ${name}`)

  file.exec('begin')
  file.prepare(`insert into lists values (1, 'buttondown', 'list', 'The long list', ?)`).run(now)
  for (const [index, name] of tags.entries())
    file.prepare('insert into tags (id, name, created_at) values (?, ?, ?)').run(index + 1, name, now)
  const mailing = file.prepare(
    `insert into mailings (id, provider, provider_id, list_id, name, status, sent_at, created_at)
     values (?, 'buttondown', ?, 1, ?, 'sent', ?, ?)`,
  )
  const sentAt = (id: number) => now - (mailings - id + 1) * week
  for (let id = 1; id <= mailings; id++) mailing.run(id, `m${id}`, `Issue ${id}`, sentAt(id), sentAt(id))
  file
    .prepare(
      `insert into links values (1, 'https://bindery.example/one'), (2, 'https://bindery.example/two')`,
    )
    .run()

  const person = file.prepare(
    `insert into contacts (id, email, name, name_folded, created_at, source, status, subscribed_at)
     values (?, ?, ?, ?, ?, 'buttondown', ?, ?)`,
  )
  const subscription = file.prepare(
    `insert into subscriptions (list_id, contact_id, status, source, subscribed_at) values (1, ?, ?, 'form', ?)`,
  )
  const tag = file.prepare(`insert into contact_tags values (?, ?, 'ours', ?)`)
  const engagement = file.prepare(
    `insert into engagements (contact_id, mailing_id, kind, happened_at, exact, provider, link_id, os, browser, verdict)
     values (?, ?, ?, ?, 1, 'buttondown', ?, 'iOS', 'Safari', ?)`,
  )
  const each = Math.floor(engagements / contacts)
  for (let id = 1; id <= contacts; id++) {
    const name = `${first[id % first.length]} ${last[(id * 7) % last.length]}`
    const since = now - (id % 700) * 86_400_000
    const status = id % 12 === 0 ? 'unsubscribed' : 'subscribed'
    person.run(id, `${name.replace(' ', '.')}${id}@mail${id % 23}.example`, name, name, since, status, since)
    subscription.run(id, status, since)
    if (id % 3 === 0) tag.run(id, 1 + (id % tags.length), now)
    if (id % 10 === 0) tag.run(id, 1 + ((id + 3) % tags.length), now)
    for (let turn = 0; turn < each; turn++) {
      const deed = turn % 10
      const issue = mailings - ((Math.floor(turn / 10) * 5 + (deed % 5)) % mailings)
      const at = sentAt(issue)
      const dice = (id * 31 + turn * 17) % 100
      if (deed < 5) engagement.run(id, issue, 2, at, null, 0)
      else if (deed < 8) engagement.run(id, issue, 6, at + dice * 900_000, null, dice < 10 ? 3 : 0)
      else engagement.run(id, issue, 7, at + dice * 1_000_000, 1 + (dice % 2), 0)
    }
  }
  for (const { sql } of indexes) file.exec(sql)
  file.exec(`insert into contact_search (rowid, words) select id, email || ' ' || name_folded from contacts`)
  file.prepare(`insert into settings values ('contact_search_up_to', ?)`).run(String(contacts))
  file.exec('commit')
  file.close()
}

/** How many contacts still wait for their score. */
export function waitingForScore(dataDir: string): number {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  try {
    return (file.prepare('select count(*) as count from contacts_to_score').get() as { count: number }).count
  } finally {
    file.close()
  }
}
