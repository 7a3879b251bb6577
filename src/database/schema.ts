import type { Generated, Insertable, Selectable } from 'kysely'

/** An instant: whole milliseconds since 1970 in UTC. */
type Instant = number
/** A day in the reporting time zone, `YYYY-MM-DD`. */
type Day = string
export type YesNo = 0 | 1

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

  /** The second factor of an account, which holds once it is confirmed. */
  two_factors: {
    account_id: number
    /** Base32, sealed under the installation's secret. */
    secret: string
    begun_at: Instant
    confirmed_at: Instant | null
    /** The time step of the last code that was taken: no code is taken twice. */
    last_step: Generated<number>
  }
  /** By their hashes; each works once. */
  recovery_codes: {
    id: Generated<number>
    account_id: number
    code_hash: string
    used_at: Instant | null
  }
  /** Append-only: who logged in, exported, erased, deleted, and changed what holds. */
  audit_log: {
    id: Generated<number>
    happened_at: Instant
    account_id: number | null
    /** The account's name at that time, or what else did it. */
    actor: Generated<string>
    address: Generated<string>
    action: string
    /** What it was done to; never an e-mail address. */
    subject: Generated<string>
    outcome: 'begun' | 'done' | 'refused'
  }
  /** Trouble that the operator is told of, once, and again when it is over. */
  alert_states: {
    name: string
    since_at: Instant
    sentence: string
    told_at: Instant | null
    /** When it was found to be over, as long as that is not told. */
    cleared_at: Instant | null
    /** A JSON array of the recipients that have what is to be told now: nobody is told twice for another's sake. */
    told_to: Generated<string>
    attempts: Generated<number>
    /** Why it could not be told. */
    failure: Generated<string>
  }
  /** Faults of ours, one row for each that is told apart. */
  error_groups: {
    fingerprint: string
    message: string
    route: string
    times: number
    first_at: Instant
    last_at: Instant
  }
  /** Their email clicks that count, by place; empty text where it is not known. */
  sealed_places: { campaign_id: number; country: string; device: string; clicks: number }
  /** How large the database and its log were, once a day. */
  database_sizes: { day_on: Day; bytes: number; log_bytes: number }

  /** A person. What stands after `subscribed_at` is derived; who was erased has `erased:<id>` for an address. */
  contacts: Defaulted<EngagementCounts> & {
    id: Generated<number>
    email: string
    created_at: Instant
    name: Generated<string>
    /** The name in lower case, to search by. */
    name_folded: Generated<string>
    /** 1: it was given here, and no provider changes it. */
    name_is_ours: Generated<YesNo>
    notes: Generated<string>
    /** Who told of this person first: `tracker`, a provider, `csv`. */
    source: Generated<string>
    erased_at: Instant | null
    /** The best of the person's subscriptions, see src/audience/subscriptions.ts. */
    status: string | null
    /** The first subscription of all. */
    subscribed_at: Instant | null
    /** How many were delivered. */
    mailings: Generated<number>
    /** The last thing this person did, machines and proxies left out. */
    last_active_at: Instant | null
    /** The last thing a machine or a proxy did in their name. */
    machine_last_active_at: Instant | null
    /** 0 to 100, see src/audience/score.ts; null as long as no mailing was delivered. */
    score: number | null
    /** The same thirty days earlier; null when there was none, or fewer than five mailings. */
    score_before: number | null
    band: string | null
  }
  /** Addresses that a person had before. */
  contact_aliases: { email: string; contact_id: number }
  /** What a provider calls a person; ids in their canonical spelling. */
  contact_identities: {
    provider: string
    provider_id: string
    contact_id: number
    seen_at: Generated<Instant>
    /** When the provider was first found to know nobody of this id any more. */
    gone_at: Instant | null
    /** Where a provider's ids belong to one list each: that list. */
    list_id: number | null
    /** The address that the provider last told for this id. */
    email: string | null
  }
  /** Keyed hashes of addresses and identities whose person was erased: their facts go on counting, for nobody. */
  erasures: { hash: string; contact_id: number; erased_at: Instant }
  /** Contacts whose address or name has changed since the search index took them in. */
  contacts_to_index: { contact_id: number }
  /** Contacts that did something since they were scored. */
  contacts_to_score: { contact_id: number }

  lists: {
    id: Generated<number>
    provider: string
    provider_id: string
    name: string
    created_at: Instant
    double_opt_in: YesNo | null
    /** The provider's own counts of its contacts. */
    pending: number | null
    subscribed: number | null
    unsubscribed: number | null
    /** When it was made at the provider, and last changed there. */
    made_at: Instant | null
    updated_at: Instant | null
    /** As of when the changes of its contacts have been read, and when all of them were read last. */
    walked_at: Instant | null
    fully_walked_at: Instant | null
    /** When the provider was first found to know it no more. */
    gone_at: Instant | null
  }
  list_fields: {
    list_id: number
    /** What merge tags call it. */
    tag: string
    label: string
    type: string
    /** A JSON array of texts. */
    choices: Generated<string>
    fallback: string | null
    position: number
  }
  list_tags: { list_id: number; name: string }
  /** Append-only: the provider's counts of a list whenever one of them had changed. */
  list_snapshots: {
    id: Generated<number>
    list_id: number
    taken_at: Instant
    pending: number | null
    subscribed: number | null
    unsubscribed: number | null
  }
  subscriptions: {
    id: Generated<number>
    list_id: number
    contact_id: number
    /** One of src/audience/subscriptions.ts. */
    status: string
    /** The provider's own word. */
    provider_status: Generated<string>
    source: Generated<string>
    subscribed_at: Instant | null
    unsubscribed_at: Instant | null
    /** As of when this is known: what is older does not overwrite it. */
    seen_at: Generated<Instant>
    /** The values of the list's fields as a JSON object by their tags. */
    fields: string | null
  }
  subscription_changes: {
    id: Generated<number>
    list_id: number
    contact_id: number
    changed_at: Instant
    /** 0: the instant is that of the delivery which told it. */
    exact: Generated<YesNo>
    status: string
  }
  tags: {
    id: Generated<number>
    name: string
    description: Generated<string>
    /** Set for a tag that a provider keeps. */
    provider: string | null
    provider_id: string | null
    created_at: Instant
  }
  /** `origin` is `ours` or a provider: the same tag may come from both, and each takes away only its own. */
  contact_tags: { contact_id: number; tag_id: number; origin: string; added_at: Instant }
  segments: {
    id: Generated<number>
    name: string
    /** The filter as it stands in the address bar, without the question mark. */
    query: string
    created_at: Instant
    created_by: number | null
  }
  /** Words that were had: [Done] on the page "Worth a word". */
  contact_words: {
    contact_id: number
    reason: string
    done_at: Instant
    done_by: number | null
    /** The last engagement that the word was about; null where only the instant tells. */
    seen_id: Generated<number | null>
  }

  mailings: {
    id: Generated<number>
    provider: string
    provider_id: string
    /** Where it went to one list: that one, under which its engagements are counted. */
    list_id: number | null
    /** What it is called here: the provider's name for it, else the subject; empty as long as only its id is known. */
    name: Generated<string>
    subject: Generated<string>
    from_name: Generated<string>
    from_address: Generated<string>
    status: Generated<string>
    sent_at: Instant | null
    url: Generated<string>
    seen_at: Generated<Instant>
    created_at: Instant
    /** When it was made at the provider. */
    made_at: Instant | null
    /** Who asked for the sync that saw it last. */
    synced_by: Generated<string>
    /** The tracker's campaign that follows its readers further; none where that is gone. */
    campaign_id: number | null
  }
  /** All lists that a mailing went to. */
  mailing_lists: { mailing_id: number; list_id: number }
  /** The provider's own numbers as they stand. */
  mailing_reports: ReportNumbers & { mailing_id: number; checked_at: Instant }
  /** Append-only: the provider's numbers whenever one of them had changed. `is_lower`: one of them went down. */
  mailing_snapshots: ReportNumbers & {
    id: Generated<number>
    mailing_id: number
    taken_at: Instant
    is_lower: Generated<YesNo>
  }
  /** The provider's own numbers of each link. */
  mailing_link_reports: {
    mailing_id: number
    url: string
    clicks: number
    unique_clicks: number
    checked_at: Instant
  }
  /**
   * What a counter said when the report of contacts behind it was read: it is read again when that has moved. Under
   * `summary`, when the numbers themselves were refused last.
   */
  contact_report_walks: { mailing_id: number; status: string; counted: number; walked_at: Instant }
  mailing_contents: { mailing_id: number; html: string }

  partners: {
    id: Generated<number>
    name: string
    /** `#rrggbb`, or empty. */
    colour: Generated<string>
    /** E-mail addresses that reports go to, one a line. */
    emails: Generated<string>
    /** As it stands on paper. */
    address: Generated<string>
    logo: Uint8Array | null
    logo_type: string | null
    created_at: Instant
    created_by: number | null
    archived_at: Instant | null
  }
  projects: {
    id: Generated<number>
    partner_id: number
    name: string
    created_at: Instant
    created_by: number | null
    archived_at: Instant | null
  }
  /** What belongs to a project, by kind: `mailing`, `list`, `campaign`, `offer`. A thing belongs to one at the most. */
  project_ties: { kind: string; thing_id: number; project_id: number; tied_at: Instant }

  links: { id: Generated<number>; url: string }
  engagements: {
    id: Generated<number>
    contact_id: number
    /** null as long as nobody knows which. */
    mailing_id: number | null
    /** See src/audience/engagement-kinds.ts. */
    kind: number
    happened_at: Instant
    /** 0: the instant is that of the delivery which told it. */
    exact: YesNo
    provider: string
    /** The provider's id of the event in its canonical spelling; null when it has none. */
    provider_id: string | null
    link_id: number | null
    address: string | null
    user_agent_id: number | null
    os: string | null
    browser: string | null
    country: string | null
    /** What else the provider told, as JSON. */
    metadata: string | null
    /** 0 person, 1 suspected, 2 machine, 3 proxy */
    verdict: number
    /** Bits, see src/audience/engagement-verdict.ts. */
    reasons: number
  }

  /** What one contact did with one mailing (0: nobody knows which); derived from engagements. */
  receptions: EngagementCounts & {
    contact_id: number
    mailing_id: number
    sent_at: Instant | null
    /** A mailing that was opened or clicked was delivered, whether or not anybody said so. */
    delivered_at: Instant | null
    bounced: YesNo
    complained: YesNo
    unsubscribed: YesNo
    first_opened_at: Instant | null
    first_clicked_at: Instant | null
    last_active_at: Instant | null
    machine_last_active_at: Instant | null
  }
  mailing_counts: EngagementCounts & ReceptionCounts & { mailing_id: number; last_at: Instant | null }
  /** `list_id` is that of the mailing, 0 where there is none. */
  engagement_quarters: EngagementCounts & { list_id: number; quarter_at: Instant }
  engagement_days: EngagementCounts & { list_id: number; day_on: Day }
  contact_days: EngagementCounts & { contact_id: number; day_on: Day }
  /** What removed engagements of one contact with one mailing had come to. */
  sealed_receptions: EngagementCounts & {
    contact_id: number
    mailing_id: number
    /** How many there were. */
    engagements: number
    sent_at: Instant | null
    /** The first that told of the arrival itself. */
    delivered_at: Instant | null
    /** The first that cannot have been without an arrival. */
    arrived_at: Instant | null
    first_opened_at: Instant | null
    first_clicked_at: Instant | null
    /** By whomever. */
    last_opened_at: Instant | null
    last_clicked_at: Instant | null
    last_active_at: Instant | null
    machine_last_active_at: Instant | null
    /** What happened up to this instant keeps its verdict: the removed ones, with which it was judged, are missing. */
    settled_until: Instant
  }
  sealed_contact_quarters: EngagementCounts & { contact_id: number; quarter_at: Instant }
  sealed_mailing_quarters: EngagementCounts & { mailing_id: number; quarter_at: Instant }
  /** By the hour since the sending. Opens and clicks of people, and beside them those of machines and mail proxies. */
  sealed_mailing_hours: {
    mailing_id: number
    hour: number
    opens: number
    machine_opens: number
    clicks: number
    machine_clicks: number
  }
  /** `link_id` is 0 where nobody told which. */
  sealed_mailing_links: {
    mailing_id: number
    link_id: number
    clicks: number
    machine_clicks: number
    people: number
    all_people: number
  }
  /** Clicks of people; what nobody knows is empty. */
  sealed_mailing_places: { mailing_id: number; country: string; os: string; clicks: number }
  /**
   * When anybody last did something with a mailing, as far as it is removed; and when it was first opened or clicked,
   * where nobody said when it was sent.
   */
  sealed_mailings: { mailing_id: number; first_at: Instant | null; last_at: Instant | null }
  /** Hashes of removed engagements, by which those that are told again are known. */
  engagement_marks: { mark: Uint8Array }
  /** Contacts that were merged into others, whose numbers are in marks. */
  contact_merges: { from_id: number; into_id: number }
  /** How many people opened, clicked or replied on a day. */
  active_days: { day_on: Day; people: number; all_people: number }
  /** The sums over a tag's contacts. */
  tag_counts: EngagementCounts & { tag_id: number; contacts: number; scored: number; score_sum: number }

  /** What providers delivered, as it came. */
  inbox: {
    id: Generated<number>
    provider: string
    /** What makes a delivery the same one: the event's id in its canonical spelling, else the SHA-256 of the body. */
    key: string
    event_type: string
    received_at: Instant
    /** null once the person it is about was erased. */
    body: Uint8Array | null
    contact_id: number | null
    /** `kept`: of a type we do not read. */
    state: 'waiting' | 'done' | 'kept' | 'failed'
    tries: Generated<number>
    try_at: Instant | null
    /** Why it waits or failed, as a sentence. */
    reason: string | null
    settled_at: Instant | null
  }
  sync_runs: {
    id: Generated<number>
    provider: string
    kind: string
    state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'
    asked_by: Generated<string>
    started_at: Instant
    /** The last sign of life. */
    seen_at: Instant
    ended_at: Instant | null
    /** Where to go on after a crash, as JSON of the provider. */
    checkpoint: Generated<string>
    progress: Generated<string>
    changes: Generated<string>
    error: string | null
  }
  sync_failures: {
    id: Generated<number>
    run_id: number
    provider: string
    what: string
    why: string
    failed_at: Instant
    settled_at: Instant | null
  }

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
  /** What events that were removed come to, as a journey: journeys go on from here. The last three are of no journey. */
  sealed_journeys: EventCounts & {
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
    last_landing_click_at: Instant | null
    last_conversion_at: Instant | null
    machine_last_conversion_at: Instant | null
  }
  /** The same events by quarters of an hour. */
  sealed_events: EventCounts & {
    campaign_id: number
    domain_id: number
    quarter_at: Instant
    first_at: Instant
    last_at: Instant
  }

  /** Offers whose texts are chosen in the same way. */
  promo_groups: {
    id: Generated<number>
    name: string
    /** One of src/promos/strategies.ts. */
    strategy: string
    /** Learning forgets half of what it knows in so many days; null: nothing. */
    half_life_days: number | null
    created_at: Instant
  }
  promo_offers: {
    id: Generated<number>
    group_id: number
    name: string
    /** Such as `affiliate`; empty when nobody said. */
    type: Generated<string>
    slug: string
    destination_url: string
    /** Where the owner's own redirect lives; empty: `/go/<slug>` of this installation. */
    link_url: Generated<string>
    utm_source: Generated<string>
    utm_medium: Generated<string>
    utm_campaign: Generated<string>
    utm_term: Generated<string>
    utm_content: Generated<string>
    base_weight: Generated<number>
    active: Generated<YesNo>
    /** The first and the last day on which it may be chosen; null: no such bound. */
    from_on: Day | null
    until_on: Day | null
    archived_at: Instant | null
    created_at: Instant
    created_by: number | null
    /** Since when its texts take turns, each as often as the others: from here on their turns are counted. */
    rotation_from: Generated<Instant>
  }
  /** Slugs that offers had: links already sent lead on. */
  promo_old_slugs: { slug: string; offer_id: number }
  promo_text_variations: {
    id: Generated<number>
    offer_id: number
    headline: Generated<string>
    text: string
    cta_text: Generated<string>
    tone: Generated<string>
    length_category: Generated<'short' | 'medium' | 'long'>
    approved: Generated<YesNo>
    weight: Generated<number>
    archived_at: Instant | null
    created_at: Instant
    created_by: number | null
  }
  /** One issue of a newsletter, by what its generator calls it (`newsletter_send_id`). */
  promo_sends: {
    id: Generated<number>
    key: string
    mailing_id: number | null
    /** How many got it, as somebody said by hand; a mailing knows better. */
    delivered: number | null
    tied_by: 'provider' | 'hand' | null
    first_at: Instant
  }
  promo_impressions: {
    id: Generated<number>
    offer_id: number
    variation_id: number
    send_id: number | null
    /** How often the text stands in the issue. */
    placements: Generated<number>
    happened_at: Instant
    /** Set when the fact waited in the spool: it is recorded once, however often it is replayed. */
    spool_id: string | null
  }
  promo_clicks: {
    id: Generated<number>
    offer_id: number
    /** null: a redirect that named none of the offer's texts. */
    variation_id: number | null
    /** The issue that showed the text last before the click. */
    send_id: number | null
    happened_at: Instant
    /** A word or a host, never an address of a person or a query. */
    referrer: Generated<string>
    /** SHA-256 under the salt of the month. */
    address: string | null
    user_agent_id: number | null
    device: string | null
    /** 0 person, 1 suspected, 2 machine */
    verdict: number
    repeated: YesNo
    spool_id: string | null
  }
  /** What choices were made by, each once. */
  promo_weightings: { id: Generated<number>; hash: string; weights: string }
  promo_choices: {
    id: Generated<number>
    offer_id: number
    variation_id: number
    newsletter: string
    strategy: string
    seed: number
    /** The text that ran there last, and was left out. */
    excluded_id: number | null
    offers_weighting_id: number
    texts_weighting_id: number
    chosen_at: Instant
    spool_id: string | null
  }
  promo_offer_counts: PromoCounts & {
    offer_id: number
    last_impression_at: Instant | null
    last_click_at: Instant | null
  }
  promo_variation_counts: PromoCounts & {
    variation_id: number
    last_impression_at: Instant | null
    last_click_at: Instant | null
  }
  /** `variation_id` is 0 for clicks of which no text is known. */
  promo_days: PromoCounts & { offer_id: number; variation_id: number; day_on: Day }
  /** By quarters of an hour: there are zones whose hours begin at half or at a quarter past. */
  promo_quarters: PromoCounts & { offer_id: number; quarter_at: Instant }
  promo_devices: PromoCounts & { offer_id: number; device: string }
  promo_send_counts: PromoCounts & { variation_id: number; send_id: number }
  /**
   * What impressions and clicks that were removed come to: every recount starts from here. 0 and empty text stand for no
   * text, no issue and no device.
   */
  sealed_promo_facts: PromoCounts & {
    offer_id: number
    variation_id: number
    send_id: number
    device: string
    quarter_at: Instant
    last_impression_at: Instant | null
    last_click_at: Instant | null
  }
  /** JWTs that were given out, so that each can be revoked. */
  access_tokens: {
    id: string
    account_id: number
    issued_at: Instant
    expires_at: Instant
    revoked_at: Instant | null
  }

  reports: {
    id: Generated<number>
    title: string
    /** One of src/reports/templates.ts. */
    template: string
    partner_id: number | null
    /** JSON, see src/reports/definition.ts. */
    definition: string
    created_at: Instant
    created_by: number | null
    changed_at: Instant
    archived_at: Instant | null
  }
  /** Templates that people made of reports of theirs. */
  report_templates: {
    id: Generated<number>
    name: string
    template: string
    definition: string
    created_at: Instant
    created_by: number | null
  }
  /** Logos as they stood on a report, by their SHA-256. */
  report_pictures: { hash: string; type: string; bytes: Uint8Array }
  /** What a report said at an instant. It is never edited. */
  report_renderings: {
    id: Generated<number>
    report_id: number
    /** 1 is the report's first. */
    number: number
    title: string
    rendered_at: Instant
    made_by: 'hand' | 'schedule'
    account_id: number | null
    picture: string | null
    /** JSON, see src/reports/data.ts. */
    data: string
  }
  /** Whom a rendering names, apart from its data: an erasure takes them out of the archive. */
  report_people: {
    rendering_id: number
    /** Their place in the rendering's table, from 1. */
    place: number
    contact_id: number
    name: string
    email: string
  }
  /** Addresses under which strangers may read a report. */
  report_links: {
    id: Generated<number>
    report_id: number
    /** The one rendering it shows; null: always the newest. */
    rendering_id: number | null
    /** SHA-256 of the token in the address. */
    token_hash: string
    /** The token itself, sealed: its owner may want to copy the address again. */
    token_sealed: string
    /** argon2id; null: no password. */
    password_hash: string | null
    expires_at: Instant
    created_at: Instant
    created_by: number | null
    revoked_at: Instant | null
    views: Generated<number>
    last_viewed_at: Instant | null
  }
  /** When a report is rendered by itself, see src/reports/schedule-rules.ts. */
  report_schedules: {
    id: Generated<number>
    report_id: number
    kind: 'weekly' | 'monthly' | 'after-mailing'
    /** Weekly 1 (Monday) to 7, monthly 1 to 31, else the days after a mailing was sent. */
    day: number
    /** Of the day, on the clock of the reporting time zone. */
    minute: number
    /** E-mail addresses, one a line; empty: the rendering is archived, and that is all. */
    recipients: Generated<string>
    /** Only what is due after it counts: when it was made, changed or taken up again. */
    since_at: Instant
    paused_at: Instant | null
    created_at: Instant
    created_by: number | null
  }
  /** Each time that a schedule was due: noted before anything is done. */
  report_runs: {
    id: Generated<number>
    /** null: the schedule is gone. */
    schedule_id: number | null
    report_id: number
    due_at: Instant
    /** As the schedule said when it was due. */
    recipients: string
    state: 'waiting' | 'rendered' | 'failed'
    tries: Generated<number>
    next_try_at: Instant
    /** As of which instant it was begun to be rendered: by it a rendering is known again after a crash. */
    render_at: Instant | null
    rendering_id: number | null
    ended_at: Instant | null
    failure: Generated<string>
  }
  /** One rendering to one address. `sending` is noted before the letter is handed in. */
  report_deliveries: {
    id: Generated<number>
    report_id: number
    rendering_id: number
    /** null: somebody sent it by hand. */
    run_id: number | null
    recipient: string
    /** `unsure`: the process ended while it was being sent, and nobody knows how far it came. */
    state: 'waiting' | 'sending' | 'sent' | 'failed' | 'unsure'
    tries: Generated<number>
    next_try_at: Instant
    ended_at: Instant | null
    failure: Generated<string>
    created_at: Instant
    created_by: number | null
  }
  /** What is known of a job beside its runs. `next_at` is told for those that are seldom. */
  jobs: {
    name: string
    /** The schedule for which `next_at` holds. */
    schedule: string
    next_at: Instant | null
    /** A failed run is tried again then. */
    retry_at: Instant | null
    /** Failures in a row. */
    failures: Generated<number>
    failing_since: Instant | null
    /** Somebody was told that it goes on failing. */
    alarmed_at: Instant | null
  }
  job_runs: {
    id: Generated<number>
    job: string
    state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted' | 'died'
    /** Empty for the clock. */
    asked_by: Generated<string>
    /** Runs that end alike, of a job that comes every few seconds or minutes, are one row for each hour. */
    runs: Generated<number>
    started_at: Instant
    ended_at: Instant | null
    /** JSON: `{ done, of, words }` */
    progress: Generated<string>
    /** What it did, as a sentence; may be empty. */
    result: Generated<string>
    error: string | null
  }
  job_lines: { run_id: number; number: number; said_at: Instant; line: string }
}

/** `clicks` are by people or merely suspected ones, the first within ten minutes; the others stand beside. */
export interface PromoCounts {
  /** As they were reported: once for each placement. */
  impressions: number
  clicks: number
  repeated_clicks: number
  machine_clicks: number
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

/** Engagements of one contact, mailing, hour, day or tag. `opens` and `clicks` are by people or merely suspected ones. */
export interface EngagementCounts {
  opens: number
  /** By mail privacy proxies. */
  proxy_opens: number
  machine_opens: number
  /** Of `opens`: those of which nothing is known by which they could be judged. */
  unjudged_opens: number
  clicks: number
  machine_clicks: number
  unjudged_clicks: number
  replies: number
}

/** What a provider says of a mailing; null where it does not say. Unique opens and clicks are people, the others events. */
export interface ReportNumbers {
  recipients: number | null
  deliveries: number | null
  opens: number | null
  unique_opens: number | null
  clicks: number | null
  unique_clicks: number | null
  /** Soft bounces. */
  temporary_failures: number | null
  /** Hard bounces. */
  permanent_failures: number | null
  unsubscriptions: number | null
  complaints: number | null
  replies: number | null
}

/** Unique people of one mailing; `all_` with machines and proxies, `unjudged_` those whose every open cannot be judged. */
export interface ReceptionCounts {
  people_sent: number
  people_delivered: number
  people_opened: number
  people_clicked: number
  all_people_opened: number
  all_people_clicked: number
  unjudged_people_opened: number
  unjudged_people_clicked: number
  people_replied: number
  people_bounced: number
  people_complained: number
  people_unsubscribed: number
}

/** Columns with a default may be left out when a row is made. */
type Defaulted<Columns> = { [Name in keyof Columns]: Generated<Columns[Name]> }

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
