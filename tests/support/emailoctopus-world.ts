import { createHash } from 'node:crypto'
import { seededRandom } from './buttondown-world.js'

// An account at EmailOctopus, held in memory: what the stand-in server answers from and delivers about. Every number of a
// report is counted from what happened here.

export type WorldStatus = 'pending' | 'subscribed' | 'unsubscribed'
export type WorldFieldValue = string | number | string[]

export interface WorldField {
  label: string
  tag: string
  type: 'text' | 'number' | 'date' | 'choice_single' | 'choice_multiple'
  choices?: string[]
  fallback?: string | null
}

export interface WorldList {
  id: string
  at: number
  updatedAt: number
  name: string
  doubleOptIn: boolean
  fields: WorldField[]
  tags: string[]
  counts: Record<WorldStatus, number>
  contacts: WorldContact[]
  /** Goes up with every change of the list or of one of its contacts. */
  version: number
}

export interface WorldContact {
  id: string
  at: number
  updatedAt: number
  list: WorldList
  email: string
  fields: Record<string, WorldFieldValue>
  tags: string[]
  status: WorldStatus
  deleted: boolean
}

/** Things of one kind that happened in a campaign, in the order in which they were made to happen. */
export class Facts {
  readonly who: WorldContact[] = []
  readonly at: number[] = []
  readonly people = new Set<WorldContact>()

  add(contact: WorldContact, at: number) {
    this.who.push(contact)
    this.at.push(at)
    this.people.add(contact)
  }

  get total() {
    return this.who.length
  }
}

export interface WorldCampaign {
  id: string
  at: number
  status: 'draft' | 'sending' | 'sent' | 'error'
  name: string
  subject: string
  listIds: string[]
  fromName: string
  fromEmail: string
  html: string
  sentAt: number | null
  /** Each got it 20 milliseconds after the one before. */
  recipients: readonly WorldContact[]
  opened: Facts
  clicked: Facts
  hardBounced: Facts
  softBounced: Facts
  complained: Facts
  unsubscribed: Facts
  links: Map<string, Facts>
  /** What the summary says instead of what was counted. */
  told: Partial<WorldSummary>
  /** What it is asked for of its reports is answered with a 422, as where tracking is off. */
  refusesReports: boolean
  /** Goes up with everything that happens. */
  version: number
}

export interface WorldSummary {
  sent: number
  bounced: { hard: number; soft: number }
  opened: { total: number; unique: number }
  clicked: { total: number; unique: number }
  complained: number
  unsubscribed: number
}

export type HappeningType =
  | 'contact.created'
  | 'contact.updated'
  | 'contact.deleted'
  | 'contact.unsubscribed'
  | 'contact.bounced'
  | 'contact.complained'
  | 'contact.opened'
  | 'contact.clicked'

/** Something that a webhook tells, as it was at that moment. */
export interface Happening {
  id: string
  at: number
  type: HappeningType
  listId: string
  contactId: string
  email: string
  campaignId: string | null
  /** What events about the contact itself tell of it; statuses in upper case. */
  contact: { fields: Record<string, WorldFieldValue>; tags: string[]; status: string } | null
}

export class EmailOctopusWorld {
  readonly lists = new Map<string, WorldList>()
  readonly campaigns = new Map<string, WorldCampaign>()
  readonly contacts = new Map<string, WorldContact>()
  /** Ids that exist, but in another account: 403. */
  readonly foreign = new Set<string>()
  /** Everything that a webhook would tell, in the order in which it was made to happen. */
  readonly happenings: Happening[] = []
  readonly #now: () => number
  readonly #random: () => number
  #silent = false
  #byMd5: Map<string, WorldContact> | null = null

  constructor({ now = Date.now, seed = 1 }: { now?: () => number; seed?: number } = {}) {
    this.#now = now
    this.#random = seededRandom(seed)
  }

  /** A UUID, the same in each run. */
  newId() {
    const word = () =>
      Math.floor(this.#random() * 2 ** 32)
        .toString(16)
        .padStart(8, '0')
    const [one, two, three, four] = [word(), word(), word(), word()] as [string, string, string, string]
    return `${one}-${two.slice(0, 4)}-11ef-8${two.slice(5)}-${three}${four.slice(0, 4)}`
  }

  /** Lets things happen that no webhook tells, and that have no ids: a past of millions would only fill the memory. */
  silently<Result>(run: () => Result) {
    const before = this.#silent
    this.#silent = true
    try {
      return run()
    } finally {
      this.#silent = before
    }
  }

  addList({
    name,
    at = this.#now(),
    ...rest
  }: { name: string; at?: number } & Partial<
    Pick<WorldList, 'id' | 'doubleOptIn' | 'fields' | 'tags'>
  >): WorldList {
    const list: WorldList = {
      id: this.newId(),
      at,
      updatedAt: at,
      name,
      doubleOptIn: false,
      fields: [],
      tags: [],
      counts: { pending: 0, subscribed: 0, unsubscribed: 0 },
      contacts: [],
      version: 0,
      ...rest,
    }
    this.lists.set(list.id, list)
    return list
  }

  /** Its contacts and its name are gone at once; campaigns that went to it stay. */
  deleteList(list: WorldList) {
    for (const contact of list.contacts) {
      contact.deleted = true
      this.contacts.delete(contact.id)
    }
    this.lists.delete(list.id)
    this.#byMd5 = null
  }

  addContact(
    list: WorldList,
    {
      email,
      at = this.#now(),
      status = 'subscribed',
      ...rest
    }: { email: string; at?: number; status?: WorldStatus } & Partial<
      Pick<WorldContact, 'id' | 'fields' | 'tags' | 'updatedAt'>
    >,
  ): WorldContact {
    const contact: WorldContact = {
      id: this.newId(),
      at,
      updatedAt: at,
      list,
      email,
      fields: {},
      tags: [],
      status,
      deleted: false,
      ...rest,
    }
    list.contacts.push(contact)
    list.counts[status]++
    list.version++
    this.contacts.set(contact.id, contact)
    this.#byMd5 = null
    this.#tellOfContact('contact.created', contact, at)
    return contact
  }

  updateContact(
    contact: WorldContact,
    change: Partial<Pick<WorldContact, 'email' | 'fields' | 'tags' | 'status'>>,
    { at = this.#now() } = {},
  ) {
    if (change.status) this.#turn(contact, change.status, at)
    Object.assign(contact, change)
    contact.updatedAt = at
    contact.list.version++
    this.#byMd5 = null
    return this.#tellOfContact('contact.updated', contact, at)
  }

  /** Reports name a deleted contact by its id alone. */
  deleteContact(contact: WorldContact, { at = this.#now() } = {}) {
    const told = this.#tellOfContact('contact.deleted', contact, at)
    const { list } = contact
    contact.deleted = true
    list.contacts.splice(list.contacts.indexOf(contact), 1)
    list.counts[contact.status]--
    list.version++
    this.contacts.delete(contact.id)
    this.#byMd5 = null
    return told
  }

  /**
   * A sent campaign unless told.
   * @param recipients every subscribed contact of the lists unless told; the array is not copied
   */
  addCampaign({
    subject,
    lists = [],
    status = 'sent',
    at = this.#now(),
    sentAt = status === 'sent' || status === 'sending' ? at : null,
    recipients = sentAt === null ? [] : subscribedOf(lists),
    links = [],
    ...rest
  }: {
    subject: string
    lists?: WorldList[]
    status?: WorldCampaign['status']
    at?: number
    sentAt?: number | null
    recipients?: readonly WorldContact[]
    /** Addresses in it that can be clicked; others join when they are. */
    links?: string[]
  } & Partial<Pick<WorldCampaign, 'id' | 'name' | 'fromName' | 'fromEmail' | 'html'>>): WorldCampaign {
    const campaign: WorldCampaign = {
      id: this.newId(),
      at,
      status,
      name: `${subject} (internal)`,
      subject,
      listIds: lists.map(({ id }) => id),
      fromName: 'Ada',
      fromEmail: 'ada@example.com',
      html: `<html><body><h1>${subject}</h1>${links.map((url) => `<a href="${url}">${url}</a>`).join('')}<a href="{{UnsubscribeURL}}">Leave</a></body></html>`,
      sentAt,
      recipients,
      opened: new Facts(),
      clicked: new Facts(),
      hardBounced: new Facts(),
      softBounced: new Facts(),
      complained: new Facts(),
      unsubscribed: new Facts(),
      links: new Map(links.map((url) => [url, new Facts()])),
      told: {},
      refusesReports: false,
      version: 0,
      ...rest,
    }
    this.campaigns.set(campaign.id, campaign)
    return campaign
  }

  /** Sends a draft. */
  send(campaign: WorldCampaign, { at = this.#now(), status = 'sent' as 'sent' | 'sending' } = {}) {
    campaign.status = status
    campaign.sentAt = at
    campaign.recipients = subscribedOf(campaign.listIds.flatMap((id) => this.lists.get(id) ?? []))
    campaign.version++
  }

  open(campaign: WorldCampaign, contact: WorldContact, { at = this.#now() } = {}) {
    return this.#happen('contact.opened', campaign.opened, campaign, contact, at)
  }

  click(
    campaign: WorldCampaign,
    contact: WorldContact,
    { at = this.#now(), url = 'https://example.com/post' } = {},
  ) {
    const link = campaign.links.get(url) ?? new Facts()
    campaign.links.set(url, link)
    link.add(contact, at)
    return this.#happen('contact.clicked', campaign.clicked, campaign, contact, at)
  }

  /** A hard bounce makes the contact unsubscribed, as operators have measured; a soft one leaves it. */
  bounce(
    campaign: WorldCampaign,
    contact: WorldContact,
    { at = this.#now(), kind = 'hard' as 'hard' | 'soft' } = {},
  ) {
    if (kind === 'hard') this.#turn(contact, 'unsubscribed', at)
    const facts = kind === 'hard' ? campaign.hardBounced : campaign.softBounced
    return this.#happen('contact.bounced', facts, campaign, contact, at)
  }

  complain(campaign: WorldCampaign, contact: WorldContact, { at = this.#now() } = {}) {
    this.#turn(contact, 'unsubscribed', at)
    return this.#happen('contact.complained', campaign.complained, campaign, contact, at)
  }

  /** @param campaign null for somebody who left without one */
  unsubscribe(campaign: WorldCampaign | null, contact: WorldContact, { at = this.#now() } = {}) {
    this.#turn(contact, 'unsubscribed', at)
    return this.#happen('contact.unsubscribed', campaign?.unsubscribed ?? null, campaign, contact, at)
  }

  /** What EmailOctopus' own counts say of a campaign, in place of what happened here. */
  tell(campaign: WorldCampaign, summary: Partial<WorldSummary>) {
    Object.assign(campaign.told, summary)
    campaign.version++
  }

  /** A free account keeps reports for 30 days: after that there is nothing left in them. */
  forgetReports(campaign: WorldCampaign) {
    for (const kind of [
      'opened',
      'clicked',
      'hardBounced',
      'softBounced',
      'complained',
      'unsubscribed',
    ] as const)
      campaign[kind] = new Facts()
    campaign.recipients = []
    campaign.links.clear()
    campaign.version++
  }

  summary(campaign: WorldCampaign): WorldSummary {
    const both = (facts: Facts) => ({ total: facts.total, unique: facts.people.size })
    return {
      sent: campaign.recipients.length,
      bounced: { hard: campaign.hardBounced.people.size, soft: campaign.softBounced.people.size },
      opened: both(campaign.opened),
      clicked: both(campaign.clicked),
      complained: campaign.complained.people.size,
      unsubscribed: campaign.unsubscribed.people.size,
      ...campaign.told,
    }
  }

  /** @param idOrMd5 the id, or the MD5 of the address in lower case */
  contact(list: WorldList, idOrMd5: string) {
    const contact = this.contacts.get(idOrMd5) ?? this.#md5s().get(`${list.id} ${idOrMd5.toLowerCase()}`)
    return contact?.list === list ? contact : undefined
  }

  #md5s() {
    this.#byMd5 ??= new Map(
      [...this.contacts.values()].map((contact) => {
        const md5 = createHash('md5').update(contact.email.toLowerCase()).digest('hex')
        return [`${contact.list.id} ${md5}`, contact]
      }),
    )
    return this.#byMd5
  }

  #turn(contact: WorldContact, status: WorldStatus, at: number) {
    if (!contact.deleted) {
      contact.list.counts[contact.status]--
      contact.list.counts[status]++
    }
    contact.status = status
    contact.updatedAt = at
    contact.list.version++
  }

  #happen(
    type: HappeningType,
    facts: Facts | null,
    campaign: WorldCampaign | null,
    contact: WorldContact,
    at: number,
  ) {
    facts?.add(contact, at)
    if (campaign) campaign.version++
    return this.#tell({
      at,
      type,
      listId: contact.list.id,
      contactId: contact.id,
      email: contact.email,
      campaignId: campaign?.id ?? null,
      contact: null,
    })
  }

  #tellOfContact(type: HappeningType, contact: WorldContact, at: number) {
    return this.#tell({
      at,
      type,
      listId: contact.list.id,
      contactId: contact.id,
      email: contact.email,
      campaignId: null,
      contact: { fields: contact.fields, tags: contact.tags, status: contact.status.toUpperCase() },
    })
  }

  #tell(told: Omit<Happening, 'id'>): Happening {
    if (this.#silent) return { id: '', ...told }
    const happening = { id: this.newId(), ...told }
    this.happenings.push(happening)
    return happening
  }
}

function subscribedOf(lists: WorldList[]) {
  return lists.flatMap(({ contacts }) => contacts.filter(({ status }) => status === 'subscribed'))
}
