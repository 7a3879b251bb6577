import type { Logger } from 'pino'
import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'
import { type Channel, type Message, mailChannel, type Postman, webhookChannel } from './alert-channels.js'
import type { AlertSettings, AlertSettingsKeeper } from './alert-settings.js'
import type { OperationsFacts, Trouble } from './facts.js'

interface Needs {
  db: Db
  facts: OperationsFacts
  settings: AlertSettingsKeeper
  /** What is looked at with the thresholds of the page. */
  watch: (settings: AlertSettings) => Promise<Trouble[]>
  postman: Postman
  baseUrl: string
  now: () => number
  log: Logger
}

const minute = 60_000
const lostWebhook: Trouble = {
  name: 'alerts webhook',
  sentence:
    'The address of the alerts’ webhook was sealed under another secret and cannot be read. Enter it again under Operations, Alerts: until then nobody is told there.',
}
/** Milliseconds for which trouble has to be gone before it is called over: what comes and goes is told once. */
const calm = 5 * minute

/**
 * Tells of trouble once, and once when it is over. What nobody could be told of is tried again: after one minute, two,
 * four …, then every hour. Everything is in a table, so that a restart neither forgets nor repeats.
 */
export function alerts({ db, facts, settings, watch, postman, baseUrl, now, log }: Needs) {
  const channelsOf = ({ webhook, recipients }: AlertSettings): Channel[] => [
    ...recipients.map((to) => mailChannel(to, { postman })),
    ...(webhook ? [webhookChannel(webhook, { installation: baseUrl })] : []),
  ]

  async function look() {
    const kept = await settings.read()
    const found = [...(await watch(kept)), ...(await facts.troubles())]
    if (await settings.isWebhookLost()) found.push(lostWebhook)
    const troubles = new Map(found.map((each) => [each.name, each]))
    const known = await db.selectFrom('alert_states').selectAll().execute()
    const at = now()
    for (const { name, sentence } of troubles.values()) {
      if (!known.some((row) => row.name === name))
        await db
          .insertInto('alert_states')
          .values({ name, since_at: at, sentence, told_at: null, cleared_at: null })
          .execute()
    }
    for (const { name, cleared_at } of known) {
      const isThere = troubles.has(name)
      if (isThere && cleared_at !== null) await change(name, { cleared_at: null })
      if (!isThere && cleared_at === null) await change(name, { cleared_at: at })
    }
    await tellAll(channelsOf(kept))
  }
  const change = (name: string, values: Partial<Row<'alert_states'>>) =>
    db.updateTable('alert_states').set(values).where('name', '=', name).execute()

  async function tellAll(channels: Channel[]) {
    for (const state of await db.selectFrom('alert_states').selectAll().orderBy('since_at').execute()) {
      const isOver = state.cleared_at !== null && now() - state.cleared_at >= calm
      if (state.told_at === null && isOver) {
        // Who was not told that it began need not know that it ended.
        const told = JSON.parse(state.told_to) as string[]
        if (told.length === 0) {
          await db.deleteFrom('alert_states').where('name', '=', state.name).execute()
          continue
        }
        const untold = channels.map(({ key }) => key).filter((key) => !told.includes(key))
        const asTold = { told_at: now(), told_to: JSON.stringify(untold), attempts: 0, failure: '' }
        await change(state.name, asTold)
        Object.assign(state, asTold)
      }
      const isDue = state.told_at === null ? state.cleared_at === null : isOver
      const begin = state.told_at === null ? state.since_at : state.cleared_at! + calm
      if (!isDue || channels.length === 0 || now() < begin + waitAfter(state.attempts)) continue
      const failure = await tell(state, messageOf(state, isOver), channels)
      if (failure !== null) await change(state.name, { attempts: state.attempts + 1, failure })
      else if (isOver) await db.deleteFrom('alert_states').where('name', '=', state.name).execute()
      else await change(state.name, { told_at: now(), told_to: '[]', attempts: 0, failure: '' })
    }
  }

  /** Tells whoever does not know yet. @returns null, or why somebody still does not */
  async function tell(
    state: Row<'alert_states'>,
    message: Message,
    channels: Channel[],
  ): Promise<string | null> {
    const told = new Set(JSON.parse(state.told_to) as string[])
    let failure: string | null = null
    for (const channel of channels) {
      if (told.has(channel.key)) continue
      try {
        await channel.tell(message)
        told.add(channel.key)
        await change(state.name, { told_to: JSON.stringify([...told]) })
      } catch (error) {
        failure = (error as Error).message
        log.warn({ alert: state.name, channel: channel.key.split(' ')[0] }, 'alert not told')
      }
    }
    return failure
  }

  function messageOf(
    { name, sentence, since_at, cleared_at }: Row<'alert_states'>,
    isOver: boolean,
  ): Message {
    const since = new Date(since_at).toISOString().slice(0, 16).replace('T', ' ')
    const until = cleared_at === null ? '' : new Date(cleared_at).toISOString().slice(0, 16).replace('T', ' ')
    return {
      alert: name,
      state: isOver ? 'over' : 'trouble',
      subject: `Throughline: ${isOver ? 'over, ' : ''}${name}`,
      text: isOver
        ? `It is over: ${sentence}\nFrom ${since} to ${until} UTC. ${baseUrl}/operations`
        : `${sentence}\nSince ${since} UTC. ${baseUrl}/operations`,
      id: `alert-${name.replace(/[^a-z0-9]+/gi, '-')}-${since_at}-${isOver ? 'over' : 'begun'}`,
    }
  }

  return {
    look,
    /** Sends a test to everybody. @returns for each channel, why it was not reached, or null */
    async test(): Promise<{ name: string; failure: string | null }[]> {
      const message: Message = {
        alert: 'test',
        state: 'test',
        subject: 'Throughline: a test',
        text: `This is a test of the alerts. ${baseUrl}/operations/alerts`,
        id: `alert-test-${now()}`,
      }
      const told = await Promise.all(
        channelsOf(await settings.read()).map(async (channel) => ({
          name: channel.name,
          failure: await channel.tell(message).then(
            () => null,
            (error: Error) => error.message,
          ),
        })),
      )
      return (await settings.isWebhookLost())
        ? [...told, { name: 'The webhook', failure: lostWebhook.sentence }]
        : told
    },
    /** What is wrong now, the newest first. */
    list: () => db.selectFrom('alert_states').selectAll().orderBy('since_at', 'desc').execute(),
  }
}
export type Alerts = ReturnType<typeof alerts>

/** Milliseconds from the first try to the one after so many that failed. */
export function waitAfter(attempts: number): number {
  const doubled = Math.min(attempts, 6)
  return (2 ** doubled - 1 + 60 * (attempts - doubled)) * minute
}
