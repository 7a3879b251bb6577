import { type Kysely, sql } from 'kysely'

/**
 * An erasure ends subscriptions, and until now left no change that says so: sizes of lists, which are told from now
 * backwards, lacked whoever was erased on every day of the past.
 */
export async function up(db: Kysely<unknown>) {
  await sql`
    insert into subscription_changes (list_id, contact_id, changed_at, exact, status)
    select list_id, contact_id, max(erased_at, last_at + 1), 1, 'removed'
    from (
      select s.list_id, s.contact_id, c.erased_at, h.status,
        h.changed_at as last_at, row_number() over (partition by h.list_id, h.contact_id order by h.changed_at desc, h.id desc) as place
      from contacts c
      join subscriptions s on s.contact_id = c.id and s.status = 'removed'
      join subscription_changes h on h.list_id = s.list_id and h.contact_id = s.contact_id
      where c.erased_at is not null
    )
    where place = 1 and status <> 'removed'
    on conflict do nothing`.execute(db)
}
