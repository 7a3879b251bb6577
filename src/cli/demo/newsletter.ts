/** The newsletter of the demo: what it is called, what it wrote about, and how its readers are sorted. */
export const newsletter = {
  name: 'Slow Mornings',
  /** The publisher of the stories whose readers it shares. */
  domain: 'letters.slowmornings.example',
  archive: 'https://letters.slowmornings.example/archive/',
  /** No reader sees this link. */
  canary: 'https://letters.slowmornings.example/quiet-corner',
}

export interface Issue {
  daysAgo: number
  /** UTC. */
  hour: number
  name: string
  /** How much there was to click and to read, around 1. */
  draw: number
  /** The first is clicked most. */
  links: string[]
}

const site = 'https://slowmornings.example'
const elsewhere = [
  'https://kunsthaus-nord.example/exhibitions/light',
  'https://theledger.example/essays/what-a-morning-costs',
  'https://paperboat.example/print/kettle',
  'https://lowtide-audio.example/field-notes/harbour-at-five',
  'https://bindery.example/notebooks/plain',
  'https://parlo.example/words/gemuetlich',
]

/** Oldest first. The topic is the path of the story on the newsletter's own site. */
const letters: [name: string, topic: string, draw: number][] = [
  ['We moved house: hello from the new kitchen', 'hello', 1.25],
  ['The case for a smaller cup', 'smaller-cup', 0.9],
  ['Water, mostly', 'water', 0.85],
  ['A grinder older than you', 'old-grinder', 1.1],
  ['Forty minutes before the inbox', 'before-the-inbox', 1.05],
  ['What the baker knows at four', 'baker-at-four', 0.95],
  ['Salt in the coffee? We tried it', 'salt', 1.3],
  ['Postcards from your windowsills', 'windowsills', 1.15],
  ['On not optimising breakfast', 'breakfast', 0.9],
  ['Two recipes for a wet Sunday', 'wet-sunday', 1.2],
  ['The quiet carriage', 'quiet-carriage', 0.8],
  ['How we buy beans, with the bill', 'the-bill', 1.1],
  ['Decaf, an apology', 'decaf', 1.05],
  ['A month without a scale', 'without-a-scale', 0.9],
  ['The radio stays in the kitchen', 'radio', 0.85],
  ['Cold brew for people in a hurry', 'cold-brew', 1.2],
  ['Half-time: what you read most', 'half-time', 1],
  ['Letters to the person upstairs', 'upstairs', 0.8],
  ['The moka pot, once and for all', 'moka', 1.35],
  ['Summer hours', 'summer-hours', 0.7],
  ['A field guide to café chairs', 'chairs', 1.1],
  ['Milk, oats and other arguments', 'milk', 1.15],
  ['Walks that end at a counter', 'walks', 1.05],
  ['The thermos diaries', 'thermos', 0.85],
  ['Who grew this: Doña Elvira’s plot', 'who-grew-this', 1],
  ['Nine mugs we keep for guests', 'nine-mugs', 1.2],
  ['The first dark morning', 'first-dark-morning', 0.95],
  ['Porridge, defended', 'porridge', 1.1],
  ['A shop that opens when it opens', 'opens-when-it-opens', 0.9],
  ['Your questions about filters', 'filters', 1.15],
  ['The good chair by the stove', 'good-chair', 1],
]
const afterwards: [daysAgo: number, name: string, topic: string, draw: number][] = [
  [1, 'A short extra: the advent box is here', 'advent-box', 1.1],
]

const issue = (daysAgo: number, hour: number, name: string, topic: string, draw: number, turn: number) => ({
  daysAgo,
  hour,
  name,
  draw,
  links: [
    `${site}/stories/${topic}`,
    elsewhere[turn % elsewhere.length]!,
    `${site}/beans?utm_source=newsletter&utm_campaign=${topic}`,
    elsewhere[(turn + 3) % elsewhere.length]!,
    `${site}/brew-along`,
  ],
})

/** A letter a week, on the days on which the tracker's stories have it sent too, and one extra; oldest first. */
export const issues: Issue[] = [
  ...letters.map(([name, topic, draw], turn) =>
    issue(3 + 7 * (letters.length - 1 - turn), 5, name, topic, draw, turn),
  ),
  ...afterwards.map(([daysAgo, name, topic, draw], turn) => issue(daysAgo, 16, name, topic, draw, turn)),
]
/** The instant at which an issue goes out. */
export const sentAt = ({ daysAgo, hour }: Issue, now: number) => {
  const midnight = Math.floor(now / 86_400_000 - daysAgo) * 86_400_000
  return midnight + hour * 3_600_000 + ((daysAgo * 7) % 17) * 60_000
}
/** Written, and not sent. */
export const unsent = [
  { name: 'Pancakes for one', status: 'draft' },
  { name: 'The year in crumbs', status: 'scheduled' },
]

/** Tags, by who keeps them. */
export const tags = {
  theirs: [
    { name: 'coffee-club', description: 'Pays for the monthly bag of beans.' },
    { name: 'founding-reader', description: 'Came along from the old address in the first week.' },
    { name: 'brew-along', description: 'Joined one of the Sunday brew-alongs.' },
    { name: 'lisbon', description: 'Wants to hear about evenings in Lisbon.' },
    { name: 'survey-2026', description: 'Answered the summer survey.' },
  ],
  ours: [
    { name: 'worth a call', description: 'Would talk for ten minutes, if asked nicely.' },
    { name: 'wholesale', description: 'Buys for a café or an office.' },
    { name: 'press', description: 'Writes elsewhere. Gets the letter a day early.' },
    { name: 'testers', description: 'Tries new beans before they are sold.' },
    { name: 'gift givers', description: 'Ordered something for somebody else last winter.' },
  ],
} as const
export type TagName = (typeof tags)['theirs' | 'ours'][number]['name']

/** A list that came in as a CSV file: desks of papers. */
export const press = {
  list: 'Press',
  importedDaysAgo: 47,
  desks: ['desk', 'kultur', 'food', 'redaktion', 'weekend'],
  papers: ['abendpost', 'stadtblatt', 'the-lamplighter', 'le-petit-matin', 'o-farol', 'de-dageraad'],
}

/** Filters worth keeping, in the spelling of the address bar. */
export const segments = [
  { name: 'Champions, here this month', query: 'band=champion&active=30' },
  { name: 'Coffee club, gone quiet', query: 'tag=coffee-club&quiet=45' },
  { name: 'Founding readers still with us', query: 'tag=founding-reader&status=subscribed' },
  { name: 'Never confirmed', query: 'status=unconfirmed' },
  { name: 'Testers and press', query: 'tag=testers&tag=press&tags=any' },
  { name: 'Warm, not in the club', query: 'not=coffee-club&status=subscribed&score=35&active=30' },
]

/** What one writes down about readers; each goes to somebody who reads a lot. */
export const notes = [
  'Met at a brew-along. Roasts at home, asked for the sheet with the curves.',
  'Runs a small café with her sister. Would take 4 kg a month from January on.',
  'Wrote about us in the Tuesday supplement. Prefers mail to telephone.',
  'Sent the windowsill picture we printed. Ask before using it again.',
  'Left-handed, hence the question about the kettle. Answered.',
]
