import type { Db } from '../../database/open.js'
import { drawLogo, gable, paperBoat } from './logos.js'
import { newsletter } from './newsletter.js'
import type { Story } from './stories.js'

const day = 86_400_000

/** Whom the demo sends for. Projects name their campaigns; mailings are those of the newsletter, by age. */
const partners = [
  {
    name: 'Paperboat',
    colour: '#b23a1d',
    emails: ['reports@paperboat.example', 'mina@paperboat.example'],
    address: 'Paperboat Press\nQuay 7\n20457 Hamburg',
    drawing: paperBoat,
    madeDaysAgo: 118,
    projects: [
      {
        name: 'Summer sale',
        madeDaysAgo: 116,
        campaigns: ['Summer print sale'],
        mailings: { from: 114, to: 93 },
        hasList: false,
      },
      {
        name: 'Autumn reading',
        madeDaysAgo: 26,
        campaigns: ['Autumn Reading List'],
        mailings: { from: 25, to: 0 },
        hasList: true,
      },
    ],
  },
  {
    name: 'Kunsthaus Nord',
    // Too pale for paper: reports darken it.
    colour: '#f2b705',
    emails: ['presse@kunsthaus-nord.example'],
    address: 'Kunsthaus Nord\nAm Speicher 2\n24103 Kiel',
    drawing: gable,
    madeDaysAgo: 117,
    projects: [
      {
        name: 'Friends of the house',
        madeDaysAgo: 117,
        campaigns: ['Museum membership', 'Studio day, Lisbon'],
        mailings: { from: 0, to: 0 },
        hasList: false,
      },
    ],
  },
]

interface Needs {
  db: Db
  /** Who made the partners. */
  account: number
  now: number
  stories: Story[]
  /** Ids of the campaigns, in the order of the stories. */
  campaigns: number[]
}

/** Writes two partners with logos and colours, their projects, and what belongs to those. */
export async function recordPartners({ db, account, now, stories, campaigns }: Needs) {
  await db.transaction().execute(async (tx) => {
    for (const { projects, drawing, madeDaysAgo, emails, ...partner } of partners) {
      const { id } = await tx
        .insertInto('partners')
        .values({
          ...partner,
          emails: emails.join('\n'),
          logo: drawLogo(drawing, partner.colour),
          logo_type: 'image/png',
          created_at: now - madeDaysAgo * day,
          created_by: account,
        })
        .returning('id')
        .executeTakeFirstOrThrow()
      for (const project of projects) {
        const made_at = now - project.madeDaysAgo * day
        const { id: project_id } = await tx
          .insertInto('projects')
          .values({ partner_id: id, name: project.name, created_at: made_at, created_by: account })
          .returning('id')
          .executeTakeFirstOrThrow()
        const things = await thingsOf(tx, project, { now, stories, campaigns })
        await tx
          .insertInto('project_ties')
          .values(
            things.map(({ since, ...thing }) => ({
              ...thing,
              project_id,
              tied_at: Math.max(since, made_at),
            })),
          )
          .execute()
      }
    }
  })
}

async function thingsOf(
  tx: Db,
  project: (typeof partners)[number]['projects'][number],
  { now, stories, campaigns }: Pick<Needs, 'now' | 'stories' | 'campaigns'>,
) {
  const named = project.campaigns.map((name) => {
    const story = stories.findIndex((one) => one.name === name)
    return { kind: 'campaign', thing_id: campaigns[story]!, since: now - stories[story]!.madeDaysAgo * day }
  })
  const { from, to } = project.mailings
  const mailings = await tx
    .selectFrom('mailings')
    .select(['id', 'sent_at'])
    .where('sent_at', '>=', now - from * day)
    .where('sent_at', '<', now - to * day)
    .execute()
  const lists = project.hasList
    ? await tx.selectFrom('lists').select(['id', 'created_at']).where('name', '=', newsletter.name).execute()
    : []
  return [
    ...named,
    ...mailings.map(({ id, sent_at }) => ({ kind: 'mailing', thing_id: id, since: sent_at! })),
    ...lists.map(({ id, created_at }) => ({ kind: 'list', thing_id: id, since: created_at })),
  ]
}
