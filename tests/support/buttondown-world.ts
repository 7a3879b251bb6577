// A small newsletter at Buttondown, held in memory: what the stand-in server answers from and delivers about.

/** The event types that Buttondown's REST API knows. Others exist in webhooks alone. */
export const storedTypes = [
  'bounced',
  'clicked',
  'complained',
  'delivered',
  'opened',
  'rejected',
  'replied',
  'unsubscribed',
] as const
export type StoredType = (typeof storedTypes)[number]

export interface WorldSubscriber {
  id: string
  at: number
  number: number
  email: string
  type: string
  source: string
  tags: string[]
  metadata: Record<string, unknown>
  notes: string
  country: string | null
  ipAddress: string | null
  lastOpenAt: number | null
  lastClickAt: number | null
  delivered: number
  opened: number
  clicked: number
  unsubscribedAt: number | null
  unsubscriptionReason: string | null
  bouncedAt: number | null
  bounceReason: string | null
  undeliverableAt: number | null
  undeliverabilityReason: string | null
  transitions: { at: number; type: string }[]
  emailTransitions: { at: number; from: string; to: string }[]
}

export interface WorldEmail {
  id: string
  at: number
  number: number
  subject: string
  body: string
  status: string
  source: string
  modifiedAt: number
  publishedAt: number | null
  counts: Counts
  /** What the analytics say instead of what was counted. */
  told: Record<string, number>
}

interface Counts {
  deliveries: number
  openers: Set<string>
  clickers: Set<string>
  bounced: Map<string, number>
  rejected: Map<string, number>
  unsubscriptions: number
  complaints: number
  replies: number
}

export interface WorldEvent {
  id: string
  at: number
  type: StoredType
  subscriber: string | null
  email: string | null
  metadata: Record<string, string>
  /** The row as JSON, by spelling; it never changes, and a hundred thousand of them are asked for. */
  json: Map<string, string>
}

export interface WorldTag {
  id: string
  at: number
  number: number
  name: string
  color: string
  description: string | null
}

/** Something that a webhook tells. For the stored types its id is that of the event. */
export interface Happening {
  id: string
  at: number
  type: string
  subscriber: string | null
  email: string | null
  metadata: Record<string, string>
}

/** Rows in the order of their creation; equal instants keep the order in which they came. */
export class Series<Row extends { at: number }> {
  #rows: Row[] = []
  #sorted = true

  add(row: Row) {
    const last = this.#rows.at(-1)
    if (last && last.at > row.at) this.#sorted = false
    this.#rows.push(row)
  }

  remove(row: Row) {
    this.#rows = this.#rows.filter((other) => other !== row)
  }

  get rows(): readonly Row[] {
    if (!this.#sorted) this.#rows.sort((one, other) => one.at - other.at)
    this.#sorted = true
    return this.#rows
  }
}

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
export function seededRandom(seed: number) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

type Id = string | { id: string }
const idOf = (thing: Id) => (typeof thing === 'string' ? thing : thing.id)

export class ButtondownWorld {
  readonly newsletter: { id: string; name: string; username: string; testMode: boolean; features: string[] }
  readonly subscribers = new Series<WorldSubscriber>()
  readonly emails = new Series<WorldEmail>()
  readonly tags = new Series<WorldTag>()
  readonly events = new Series<WorldEvent>()
  /** Everything that a webhook would tell, in the order in which it was made to happen. */
  readonly happenings: Happening[] = []
  readonly #subscribers = new Map<string, WorldSubscriber>()
  readonly #emails = new Map<string, WorldEmail>()
  readonly #events = new Map<string, WorldEvent>()
  readonly #eventsOf = new Map<string, Series<WorldEvent>>()
  readonly #now: () => number
  readonly #random: () => number
  #number = 0

  constructor({ now = Date.now, seed = 1 }: { now?: () => number; seed?: number } = {}) {
    this.#now = now
    this.#random = seededRandom(seed)
    this.newsletter = {
      id: this.newId(),
      name: 'The Long Line',
      username: 'long-line',
      testMode: false,
      features: ['tracking', 'webhooks'],
    }
  }

  /** A version 4 UUID, the same in each run. */
  newId() {
    const word = () => Math.floor(this.#random() * 2 ** 32)
    const hex = [word(), word(), word(), word()].map((part) => part.toString(16).padStart(8, '0')).join('')
    const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
  }

  /** Unactivated ones wait for their own yes (see `confirm`); the others are confirmed at once. */
  addSubscriber({
    email,
    type = 'regular',
    at = this.#now(),
    ...rest
  }: { email: string; type?: string; at?: number } & Partial<
    Pick<
      WorldSubscriber,
      | 'id'
      | 'source'
      | 'tags'
      | 'metadata'
      | 'notes'
      | 'country'
      | 'ipAddress'
      | 'transitions'
      | 'unsubscribedAt'
    >
  >): WorldSubscriber {
    const subscriber: WorldSubscriber = {
      id: this.newId(),
      at,
      number: ++this.#number,
      email,
      type,
      source: 'embedded_form',
      tags: [],
      metadata: {},
      notes: '',
      country: null,
      ipAddress: null,
      lastOpenAt: null,
      lastClickAt: null,
      delivered: 0,
      opened: 0,
      clicked: 0,
      unsubscribedAt: null,
      unsubscriptionReason: null,
      bouncedAt: null,
      bounceReason: null,
      undeliverableAt: null,
      undeliverabilityReason: null,
      transitions: [{ at, type }],
      emailTransitions: [],
      ...rest,
    }
    this.subscribers.add(subscriber)
    this.#subscribers.set(subscriber.id, subscriber)
    this.happen('subscriber.created', { subscriber, at })
    if (type === 'regular') this.happen('subscriber.confirmed', { subscriber, at })
    return subscriber
  }

  confirm(subscriber: Id, { at = this.#now() } = {}) {
    this.#turn(this.subscriber(subscriber)!, 'regular', at)
    return this.happen('subscriber.confirmed', { subscriber, at })
  }

  update(
    subscriber: Id,
    change: { metadata?: Record<string, unknown>; notes?: string },
    { at = this.#now() } = {},
  ) {
    Object.assign(this.subscriber(subscriber)!, change)
    return this.happen('subscriber.updated', { subscriber, at })
  }

  setTags(subscriber: Id, tags: string[], { at = this.#now() } = {}) {
    this.subscriber(subscriber)!.tags = [...tags]
    return this.happen('subscriber.tags.changed', { subscriber, at })
  }

  changeEmail(subscriber: Id, email: string, { at = this.#now() } = {}) {
    const row = this.subscriber(subscriber)!
    row.emailTransitions.push({ at, from: row.email, to: email })
    row.email = email
    return this.happen('subscriber.changed_email', { subscriber, at })
  }

  /** @param email the mailing in which the link to leave was followed, if it was one */
  unsubscribe(
    subscriber: Id,
    { at = this.#now(), email = null, reason = '' }: { at?: number; email?: Id | null; reason?: string } = {},
  ) {
    const row = this.subscriber(subscriber)!
    row.unsubscribedAt = at
    row.unsubscriptionReason = reason
    return this.addEvent({ type: 'unsubscribed', subscriber, email, at })
  }

  deleteSubscriber(subscriber: Id, { at = this.#now() } = {}) {
    const row = this.subscriber(subscriber)!
    this.subscribers.remove(row)
    this.#subscribers.delete(row.id)
    return this.happen('subscriber.deleted', { subscriber: row, at })
  }

  /** A sent email unless told; a draft is sent by `send`. */
  addEmail({
    subject,
    status = 'sent',
    at = this.#now(),
    publishedAt = status === 'sent' ? at : null,
    ...rest
  }: { subject: string; status?: string; at?: number; publishedAt?: number | null } & Partial<
    Pick<WorldEmail, 'id' | 'body' | 'source'>
  >): WorldEmail {
    const email: WorldEmail = {
      id: this.newId(),
      at,
      number: ++this.#number,
      subject,
      body: `# ${subject}`,
      status,
      source: 'app',
      modifiedAt: at,
      publishedAt,
      counts: {
        deliveries: 0,
        openers: new Set(),
        clickers: new Set(),
        bounced: new Map(),
        rejected: new Map(),
        unsubscriptions: 0,
        complaints: 0,
        replies: 0,
      },
      told: {},
      ...rest,
    }
    this.emails.add(email)
    this.#emails.set(email.id, email)
    this.happen('email.created', { email, at })
    if (status === 'sent') this.happen('email.sent', { email, at })
    return email
  }

  send(email: Id, { at = this.#now() } = {}) {
    const row = this.email(email)!
    const before = row.status
    row.status = 'sent'
    row.publishedAt = at
    row.modifiedAt = at
    this.happen('email.status.changed', { email, at, metadata: { old_value: before, new_value: 'sent' } })
    return this.happen('email.sent', { email, at })
  }

  /** What Buttondown's own counts say of an email, in place of what happened here. */
  tell(email: Id, counts: Record<string, number>) {
    Object.assign(this.email(email)!.told, counts)
  }

  addTag({
    name,
    at = this.#now(),
    ...rest
  }: { name: string; at?: number } & Partial<Pick<WorldTag, 'id' | 'color' | 'description'>>): WorldTag {
    const tag: WorldTag = {
      id: this.newId(),
      at,
      number: ++this.#number,
      name,
      color: '#0069FF',
      description: null,
      ...rest,
    }
    this.tags.add(tag)
    return tag
  }

  /** Something that happened to a mailing at a subscriber's. The answer is what a webhook tells of it. */
  addEvent({
    type,
    subscriber,
    email = null,
    at = this.#now(),
    metadata = {},
    id = this.newId(),
  }: {
    type: StoredType
    subscriber: Id | null
    email?: Id | null
    at?: number
    metadata?: Record<string, string>
    id?: string
  }): Happening {
    const event: WorldEvent = {
      id,
      at,
      type,
      subscriber: subscriber === null ? null : idOf(subscriber),
      email: email === null ? null : idOf(email),
      metadata,
      json: new Map(),
    }
    this.events.add(event)
    this.#events.set(id, event)
    for (const key of [`type ${type}`, `subscriber ${event.subscriber}`, `email ${event.email}`]) {
      const series = this.#eventsOf.get(key) ?? new Series<WorldEvent>()
      this.#eventsOf.set(key, series)
      series.add(event)
    }
    this.#count(event)
    return this.happen(`subscriber.${type}`, { id, subscriber, email, at, metadata })
  }

  /** Something that only webhooks tell, such as `subscriber.deferred` or `email.updated`. */
  happen(
    type: string,
    {
      subscriber = null,
      email = null,
      at = this.#now(),
      metadata = {},
      id = this.newId(),
    }: {
      subscriber?: Id | null
      email?: Id | null
      at?: number
      metadata?: Record<string, string>
      id?: string
    } = {},
  ): Happening {
    const happening = {
      id,
      at,
      type,
      subscriber: subscriber === null ? null : idOf(subscriber),
      email: email === null ? null : idOf(email),
      metadata,
    }
    this.happenings.push(happening)
    return happening
  }

  subscriber(subscriber: Id) {
    return this.#subscribers.get(idOf(subscriber))
  }

  subscriberByAddress(address: string) {
    return this.subscribers.rows.find(({ email }) => email.toLowerCase() === address.toLowerCase())
  }

  email(email: Id) {
    return this.#emails.get(idOf(email))
  }

  event(id: string) {
    return this.#events.get(id)
  }

  /** Events that fit all that is given, oldest first. */
  listEvents({ type, subscriber, email }: { type?: string; subscriber?: string; email?: string }) {
    const keys = [
      ...(email === undefined ? [] : [`email ${email}`]),
      ...(subscriber === undefined ? [] : [`subscriber ${subscriber}`]),
      ...(type === undefined ? [] : [`type ${type}`]),
    ]
    if (keys.length === 0) return this.events.rows
    const rows = this.#eventsOf.get(keys[0]!)?.rows ?? []
    if (keys.length === 1) return rows
    return rows.filter(
      (event) =>
        (type === undefined || event.type === type) &&
        (subscriber === undefined || event.subscriber === subscriber) &&
        (email === undefined || event.email === email),
    )
  }

  #turn(subscriber: WorldSubscriber, type: string, at: number) {
    subscriber.type = type
    subscriber.transitions.push({ at, type })
  }

  #count({ type, subscriber, email, at, metadata }: WorldEvent) {
    const counts = email === null ? undefined : this.#emails.get(email)?.counts
    const row = subscriber === null ? undefined : this.#subscribers.get(subscriber)
    const code = metadata.code ?? 'other'
    if (type === 'delivered') {
      if (counts) counts.deliveries++
      if (row) row.delivered++
    } else if (type === 'opened') {
      if (subscriber) counts?.openers.add(subscriber)
      if (row) row.opened++
      if (row) row.lastOpenAt = Math.max(row.lastOpenAt ?? 0, at)
    } else if (type === 'clicked') {
      if (subscriber) counts?.clickers.add(subscriber)
      if (row) row.clicked++
      if (row) row.lastClickAt = Math.max(row.lastClickAt ?? 0, at)
    } else if (type === 'bounced') {
      counts?.bounced.set(code, (counts.bounced.get(code) ?? 0) + 1)
      if (row) Object.assign(row, { bouncedAt: at, bounceReason: code })
    } else if (type === 'rejected') {
      counts?.rejected.set(code, (counts.rejected.get(code) ?? 0) + 1)
      if (row && (code === 'hard_bounce' || code === 'does_not_exist')) {
        Object.assign(row, { undeliverableAt: at, undeliverabilityReason: code })
        this.#turn(row, 'undeliverable', at)
      }
    } else if (type === 'unsubscribed') {
      if (counts) counts.unsubscriptions++
      if (row) row.unsubscribedAt = at
      if (row) this.#turn(row, 'unsubscribed', at)
    } else if (type === 'complained') {
      if (counts) counts.complaints++
      if (row) this.#turn(row, 'complained', at)
    } else if (counts) counts.replies++
  }
}
