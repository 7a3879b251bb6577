import type { Logger } from 'pino'
import { isUnavailable } from '../database/errors.js'
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

type State = Row<'alert_states'>

const minute = 60_000
/** Nobody has what is to be told now. */
const untold = { told_to: '[]', attempts: 0, failure: '' }
const lostWebhook: Trouble = {
  name: 'alerts webhook',
  sentence:
    'The address of the alerts’ webhook was sealed under another secret and cannot be read. Enter it again under Operations, Alerts: until then nobody is told there.',
}
/** Milliseconds for which trouble has to be gone before it is called over: what comes and goes is told once. */
const calm = 5 * minute

/**
 * Tells of trouble once, and once when it is over. What nobody could be told of is tried again: after one minute, two,
 * four …, then every hour. Everything is in a table too, so that a restart neither forgets nor repeats; but what is told
 * does not wait for that table, since a database that cannot be written is what somebody has to be told of.
 */
export function alerts({ db, facts, settings, watch, postman, baseUrl, now, log }: Needs) {
  const channelsOf = ({ webhook, recipients }: AlertSettings): Channel[] => [
    ...recipients.map((to) => mailChannel(to, { postman })),
    ...(webhook ? [webhookChannel(webhook, { installation: baseUrl })] : []),
  ]

  /** What is known; null before the first look of this process. */
  let states: Map<string, State> | null = null
  /** What of it the table has, as JSON. */
  let noted = ''
  const readStates = () => db.selectFrom('alert_states').selectAll().execute()

  async function look() {
    const kept = await settings.read()
    const found = [...(await watch(kept)), ...(await facts.troubles())]
    if (await settings.isWebhookLost()) found.push(lostWebhook)
    const troubles = new Map(found.map((each) => [each.name, each]))
    if (!states) {
      const rows = await readStates()
      noted = JSON.stringify(rows)
      states = new Map(rows.map((row) => [row.name, row]))
    }
    const at = now()
    for (const { name, sentence } of troubles.values())
      if (!states.has(name))
        states.set(name, { name, since_at: at, sentence, told_at: null, cleared_at: null, ...untold })
    for (const state of states.values()) {
      const isThere = troubles.has(state.name)
      if (isThere) state.cleared_at = null
      else state.cleared_at ??= at
    }
    await keep()
    await tellAll(channelsOf(kept))
    await keep()
  }

  /** Brings what is known to the table, as far as that can be written now. */
  async function keep() {
    const rows = [...states!.values()]
    const json = JSON.stringify(rows)
    if (json === noted) return
    try {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('alert_states').execute()
        if (rows.length > 0) await tx.insertInto('alert_states').values(rows).execute()
      })
      noted = json
    } catch (error) {
      if (!isUnavailable(error)) throw error
      log.warn({ err: error }, 'alerts cannot be noted, and are told all the same')
    }
  }

  async function tellAll(channels: Channel[]) {
    const inOrder = [...states!.values()].sort((one, other) => one.since_at - other.since_at)
    for (const state of inOrder) {
      const isOver = state.cleared_at !== null && now() - state.cleared_at >= calm
      if (state.told_at === null && isOver) {
        // Who was not told that it began need not know that it ended.
        const told = JSON.parse(state.told_to) as string[]
        if (told.length === 0) {
          states!.delete(state.name)
          continue
        }
        const ignorant = channels.map(({ key }) => key).filter((key) => !told.includes(key))
        Object.assign(state, { ...untold, told_at: now(), told_to: JSON.stringify(ignorant) })
      }
      const isDue = state.told_at === null ? state.cleared_at === null : isOver
      const begin = state.told_at === null ? state.since_at : state.cleared_at! + calm
      if (!isDue || channels.length === 0 || now() < begin + waitAfter(state.attempts)) continue
      const failure = await tell(state, messageOf(state, isOver), channels)
      if (failure !== null) Object.assign(state, { attempts: state.attempts + 1, failure })
      else if (isOver) states!.delete(state.name)
      else Object.assign(state, { ...untold, told_at: now() })
    }
  }

  /** Tells whoever does not know yet. @returns null, or why somebody still does not */
  async function tell(state: State, message: Message, channels: Channel[]): Promise<string | null> {
    const told = new Set(JSON.parse(state.told_to) as string[])
    let failure: string | null = null
    for (const channel of channels) {
      if (told.has(channel.key)) continue
      try {
        await channel.tell(message)
        told.add(channel.key)
        state.told_to = JSON.stringify([...told])
        await keep() // a process that ends here must not tell it twice
      } catch (error) {
        failure = (error as Error).message
        log.warn({ alert: state.name, channel: channel.key.split(' ')[0] }, 'alert not told')
      }
    }
    return failure
  }

  function messageOf({ name, sentence, since_at, cleared_at }: State, isOver: boolean): Message {
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
    async list(): Promise<State[]> {
      const all = states ? [...states.values()] : await readStates()
      return all.sort((one, other) => other.since_at - one.since_at)
    },
  }
}
export type Alerts = ReturnType<typeof alerts>

/** Milliseconds from the first try to the one after so many that failed. */
export function waitAfter(attempts: number): number {
  const doubled = Math.min(attempts, 6)
  return (2 ** doubled - 1 + 60 * (attempts - doubled)) * minute
}
