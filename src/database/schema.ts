import type { Generated, Insertable, Selectable } from 'kysely'

/** An instant: whole milliseconds since 1970 in UTC. */
type Instant = number
/** A day in the reporting time zone, `YYYY-MM-DD`. */
type Day = string
type YesNo = 0 | 1

/** Every table of the database. migrations/ is what makes it so; README.md explains it to people. */
export interface Tables {
  settings: { name: string; value: string }
  salts: { purpose: string; month: string; salt: Uint8Array }

  accounts: {
    id: Generated<number>
    username: string
    full_name: string
    email: string
    password_hash: string
    active: YesNo
    created_at: Instant
    created_by: number | null
    last_login_at: Instant | null
  }
  sessions: {
    /** SHA-256 of the session's id: a stolen copy of the database opens no session. */
    id_hash: string
    account_id: number | null
    data: string
    created_at: Instant
    seen_at: Instant
    expires_at: Instant
    address: string
    user_agent: string
  }
  login_failures: { id: Generated<number>; key_hash: string; failed_at: Instant }
  api_tokens: {
    id: Generated<number>
    name: string
    token_hash: string
    /** The last four characters, so that people can tell their tokens apart. */
    ending: string
    created_at: Instant
    created_by: number | null
    last_used_at: Instant | null
    revoked_at: Instant | null
  }

  contacts: { id: Generated<number>; email: string; created_at: Instant }
  sending_domains: { id: Generated<number>; name: string; created_at: Instant }
  user_agents: { id: Generated<number>; text: string; device: string | null; machine: YesNo }

  campaigns: {
    id: Generated<number>
    name: string
    offer_url: string
    write_key: string
    needs_key: YesNo
    archived_at: Instant | null
    /** Gone for everybody; its facts are being removed bit by bit. */
    deleted_at: Instant | null
    created_at: Instant
    created_by: number | null
  }
  campaign_offers: { campaign_id: number; since_at: Instant; offer_url: string }

  events: {
    id: Generated<number>
    campaign_id: number
    contact_id: number
    domain_id: number
    /** 1 email_click, 2 landing_click, 3 conversion */
    kind: number
    happened_at: Instant
    /** The caller's own id of the event (`eid`). */
    caller_id: string | null
    link: string | null
    /** As the privacy setting says: raw, a keyed hash, or nothing. */
    address: string | null
    user_agent_id: number | null
    country: string | null
    device: string | null
    extra: string | null
    /** 0 person, 1 suspected, 2 machine */
    verdict: number
    /** Bits, see src/campaigns/verdict.ts. */
    reasons: number
  }

  /** One person on one sending domain in one campaign; a count, derived from events. Its id is its first event's. */
  journeys: EventCounts & {
    id: number
    campaign_id: number
    contact_id: number
    domain_id: number
    orphans: number
    first_email_click_at: Instant | null
    first_landing_click_at: Instant | null
    first_conversion_at: Instant | null
    last_at: Instant | null
    machine_last_at: Instant | null
  }
  campaign_counts: EventCounts &
    PeopleCounts & { campaign_id: number; orphans: number; last_at: Instant | null }
  domain_counts: EventCounts & {
    campaign_id: number
    domain_id: number
    first_at: Instant | null
    last_at: Instant | null
  }
  /** How many journeys have which shape: bit 1 clicked, 2 landed, 4 converted. */
  journey_counts: {
    campaign_id: number
    domain_id: number
    /** 0: only events that count; 1: machines included. */
    machines: YesNo
    shape: number
    journeys: number
  }
  campaign_hours: EventCounts & { campaign_id: number; hour_at: Instant }
  campaign_days: EventCounts & { campaign_id: number; day_on: Day }
}

/** Events that count (by a person, or merely suspected), and beside them those of machines. */
export interface EventCounts {
  email_clicks: number
  landing_clicks: number
  conversions: number
  machine_email_clicks: number
  machine_landing_clicks: number
  machine_conversions: number
}

/** Unique people: by events that count, and (all_) with machines included. */
export interface PeopleCounts {
  people_email_clicks: number
  people_landing_clicks: number
  people_conversions: number
  all_people_email_clicks: number
  all_people_landing_clicks: number
  all_people_conversions: number
}

export type Row<Name extends keyof Tables> = Selectable<Tables[Name]>
export type NewRow<Name extends keyof Tables> = Insertable<Tables[Name]>
