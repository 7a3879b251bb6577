// `npm run stand-in -- emailoctopus`: a made-up account at a made-up EmailOctopus on this machine, to try Throughline
// with. It answers as EmailOctopus' API does, delivers signed webhooks to the address it is given, and its readers go on
// reading.
import { parseArgs } from 'node:util'
import { seededRandom } from '../support/buttondown-world.js'
import { startEmailOctopus } from '../support/emailoctopus.js'
import {
  EmailOctopusWorld,
  type WorldCampaign,
  type WorldContact,
  type WorldField,
  type WorldList,
} from '../support/emailoctopus-world.js'

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '4020' },
    contacts: { type: 'string', default: '5000' },
    /** Answer as fast as the vendor does: ten requests a second. */
    limit: { type: 'boolean', default: false },
    /** Where deliveries go. */
    webhook: { type: 'string' },
    secret: { type: 'string', default: 'stand-in-secret-0001' },
  },
})

const [hour, day] = [3_600_000, 86_400_000]
const weeks = 104
const random = seededRandom(40)
const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]!

const firstNames = [
  'Inés',
  'Tomasz',
  'Hanne',
  'Wren',
  'Ada',
  'Mateo',
  'Noor',
  'Elif',
  'Jonas',
  'Priya',
  'Sorcha',
  'Luca',
]
const lastNames = [
  'Carrasco',
  'Wierzba',
  'Vestergaard',
  'Alderton',
  'Okonkwo',
  'Silvestri',
  'Haddad',
  'Yıldız',
]
const domains = ['fernmail.example', 'posteo.example', 'lente.example', 'littlewren.example']

const name: WorldField = { label: 'First name', tag: 'FirstName', type: 'text', fallback: 'friend' }

interface Partner {
  fromName: string
  fromEmail: string
  site: string
  list: { name: string; doubleOptIn: boolean; fields: WorldField[]; tags: string[] }
  /** Of all contacts. */
  share: number
  /** Added to what readers are fond of. */
  appeal: number
  sendsAt: { weekday: number; hour: number }
  topics: string[]
}
const partners: Partner[] = [
  {
    fromName: 'Saltmarsh Bindery',
    fromEmail: 'letters@saltmarsh-bindery.example',
    site: 'https://saltmarsh-bindery.example',
    list: {
      name: 'Saltmarsh Bindery: notebooks',
      doubleOptIn: true,
      fields: [
        name,
        {
          label: 'Favourite paper',
          tag: 'Paper',
          type: 'choice_single',
          choices: ['laid', 'wove', 'dotted'],
        },
      ],
      tags: ['customer', 'wholesale', 'fair 2025'],
    },
    share: 0.56,
    appeal: 0.08,
    sendsAt: { weekday: 2, hour: 8 },
    topics: ['a new notebook', 'the autumn paper', 'how we sew', 'the bench sale', 'linen and thread'],
  },
  {
    fromName: 'Quiet Desk',
    fromEmail: 'hello@quietdesk.example',
    site: 'https://quietdesk.example',
    list: {
      name: 'Quiet Desk: the weekly',
      doubleOptIn: false,
      fields: [
        name,
        { label: 'Topics', tag: 'Topics', type: 'choice_multiple', choices: ['lamps', 'chairs', 'focus'] },
        { label: 'Desks at home', tag: 'Desks', type: 'number' },
      ],
      tags: ['trial', 'customer'],
    },
    share: 0.34,
    appeal: -0.06,
    sendsAt: { weekday: 4, hour: 15 },
    topics: [
      'one lamp less',
      'a chair that stays',
      'the tidy drawer',
      'a desk of oak',
      'an hour without a screen',
    ],
  },
]
const both: Partner['list'] = {
  name: 'Both partners: the fair',
  doubleOptIn: true,
  fields: [name, { label: 'Visits on', tag: 'VisitsOn', type: 'date' }],
  tags: ['speaker', 'visitor'],
}

const now = Date.now()
const start = now - weeks * 7 * day
const world = new EmailOctopusWorld({ seed: 40 })
/** From 0 to 1, by contact: how much of what comes is opened. */
const fondness = new Map<WorldContact, number>()
let number = 0

function addReader(list: WorldList, at: number) {
  const [first, last] = [pick(firstNames), pick(lastNames)]
  const plain = `${first}.${last}`.normalize('NFD').replace(/[^\w.]/g, '')
  const fields: WorldContact['fields'] = random() < 0.8 ? { FirstName: first } : {}
  for (const { tag, type, choices = [] } of list.fields) {
    if (tag === 'FirstName' || random() < 0.4) continue
    if (type === 'choice_single') fields[tag] = pick(choices)
    else if (type === 'choice_multiple') fields[tag] = choices.filter(() => random() < 0.5)
    else if (type === 'number') fields[tag] = 1 + Math.floor(random() * 3)
    else if (type === 'date')
      fields[tag] = new Date(now + Math.floor(random() * 5) * day).toISOString().slice(0, 10)
  }
  const contact = world.addContact(list, {
    email: `${plain}${++number}@${pick(domains)}`.toLowerCase(),
    at,
    status: list.doubleOptIn && random() < 0.03 ? 'pending' : 'subscribed',
    tags: list.tags.filter(() => random() < 0.15),
    fields,
  })
  fondness.set(contact, random() ** 1.4)
  return contact
}

/** The page of a mailing, with its links and the merge tag that people leave by. */
function page(subject: string, { fromName, site }: Partner, links: string[]) {
  return `<!doctype html>
<html><head><meta charset="utf-8"><title>${subject}</title></head>
<body style="margin:0;background:#f6f3ee;font-family:Georgia,serif">
<table role="presentation" width="100%"><tr><td align="center"><table role="presentation" width="600" style="background:#fff;padding:32px">
<tr><td><h1 style="font-size:26px">${subject}</h1>
<p>Dear {{FirstName}},</p>
<p>this week we were at the bench early. Here is what came of it, and what you can have of it.</p>
${links.map((url, index) => `<p><a href="${url}">${['See what is new', 'Read the whole story', 'Ask us something'][index]}</a></p>`).join('\n')}
<p>Yours, ${fromName}</p>
<p style="font-size:12px"><a href="${site}/legal">Legal notice</a> · <a href="{{UnsubscribeURL}}">Leave this list</a></p>
</td></tr></table></td></tr></table></body></html>`
}

function addIssue(partner: Partner, lists: WorldList[], issue: number, at: number, status: 'sent' | 'draft') {
  const topic = pick(partner.topics)
  const subject = `${topic[0]!.toUpperCase()}${topic.slice(1)}`
  const tracking = `utm_source=newsletter&utm_medium=email&utm_campaign=issue-${issue}`
  const links = ['new', `stories/${issue}`, 'contact'].map((path) => `${partner.site}/${path}?${tracking}`)
  return world.addCampaign({
    subject: `${subject} (no. ${issue})`,
    name: `${partner.fromName} ${issue}`,
    lists,
    status,
    at: at - 20 * hour,
    sentAt: status === 'sent' ? at : null,
    fromName: partner.fromName,
    fromEmail: partner.fromEmail,
    links,
    html: page(subject, partner, links),
  })
}

/** What the readers of one mailing did until now. Half of those who read do so within hours, the others over days. */
function beRead(campaign: WorldCampaign, appeal: number) {
  const sentAt = campaign.sentAt!
  const links = [...campaign.links.keys()]
  const mood = appeal + (random() - 0.5) * 0.16
  for (const contact of campaign.recipients) {
    const luck = random()
    if (luck < 0.0012) world.bounce(campaign, contact, { at: sentAt + 5 * 60_000 })
    else if (luck < 0.005) world.bounce(campaign, contact, { kind: 'soft', at: sentAt + 5 * 60_000 })
    if (luck < 0.005 || random() > fondness.get(contact)! + mood) continue
    const at = Math.floor(sentAt + 120_000 + random() ** 4 * 6 * day)
    const tell = (after: number, happen: (when: { at: number }) => void) => {
      if (at + after < now) happen({ at: at + after })
    }
    tell(0, (when) => world.open(campaign, contact, when))
    if (random() < 0.3) tell(Math.floor(random() * 2 * day), (when) => world.open(campaign, contact, when))
    if (random() < 0.13) {
      const url = links[Math.floor(random() ** 2 * links.length)]
      tell(40_000, (when) => world.click(campaign, contact, { ...when, url }))
      if (random() < 0.2) tell(900_000, (when) => world.click(campaign, contact, { ...when, url }))
    }
    if (random() < 0.003) tell(90_000, (when) => world.unsubscribe(campaign, contact, when))
    else if (random() < 0.0002) tell(90_000, (when) => world.complain(campaign, contact, when))
  }
}

world.silently(() => {
  const lists = [...partners.map(({ list }) => list), both].map((list) =>
    world.addList({ at: start, ...list }),
  )
  const fair = lists[2]!
  // Everybody who ever joined, by the moment of it; they grow into the lists while the mailings go out.
  const joining = Array.from({ length: Number(options.contacts) }, () => {
    const turn = random()
    const list = turn < partners[0]!.share ? lists[0]! : turn < 0.9 ? lists[1]! : fair
    return { list, at: Math.floor(start + random() ** 1.3 * weeks * 7 * day) }
  }).sort((one, other) => one.at - other.at)
  // A third was there from the beginning.
  for (const join of joining.slice(0, joining.length / 3)) join.at = start - 30 * day

  const sendings = partners.flatMap((partner, index) =>
    Array.from({ length: weeks }, (_, week) => {
      const monday = start + week * 7 * day
      const { weekday, hour: at } = partner.sendsAt
      const sentAt = new Date(monday - (((new Date(monday).getUTCDay() + 6) % 7) - (weekday - 1)) * day)
      return { partner, list: lists[index]!, issue: week + 1, at: sentAt.setUTCHours(at, 0, 0, 0) }
    }),
  )
  for (let quarter = 1; quarter < 8; quarter++)
    sendings.push({
      partner: partners[quarter % 2]!,
      list: fair,
      issue: 900 + quarter,
      at: start + quarter * 91 * day,
    })
  let next = 0
  for (const { partner, list, issue, at } of sendings.sort((one, other) => one.at - other.at)) {
    if (at > now) continue
    for (; next < joining.length && joining[next]!.at < at; next++)
      addReader(joining[next]!.list, joining[next]!.at)
    beRead(addIssue(partner, [list], issue, at, 'sent'), partner.appeal)
  }
  for (; next < joining.length; next++) addReader(joining[next]!.list, joining[next]!.at)
  for (const [index, partner] of partners.entries())
    addIssue(partner, [lists[index]!], weeks + 1, now - 2 * hour, 'draft')
})

const standIn = await startEmailOctopus({
  port: Number(options.port),
  world,
  weather: { limit: options.limit ? { capacity: 100, perSecond: 10 } : null },
})
if (options.webhook) standIn.addWebhook({ url: options.webhook, secret: options.secret })

console.log(`A made-up account with ${world.campaigns.size} campaigns of two partners, ${world.lists.size} lists and ${world.contacts.size} contacts.

In a second terminal:

  EMAILOCTOPUS_API_URL=${standIn.url} EMAILOCTOPUS_API_KEY=${standIn.key} \\
  EMAILOCTOPUS_REQUESTS_PER_SECOND=${options.limit ? 10 : 0} EMAILOCTOPUS_WEBHOOK_SECRET=${options.secret} npm start

${
  options.webhook
    ? `Somebody reads something every few seconds, which is told to ${options.webhook}.`
    : `Somebody reads something every few seconds. To have it told, start with

  npm run stand-in -- emailoctopus --webhook http://127.0.0.1:3000/webhooks/emailoctopus`
}

Ctrl-C ends it.`)

const recent = [...world.campaigns.values()]
  .filter(({ sentAt }) => sentAt !== null)
  .sort((one, other) => other.sentAt! - one.sentAt!)
  .slice(0, 2)
const news = setInterval(() => {
  const campaign = pick(recent)
  const contact = pick(campaign.recipients)
  const luck = random()
  if (luck < 0.1) addReader(contact.list, Date.now())
  else {
    world.open(campaign, contact)
    if (luck > 0.7) world.click(campaign, contact, { url: pick([...campaign.links.keys()]) })
    if (luck > 0.98) world.unsubscribe(campaign, contact)
  }
  standIn.deliverNews().catch((error) => console.error(String(error)))
}, 3_000)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    clearInterval(news)
    void standIn.close().then(() => process.exit(0))
  })
