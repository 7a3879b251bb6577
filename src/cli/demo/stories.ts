/** One send of a newsletter: so many days ago, at an hour (UTC), to the readers of the campaign's domains. */
export interface Send {
  daysAgo: number
  hour: number
  /** The share of the readers who click. */
  clicks: number
}

/** What the demo tells of one campaign. */
export interface Story {
  name: string
  offer: string
  /** Offers before the present one: since how many days ago each held. */
  offersBefore?: { daysAgo: number; url: string }[]
  madeDaysAgo: number
  archivedDaysAgo?: number
  domains: string[]
  sends: Send[]
  /** Of those who click, how many go on to the offer; of those, how many buy. */
  lands: number
  buys: number
  /** Clicks a day that no send explains: welcome mails, forwarded letters. */
  steady: number
  needsKey?: boolean
  /** A domain whose landing page has stopped reporting, and when. */
  silent?: { domain: string; daysAgo: number }
}

export interface Publisher {
  domain: string
  readers: number
}

/** Who sends: each domain with its own readers, many of whom read others too. */
export const publishers: Publisher[] = [
  { domain: 'news.paperboat.example', readers: 5200 },
  { domain: 'letters.slowmornings.example', readers: 3900 },
  { domain: 'weekly.hearthandhaul.example', readers: 3400 },
  { domain: 'post.bindery.example', readers: 2100 },
  { domain: 'mail.theledger.example', readers: 4400 },
  // bücherbrief.example
  { domain: 'xn--bcherbrief-9db.example', readers: 2600 },
  { domain: 'tickets.studioday.example', readers: 1700 },
  { domain: 'club.kunsthaus-nord.example', readers: 1500 },
  { domain: 'hello.parlo.example', readers: 1900 },
  { domain: 'out.lowtide-audio.example', readers: 1600 },
]

const weekly = (from: number, to: number, hour: number, clicks: number): Send[] => {
  const sends: Send[] = []
  for (let daysAgo = from, turn = 0; daysAgo >= to; daysAgo -= 7, turn++)
    sends.push({ daysAgo, hour, clicks: clicks * [1, 0.8, 0.92, 0.7][turn % 4]! })
  return sends
}

export const stories: Story[] = [
  {
    name: 'Type specimen, reprint',
    offer: 'https://letterform.example/specimen',
    madeDaysAgo: 119,
    archivedDaysAgo: 62,
    domains: ['post.bindery.example', 'news.paperboat.example'],
    sends: weekly(118, 76, 9, 0.12),
    lands: 0.55,
    buys: 0.05,
    steady: 2,
  },
  {
    name: 'Museum membership',
    offer: 'https://kunsthaus-nord.example/join?from=letter',
    madeDaysAgo: 117,
    archivedDaysAgo: 40,
    domains: ['club.kunsthaus-nord.example', 'mail.theledger.example'],
    sends: weekly(116, 60, 8, 0.11),
    lands: 0.6,
    buys: 0.08,
    steady: 3,
  },
  {
    name: 'Summer print sale',
    offer: 'https://paperboat.example/sale',
    madeDaysAgo: 115,
    archivedDaysAgo: 80,
    domains: ['news.paperboat.example', 'letters.slowmornings.example', 'weekly.hearthandhaul.example'],
    sends: weekly(114, 93, 7, 0.14),
    lands: 0.66,
    buys: 0.07,
    steady: 4,
  },
  {
    name: 'Back to school bundle',
    offer: 'https://bindery.example/school',
    madeDaysAgo: 98,
    archivedDaysAgo: 55,
    domains: ['post.bindery.example', 'weekly.hearthandhaul.example'],
    sends: weekly(97, 69, 6, 0.12),
    lands: 0.58,
    buys: 0.06,
    steady: 2,
  },
  {
    name: 'Open studio weekend',
    offer: 'https://studioday.example/open',
    madeDaysAgo: 92,
    archivedDaysAgo: 48,
    domains: ['tickets.studioday.example'],
    sends: weekly(91, 63, 16, 0.2),
    lands: 0.7,
    buys: 0.11,
    steady: 1,
  },
  {
    name: 'Language course, summer places',
    offer: 'https://parlo.example/summer',
    madeDaysAgo: 110,
    domains: ['hello.parlo.example', 'mail.theledger.example'],
    sends: weekly(108, 10, 17, 0.05),
    lands: 0.5,
    buys: 0.045,
    steady: 6,
  },
  {
    name: 'Coffee subscription, three months',
    offer: 'https://slowmornings.example/three-months?plan=b',
    offersBefore: [
      { daysAgo: 95, url: 'https://slowmornings.example/subscribe' },
      { daysAgo: 60, url: 'https://slowmornings.example/three-months' },
    ],
    madeDaysAgo: 95,
    domains: ['letters.slowmornings.example', 'weekly.hearthandhaul.example', 'xn--bcherbrief-9db.example'],
    sends: weekly(94, 3, 5, 0.085),
    lands: 0.62,
    buys: 0.075,
    steady: 14,
  },
  {
    name: 'Field recorder giveaway',
    offer: 'https://lowtide-audio.example/win',
    madeDaysAgo: 81,
    domains: ['out.lowtide-audio.example', 'tickets.studioday.example'],
    sends: weekly(80, 3, 15, 0.17),
    lands: 0.72,
    buys: 0,
    steady: 12,
  },
  {
    name: 'Bindery notebooks',
    offer: 'https://bindery.example/notebooks',
    madeDaysAgo: 67,
    domains: ['post.bindery.example', 'news.paperboat.example', 'xn--bcherbrief-9db.example'],
    sends: weekly(66, 3, 8, 0.07),
    lands: 0.44,
    buys: 0.05,
    steady: 10,
    silent: { domain: 'xn--bcherbrief-9db.example', daysAgo: 6 },
  },
  {
    name: 'The Ledger, yearly plan',
    offer: 'https://theledger.example/yearly?coupon=winter',
    offersBefore: [{ daysAgo: 59, url: 'https://theledger.example/yearly' }],
    madeDaysAgo: 59,
    domains: ['mail.theledger.example', 'news.paperboat.example', 'letters.slowmornings.example'],
    sends: weekly(58, 2, 6, 0.1),
    lands: 0.64,
    buys: 0.085,
    steady: 20,
  },
  {
    name: 'Studio day, Lisbon',
    offer: 'https://tickets.studioday.example/lisbon',
    madeDaysAgo: 32,
    domains: ['tickets.studioday.example', 'club.kunsthaus-nord.example', 'hello.parlo.example'],
    sends: weekly(31, 3, 16, 0.2),
    lands: 0.69,
    buys: 0.09,
    steady: 16,
  },
  {
    name: 'Autumn Reading List',
    offer: 'https://paperboat.example/autumn',
    offersBefore: [{ daysAgo: 25, url: 'https://paperboat.example/autumn-preview' }],
    madeDaysAgo: 25,
    domains: [
      'news.paperboat.example',
      'xn--bcherbrief-9db.example',
      'letters.slowmornings.example',
      'mail.theledger.example',
      'post.bindery.example',
    ],
    sends: [
      { daysAgo: 24, hour: 6, clicks: 0.2 },
      { daysAgo: 19, hour: 7, clicks: 0.14 },
      { daysAgo: 12, hour: 6, clicks: 0.17 },
      { daysAgo: 5, hour: 7, clicks: 0.12 },
      { daysAgo: 1, hour: 6, clicks: 0.1 },
    ],
    lands: 0.67,
    buys: 0.085,
    steady: 45,
  },
  {
    name: 'Parlo, evening classes',
    offer: 'https://parlo.example/evening',
    madeDaysAgo: 18,
    domains: ['hello.parlo.example', 'club.kunsthaus-nord.example'],
    sends: weekly(17, 3, 17, 0.15),
    lands: 0.57,
    buys: 0.06,
    steady: 9,
    needsKey: true,
  },
  {
    name: 'Advent box: early birds',
    offer: 'https://adventbox.example/early',
    madeDaysAgo: 10,
    domains: ['weekly.hearthandhaul.example', 'letters.slowmornings.example', 'news.paperboat.example'],
    sends: [
      { daysAgo: 9, hour: 5, clicks: 0.18 },
      { daysAgo: 4, hour: 6, clicks: 0.12 },
      { daysAgo: 1, hour: 16, clicks: 0.08 },
    ],
    lands: 0.71,
    buys: 0.08,
    steady: 30,
  },
  {
    name: 'Winter Warmers, second wave',
    offer: 'https://shop.hearthandhaul.example/winter',
    madeDaysAgo: 5,
    domains: ['weekly.hearthandhaul.example', 'out.lowtide-audio.example'],
    sends: [
      { daysAgo: 4, hour: 7, clicks: 0.14 },
      { daysAgo: 1, hour: 6, clicks: 0.11 },
    ],
    lands: 0.68,
    buys: 0.09,
    steady: 25,
  },
  {
    name: 'New year planner',
    offer: 'https://bindery.example/planner',
    madeDaysAgo: 0,
    domains: [],
    sends: [],
    lands: 0,
    buys: 0,
    steady: 0,
  },
]
