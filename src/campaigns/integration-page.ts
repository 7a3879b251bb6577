import { stringify } from 'csv-stringify/sync'
import express, { type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { tell } from '../accounts/sessions.js'
import type { Config } from '../config.js'
import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'
import { formErrors } from '../web/forms.js'
import { renderFragment } from '../web/render.js'
import { hostOf } from './forms.js'
import { LinkForm, type ListLine, linksFor } from './link-list.js'
import { eventSteps, sumOf } from './metrics.js'
import { getCampaign } from './queries.js'
import {
  arrivalSnippet,
  encodeRecipient,
  type Ingredients,
  languageNames,
  languages,
  linkSnippet,
  postbackSnippets,
  recipeLink,
} from './recipes.js'
import type { EventFact, EventReceipt } from './record.js'
import type { Refusals } from './refusals.js'

type Campaign = Row<'campaigns'>

interface Deps {
  db: Db
  record: (fact: EventFact) => Promise<EventReceipt>
  refusals: Refusals
  config: Pick<Config, 'BASE_URL'>
  now: () => number
}

const refusalsShown = 10
const hour = 3_600_000
/** Whom a test event is about. `example.com` belongs to nobody. */
const testAddress = 'test@example.com'
/** Stands in for a landing page as long as none is known. */
const someLandingPage = 'https://example1.com/'

/** What the address bar may say. Nonsense falls back to the default. */
const View = z.object({ in: z.enum(languages).catch('browser') })

/** A pasted list is longer than other forms: some 30,000 addresses. Mount it before other body parsers. */
export const longLists = () => {
  const routes = Router()
  routes.post(
    '/campaign/:id/integration/links',
    express.urlencoded({ extended: false, limit: '1mb', parameterLimit: 20 }),
  )
  return routes
}

/** `/campaign/:id/integration`: how links, landing pages and shops come to report to this campaign. */
export function integrationPages({ db, record, refusals, config, now }: Deps) {
  const routes = Router()
  const baseUrl = config.BASE_URL
  const testDomain = hostOf(new URL(baseUrl).hostname) ?? 'localhost'

  routes.get('/campaign/:id/integration', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    await showPage(req, res, campaign)
  })

  routes.get('/campaign/:id/integration/waiting', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    renderFragment(res, 'campaigns/_waiting', await waiting(req, campaign))
  })

  routes.post('/campaign/:id/integration/test-event', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    await record({
      campaignId: campaign.id,
      kind: 'email_click',
      email: testAddress,
      sub: null,
      domain: testDomain,
      callerId: null,
      link: null,
      address: null,
      userAgent: null,
      extra: { test: '1' },
      happenedAt: now(),
    })
    tell(req, `A test event is recorded: an email click of ${testAddress} on ${testDomain}.`)
    const { in: language } = View.parse(req.body ?? {})
    res.redirect(303, `/campaign/${campaign.id}/integration?in=${language}`)
  })

  routes.post('/campaign/:id/integration/links', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    const form = LinkForm.safeParse(req.body ?? {})
    if (!form.success)
      return showPage(req, res.status(422), campaign, { values: req.body, errors: formErrors(form.error) })
    const lines = linksFor(form.data, campaign.id)
    if ((req.body as { as?: unknown }).as === 'csv') return sendCsv(res, campaign.id, lines)
    await showPage(req, res, campaign, { values: form.data, lines })
  })

  interface Maker {
    values?: unknown
    errors?: Record<string, string>
    lines?: ListLine[]
  }

  async function showPage(
    req: Request,
    res: Response,
    campaign: Campaign,
    { values, errors, lines }: Maker = {},
  ) {
    const { in: language } = View.parse({ ...req.query, ...req.body })
    const typed = (values ?? {}) as Record<string, unknown>
    const text = (name: string) => (typeof typed[name] === 'string' ? typed[name] : '')
    const typedPage = text('landing_url').trim()
    const landingUrl =
      LinkForm.shape.landing_url.safeParse(typedPage).data ??
      (await usualLandingPage(campaign.id)) ??
      someLandingPage
    const given: Ingredients = {
      campaignId: campaign.id,
      offerUrl: campaign.offer_url,
      baseUrl,
      writeKey: campaign.needs_key ? campaign.write_key : null,
    }
    const made = lines?.filter((line) => line.problem === null)
    res.set('Cache-Control', 'no-store').render('campaigns/integration', {
      room: 'campaigns',
      language,
      languages: languages.map((name) => ({ name, label: languageNames[name] })),
      arrival: arrivalSnippet(language, given),
      linkCode: language === 'browser' ? null : linkSnippet(language, given, landingUrl),
      exampleLink: {
        page: recipeLink(landingUrl, campaign.id, '').replace(/cid=\d+&e=(?=$|#)/, ''),
        recipient: encodeRecipient('anna@example.com'),
      },
      postbacks: postbackSnippets(given),
      test: { address: testAddress, domain: testDomain },
      maker: {
        values: {
          landing_url: typed.landing_url === undefined ? landingUrl : text('landing_url'),
          addresses: text('addresses'),
        },
        errors: { first: '', landing_url: '', addresses: '', ...errors },
        made: made
          ? { count: made.length, text: made.map(({ email, link }) => `${email}\t${link}`).join('\n') }
          : null,
        bad: lines?.filter((line) => line.problem !== null) ?? [],
      },
      ...(await waiting(req, campaign)),
    })
  }

  /** The landing page that reported last, if any has: the likeliest to be linked to. */
  async function usualLandingPage(campaignId: number) {
    const latest = await db
      .selectFrom('domain_counts')
      .innerJoin('sending_domains', 'sending_domains.id', 'domain_counts.domain_id')
      .select('name')
      .where('campaign_id', '=', campaignId)
      .where('name', '!=', testDomain)
      .orderBy('last_at', 'desc')
      .limit(1)
      .executeTakeFirst()
    return latest && `https://${latest.name}/`
  }

  /** What the panel knows: read from counts, since it is asked for every two seconds. */
  async function waiting(req: Request, campaign: Campaign) {
    const counts = await db
      .selectFrom('campaign_counts')
      .selectAll()
      .where('campaign_id', '=', campaign.id)
      .executeTakeFirst()
    const events = counts ? sumOf(eventSteps(counts, { machines: true })) : 0
    const first =
      events === 0
        ? undefined
        : await db
            .selectFrom('domain_counts')
            .innerJoin('sending_domains', 'sending_domains.id', 'domain_counts.domain_id')
            .select(['name', 'first_at'])
            .where('campaign_id', '=', campaign.id)
            .orderBy('first_at')
            .limit(1)
            .executeTakeFirst()
    const refused = await refusedFor(campaign.id)
    return {
      campaign,
      now: now(),
      events,
      first: first ?? null,
      door: doorFacts(req),
      refused: refused.slice(0, refusalsShown),
      refusedCount: refused.length,
    }
  }

  async function refusedFor(campaignId: number) {
    const since = now() - hour
    const named = refusals.listFor(campaignId, { since, exists: () => false })
    const ids = [...new Set(named.flatMap(({ cid }) => (cid === null || cid === campaignId ? [] : [cid])))]
    const known = new Set(
      ids.length === 0
        ? []
        : (
            await db
              .selectFrom('campaigns')
              .select('id')
              .where('id', 'in', ids)
              .where('deleted_at', 'is', null)
              .execute()
          ).map(({ id }) => id),
    )
    return refusals
      .listFor(campaignId, { since, exists: (cid) => known.has(cid) })
      .map(({ at, reasons, cid, request, from }) => ({
        at,
        request,
        from,
        reasons: reasons.map((sentence) =>
          sentence === `Campaign ${cid} does not exist.`
            ? `${sentence} This one is ${campaignId}.`
            : sentence,
        ),
      }))
  }

  /** What can be told of the door from here: where the snippets look for it, and whether this page came that way. */
  function doorFacts(req: Request) {
    const base = new URL(baseUrl)
    return {
      url: `${baseUrl}/api/event`,
      https: base.protocol === 'https:',
      local: /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(base.hostname),
      /** Where this page was asked for, when that is another place than the snippets name. */
      seenAt: req.host && req.host !== base.host ? `${req.protocol}://${req.host}` : null,
    }
  }
  return routes
}

/** Addresses and links, one row for each line of the list; a bad line keeps its text and has no link. */
function sendCsv(res: Response, campaignId: number, lines: ListLine[]) {
  res.attachment(`campaign-${campaignId}-links.csv`)
  res.set({ 'Content-Type': 'text/csv; charset=utf-8', 'Cache-Control': 'no-store' })
  res.send(
    stringify(
      lines.map(({ line, text, email, link, problem }) => ({ line, email: email ?? text, link, problem })),
      { header: true, columns: ['line', 'email', 'link', 'problem'], escape_formulas: true },
    ),
  )
}
