import { sql } from 'kysely'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { openDeliveries, pauses } from '../../src/reports/deliveries.js'
import { createSchedule, type ScheduleChoice } from '../../src/reports/schedules.js'
import type { SectionName } from '../../src/reports/templates.js'
import { calendar } from '../../src/web/calendar.js'
import { stoppedClock, type TestApp, testApp } from '../support/app.js'
import { aContact, aMailing } from '../support/audience.js'
import { aMailServer, refusal } from '../support/mail.js'
import { aPartner } from '../support/partners.js'
import { aPerson } from '../support/person.js'
import { aReportOf } from '../support/reports.js'

const hour = 3_600_000
const day = 24 * hour
const ada = 'ada@paperboat.example'
const bela = 'bela@paperboat.example'

/** Every Monday at 08:00; tests begin on a Saturday. */
const mondays: ScheduleChoice = { kind: 'weekly', day: 1, minute: 8 * 60, recipients: [ada, bela] }
const firstMonday = Date.UTC(2026, 10, 23, 8)

interface World {
  silent?: boolean
  refuse?: (to: string) => Error | null
  timeZone?: string
  clock?: ReturnType<typeof stoppedClock>
}

/** The application with a mail server and a press that needs no browser. */
async function aPostOffice({ timeZone = 'UTC', clock = stoppedClock(), ...server }: World = {}) {
  const mail = await aMailServer(server)
  const env = {
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(mail.port),
    MAIL_FROM: 'reports@paperboat.example',
    TIME_ZONE: timeZone,
  }
  const app = await testApp({ env, clock })
  const printed: string[] = []
  let broken: Error | null = null
  /** Another process on the same data. */
  const aProcess = ({
    mailer = app.mailer,
    render = app.reports.render,
  }: {
    mailer?: Pick<TestApp['mailer'], 'send'>
    render?: TestApp['reports']['render']
  } = {}) =>
    openDeliveries({
      db: app.db,
      reports: { ...app.reports, render },
      mailer,
      press: {
        async print(wanted) {
          const { reportId } = typeof wanted === 'function' ? await wanted() : wanted
          if (broken) throw broken
          printed.push(reportId)
          return Buffer.from(`%PDF of ${reportId}`)
        },
      },
      calendar: calendar(timeZone),
      log: pino({ level: 'silent' }),
      now: clock.now,
    })
  return {
    ...app,
    env,
    mail,
    printed,
    aProcess,
    office: aProcess(),
    breakPress: (error: Error | null) => (broken = error),
    rows: () => app.db.selectFrom('report_deliveries').selectAll().orderBy('id').execute(),
    runs: () => app.db.selectFrom('report_runs').selectAll().orderBy('id').execute(),
    renderings: () =>
      app.db.selectFrom('report_renderings').select(['rendered_at', 'made_by']).orderBy('id').execute(),
  }
}
type PostOffice = Awaited<ReturnType<typeof aPostOffice>>

async function aScheduledReport(room: PostOffice, choice: Partial<ScheduleChoice> = {}) {
  const mailing = await aMailing(room, { name: 'Issue 112' })
  const report = await aReportOf(room, { subjects: { mailings: [mailing.id] } })
  const made = { by: null, now: room.clock.now() }
  const schedule = await createSchedule(room.db, report.id, { ...mondays, ...choice }, made)
  return { report, schedule, mailing }
}

describe('a schedule', () => {
  it('renders when it is due, keeps it, and sends it to each by themselves, once', async () => {
    const room = await aPostOffice()
    await aScheduledReport(room)
    room.clock.at = firstMonday - 1
    await room.office.runDue()
    expect(await room.renderings()).toEqual([])

    room.clock.at = firstMonday
    for (let turn = 0; turn < 3; turn++) await room.office.runDue()
    expect(await room.renderings()).toEqual([{ rendered_at: firstMonday, made_by: 'schedule' }])
    expect(room.mail.letters.map(({ recipients }) => recipients)).toEqual([[ada], [bela]])
    expect(room.printed).toEqual(['TL-2026-001'])
    const [letter] = room.mail.letters
    expect(letter!.subject).toContain('Autumn Reading List')
    expect(letter!.text).toContain('Report TL-2026-001, data as of')
    expect(letter!.text).toContain('The whole report is attached as a PDF.')
    expect(letter!.attachments[0]).toMatchObject({
      filename: expect.stringMatching(/^autumn-reading-list-2026-11-20.*\.pdf$/),
      contentType: 'application/pdf',
      content: Buffer.from('%PDF of TL-2026-001'),
    })

    room.clock.at = firstMonday + 7 * day
    await room.office.runDue()
    expect(room.mail.letters).toHaveLength(4)
    expect((await room.rows()).map(({ state }) => state)).toEqual(['sent', 'sent', 'sent', 'sent'])
  })

  it('only keeps it where nobody gets it', async () => {
    const room = await aPostOffice()
    await aScheduledReport(room, { recipients: [] })
    room.clock.at = firstMonday
    await room.office.runDue()
    expect(await room.renderings()).toHaveLength(1)
    expect(await room.rows()).toEqual([])
    expect(room.printed).toEqual([])
  })

  it('keeps its hour when the clock changes', async () => {
    const clock = stoppedClock(Date.UTC(2026, 9, 18))
    const room = await aPostOffice({ timeZone: 'Europe/Berlin', clock })
    await aScheduledReport(room, { recipients: [] })
    // Monday 19 October, 08:00 in summer; Monday 26 October, 08:00 in winter, an hour later by UTC.
    for (const due of [Date.UTC(2026, 9, 19, 6), Date.UTC(2026, 9, 26, 7)]) {
      clock.at = due - 1
      await room.office.runDue()
      const before = await room.renderings()
      clock.at = due
      await room.office.runDue()
      expect(await room.renderings()).toEqual([...before, { rendered_at: due, made_by: 'schedule' }])
    }
  })

  it('goes by the clock of the report’s own time zone, which its pages say, and begins anew with another', async () => {
    const room = await aPostOffice({ timeZone: 'Europe/Berlin' })
    const { http, send } = await aPerson(room, { remember: true })
    const report = await aReportOf(room, { timeZone: 'America/New_York' })
    await createSchedule(
      room.db,
      report.id,
      { ...mondays, recipients: [] },
      { by: null, now: room.clock.now() },
    )
    const page = (await http.get(`/reports/${report.id}`)).text
    expect(page).toContain('Every Monday at 08:00 (America/New_York)')
    expect(page).toContain('datetime="2026-11-23T13:00:00.000Z"')
    const form = (await http.get(`/reports/${report.id}/schedules/new`).expect(200)).text
    expect(form).toContain('On the clock of America/New_York')
    expect(form).toContain('Days of its numbers are those of Europe/Berlin')
    const due = Date.UTC(2026, 10, 23, 13)
    room.clock.at = due - 1
    await room.office.runDue()
    expect(await room.renderings()).toEqual([])
    room.clock.at = due
    await room.office.runDue()
    expect(await room.renderings()).toEqual([{ rendered_at: due, made_by: 'schedule' }])

    // In Honolulu it was Monday, 08:00 five hours later: an hour ago.
    room.clock.pass(6 * hour)
    await send(`/reports/${report.id}`, { title: 'Moved', time_zone: 'Pacific/Honolulu' }).expect(303)
    await room.office.runDue()
    expect(await room.renderings()).toHaveLength(1)
    room.clock.at = due + 5 * hour + 7 * day
    await room.office.runDue()
    expect(await room.renderings()).toHaveLength(2)
  })

  it('runs once for whatever was due while the process was down', async () => {
    const room = await aPostOffice()
    await aScheduledReport(room)
    room.clock.at = firstMonday + 3 * 7 * day + 5 * hour
    await room.aProcess().runDue()
    await room.aProcess().runDue()
    expect(await room.renderings()).toEqual([{ rendered_at: room.clock.at, made_by: 'schedule' }])
    expect(room.mail.letters).toHaveLength(2)
    expect((await room.runs()).map(({ due_at }) => due_at)).toEqual([firstMonday + 3 * 7 * day])
  })

  it('comes so many days after each mailing that it is about', async () => {
    const room = await aPostOffice()
    const { mailing } = await aScheduledReport(room, { kind: 'after-mailing', day: 3 })
    // Sent the day before, at 10:00: due on Monday the 23rd at 08:00.
    const due = Date.UTC(2026, 10, 23, 8)
    expect(mailing.sent_at).toBe(Date.UTC(2026, 10, 20, 10))
    await aMailing(room, { name: 'Of somebody else', sent_at: mailing.sent_at - day })
    room.clock.at = due - 1
    await room.office.runDue()
    expect(await room.runs()).toEqual([])
    room.clock.at = due
    await room.office.runDue()
    room.clock.pass(30 * day)
    await room.office.runDue()
    expect((await room.runs()).map(({ due_at }) => due_at)).toEqual([due])
  })

  it('rests while it is paused, and its report while that is archived', async () => {
    const room = await aPostOffice()
    const { http, send } = await aPerson(room, { remember: true })
    const { report, schedule } = await aScheduledReport(room)
    await send(`/reports/${report.id}/schedules/${schedule.id}/pausing`, { paused: '1' }).expect(303)
    room.clock.at = firstMonday
    await room.office.runDue()
    expect((await http.get(`/reports/${report.id}`)).text).toContain('Paused')
    // What was due meanwhile is not made up for.
    await send(`/reports/${report.id}/schedules/${schedule.id}/pausing`, { paused: '0' }).expect(303)
    await room.office.runDue()
    await send(`/reports/${report.id}/archiving`, { archived: '1' }).expect(303)
    room.clock.pass(7 * day)
    await room.office.runDue()
    expect(await room.runs()).toEqual([])
    await send(`/reports/${report.id}/schedules/${schedule.id}/deletion`, {}).expect(303)
    expect(await room.db.selectFrom('report_schedules').selectAll().execute()).toEqual([])
  })
})

describe('a delivery', () => {
  it('that fails is tried again with growing pauses, then stands on the page and in the list', async () => {
    const room = await aPostOffice({ refuse: (to) => (to === bela ? refusal(451, 'Mailbox busy') : null) })
    const { http, send } = await aPerson(room, { remember: true })
    const { report } = await aScheduledReport(room)
    room.clock.at = firstMonday
    await room.office.runDue()
    expect((await room.rows()).map(({ state, tries }) => [state, tries])).toEqual([
      ['sent', 1],
      ['waiting', 1],
    ])
    for (const [place, pause] of pauses.entries()) {
      room.clock.pass(pause - 1)
      await room.office.runDue()
      expect((await room.rows())[1]!.tries).toBe(place + 1)
      room.clock.pass(1)
      await room.office.runDue()
      expect((await room.rows())[1]!.tries).toBe(place + 2)
    }
    expect((await room.rows())[1]).toMatchObject({ state: 'failed', tries: pauses.length + 1 })
    expect(room.mail.letters).toHaveLength(1)

    const page = await http.get(`/reports/${report.id}`).expect(200)
    expect(page.text).toContain('Failed after 7 tries')
    expect(page.text).toContain('Mailbox busy')
    expect((await http.get('/reports')).text).toContain('1 failed')

    room.mail.refuseWith(() => null)
    const { id } = (await room.rows())[1]!
    await room.office.sendAgain(report.id, String(id))
    await room.office.runDue()
    expect(room.mail.letters[1]!.recipients).toEqual([bela])
    expect((await http.get('/reports')).text).not.toContain('1 failed')
    await send(`/reports/${report.id}/deliveries/${id}/sending`, {}).expect(409)
    await send(`/reports/${report.id}/deliveries/${id + 99}/sending`, {}).expect(404)
  })

  it('that waits can be called off, and is when its report is archived or its schedule deleted', async () => {
    const room = await aPostOffice({ refuse: () => refusal(451, 'Mailbox busy') })
    const { http, send } = await aPerson(room, { remember: true })
    const { report, schedule } = await aScheduledReport(room)
    room.clock.at = firstMonday
    await room.office.runDue()
    const [first] = await room.rows()
    await send(`/reports/${report.id}/deliveries/${first!.id}/calling-off`, {}).expect(303)
    await send(`/reports/${report.id}/deliveries/${first!.id}/calling-off`, {}).expect(409)
    await send(`/reports/${report.id}/schedules/${schedule.id}/deletion`, {}).expect(303)
    const asked = await aReportOf(room, {})
    const rendering = await room.reports.render(asked.id, {})
    for (let times = 0; times < 2; times++) await room.office.send(rendering, [ada], { by: 1 })
    await send(`/reports/${asked.id}/archiving`, { archived: '1' }).expect(303)

    expect((await room.rows()).map(({ state, failure }) => [state, failure])).toEqual([
      ['failed', 'Called off.'],
      ['failed', 'Called off: its schedule was deleted.'],
      ['failed', 'Called off: the report was archived.'],
    ])
    expect((await http.get(`/reports/${asked.id}`)).text).toContain('Not sent')
    room.mail.refuseWith(() => null)
    room.clock.pass(day)
    await room.office.runDue()
    expect(room.mail.letters).toEqual([])
  })

  it('goes to nobody whose schedule is paused, or no longer names them', async () => {
    const room = await aPostOffice({ refuse: () => refusal(451, 'Mailbox busy') })
    const { send } = await aPerson(room, { remember: true })
    const { report, schedule } = await aScheduledReport(room)
    room.clock.at = firstMonday
    await room.office.runDue()
    const form = { kind: 'weekly', weekday: '1', time: '08:00', deliver: 'mail', recipients: bela }
    await send(`/reports/${report.id}/schedules/${schedule.id}`, form).expect(303)
    expect((await room.rows()).map(({ recipient, failure }) => [recipient, failure])).toEqual([
      [ada, 'Called off: its schedule goes to others now.'],
      [bela, expect.stringContaining('Mailbox busy')],
    ])
    await send(`/reports/${report.id}/schedules/${schedule.id}/pausing`, { paused: '1' }).expect(303)
    room.mail.refuseWith(() => null)
    room.clock.pass(day)
    await room.office.runDue()
    expect(room.mail.letters).toEqual([])
    expect((await room.rows())[1]).toMatchObject({
      state: 'failed',
      failure: 'Called off: its schedule was paused.',
    })
  })

  it('goes to nobody who was erased, and keeps no address of theirs', async () => {
    const room = await aPostOffice({ refuse: () => refusal(451, 'Mailbox busy') })
    const { http, send } = await aPerson(room, { remember: true })
    const partner = await aPartner(room, { emails: `${bela}\n${ada}` })
    const { report } = await aScheduledReport(room, { recipients: ['Ada@Paperboat.example', bela] })
    const contact = await aContact(room, { email: ada })
    room.clock.at = firstMonday
    await room.office.runDue()
    await room.audience.erase(contact.id)

    room.mail.refuseWith(() => null)
    for (const at of [firstMonday + day, firstMonday + 8 * day]) {
      room.clock.at = at
      await room.office.runDue()
    }
    expect(room.mail.letters.map(({ recipients }) => recipients)).toEqual([[bela], [bela]])
    for (const table of ['report_schedules', 'report_runs', 'report_deliveries', 'partners'] as const)
      expect(JSON.stringify(await room.db.selectFrom(table).selectAll().execute())).not.toMatch(/ada@/i)
    expect(await room.db.selectFrom('partners').select(['id', 'emails']).execute()).toEqual([
      { id: partner.id, emails: bela },
    ])
    const [erased] = await room.rows()
    expect((await http.get(`/reports/${report.id}`)).text).toContain('somebody who was erased')
    await send(`/reports/${report.id}/deliveries/${erased!.id}/sending`, {}).expect(409)
  })

  it('tells in its letter what the report shows, and of no section that is off', async () => {
    const room = await aPostOffice()
    await aPerson(room)
    const letterOf = async (on: SectionName[]) => {
      const report = await aReportOf(room, {
        verdict: 'My verdict.',
        commentary: 'My commentary.',
        sections: on.map((name) => ({ name, on: true })),
      })
      await room.office.send(await room.reports.render(report.id, {}), [ada], { by: 1 })
      await room.office.runDue()
      return room.mail.letters.at(-1)!.text
    }
    const whole = await letterOf(['verdict', 'commentary'])
    expect(whole).toContain('My verdict.')
    expect(whole).toContain('My commentary.')
    expect(await letterOf(['method'])).not.toMatch(/My verdict|My commentary/)
    const { data } = (await room.db.selectFrom('report_renderings').select('data').execute()).at(-1)!
    expect(data).not.toMatch(/My verdict|My commentary/)
    // As they were archived before, with all of it.
    const old = JSON.stringify({
      ...JSON.parse(data),
      summary: ['My verdict.', 'Opens: 3', 'My commentary.'],
    })
    await sql`drop trigger report_renderings_stay`.execute(room.db)
    await room.db.updateTable('report_renderings').set({ data: old }).where('id', '=', 2).execute()
    await room.office.send(await room.reports.rendering(2), [bela], { by: 1 })
    await room.office.runDue()
    expect(room.mail.letters.at(-1)!.text).not.toMatch(/My verdict|Opens|My commentary/)
  })

  it('that is refused for good is not tried again', async () => {
    const room = await aPostOffice({ refuse: () => refusal(550, 'No such mailbox') })
    await aScheduledReport(room, { recipients: [ada] })
    room.clock.at = firstMonday
    await room.office.runDue()
    expect((await room.rows())[0]).toMatchObject({ state: 'failed', tries: 1 })
  })

  it('waits while nothing can be printed, and says why', async () => {
    const room = await aPostOffice()
    const { http } = await aPerson(room, { remember: true })
    const { report } = await aScheduledReport(room, { recipients: [ada] })
    const { PressUnavailable } = await import('../../src/reports/pdf/errors.js')
    room.breakPress(new PressUnavailable('No browser was found.'))
    room.clock.at = firstMonday
    await room.office.runDue()
    expect((await http.get(`/reports/${report.id}`)).text).toContain('No browser was found.')
    room.breakPress(null)
    room.clock.pass(pauses[0]!)
    await room.office.runDue()
    expect((await room.rows())[0]).toMatchObject({ state: 'sent', tries: 2, failure: '' })
    expect(room.mail.letters).toHaveLength(1)
  })

  it('that a process left in the middle is never sent twice without somebody asking', async () => {
    const room = await aPostOffice()
    const { http } = await aPerson(room, { remember: true })
    const { report } = await aScheduledReport(room, { recipients: [ada] })
    room.clock.at = firstMonday
    // The letter is handed in, and the process ends before it can note that.
    const never = new Promise<void>(() => undefined)
    const begun = new Promise<void>((done) => {
      void room
        .aProcess({
          mailer: {
            async send(letter) {
              await room.mailer.send(letter)
              done()
              await never
            },
          },
        })
        .runDue()
    })
    await begun
    expect((await room.rows())[0]).toMatchObject({ state: 'sending' })

    const next = room.aProcess()
    await next.runDue()
    room.clock.pass(2 * day)
    await next.runDue()
    expect(room.mail.letters).toHaveLength(1)
    expect((await room.rows())[0]).toMatchObject({ state: 'unsure' })
    const page = await http.get(`/reports/${report.id}`)
    expect(page.text).toContain('Perhaps sent')
    expect(page.text).toContain('it may have arrived or not')
    const { id } = (await room.rows())[0]!
    await next.sendAgain(report.id, String(id))
    await next.runDue()
    expect(room.mail.letters.map(({ messageId }) => messageId)).toEqual([
      room.mail.letters[0]!.messageId,
      room.mail.letters[0]!.messageId,
    ])
  })

  it('whose answer never came stands as perhaps sent', async () => {
    const room = await aPostOffice({ silent: true })
    await aScheduledReport(room, { recipients: [ada] })
    room.clock.at = firstMonday
    await room.office.runDue()
    room.clock.pass(day)
    await room.office.runDue()
    expect((await room.rows())[0]).toMatchObject({ state: 'unsure', tries: 1 })
  })
})

describe('a run', () => {
  it('that a process left in the middle is carried on with what it had rendered', async () => {
    const room = await aPostOffice()
    const { report, schedule } = await aScheduledReport(room, { recipients: [ada] })
    room.clock.at = firstMonday
    // The rendering is archived, and the process ends before the run knows of it.
    await room.reports.render(report.id, { at: firstMonday })
    await room.db
      .insertInto('report_runs')
      .values({
        schedule_id: schedule.id,
        report_id: report.id,
        due_at: firstMonday,
        recipients: ada,
        state: 'waiting',
        next_try_at: firstMonday,
        render_at: firstMonday,
      })
      .execute()
    room.clock.pass(hour)
    await room.office.runDue()
    expect(await room.renderings()).toHaveLength(1)
    expect(room.mail.letters).toHaveLength(1)
  })

  it('that waits is given up when its report is archived, also while it is rendered', async () => {
    const room = await aPostOffice()
    const { send } = await aPerson(room, { remember: true })
    const { report } = await aScheduledReport(room)
    const archiving = () => send(`/reports/${report.id}/archiving`, { archived: '1' }).expect(303)
    const slow = room.aProcess({
      async render(...given) {
        await archiving()
        return room.reports.render(...given)
      },
    })
    room.clock.at = firstMonday
    await slow.runDue()
    room.clock.pass(day)
    await slow.runDue()
    expect(room.mail.letters).toEqual([])
    expect(await room.runs()).toMatchObject([
      { state: 'failed', failure: 'Called off: the report was archived.' },
    ])
  })

  it('that cannot be rendered is tried again, given up, and visible', async () => {
    const room = await aPostOffice()
    const { http } = await aPerson(room, { remember: true })
    const { report } = await aScheduledReport(room)
    await room.db.updateTable('reports').set({ definition: '{"subjects":7}' }).execute()
    const broken = room.aProcess({ render: () => Promise.reject(new Error('a fault of ours')) })
    room.clock.at = firstMonday
    await broken.runDue()
    expect((await http.get(`/reports/${report.id}`)).text).toContain('is tried again')
    for (const pause of pauses) {
      room.clock.pass(pause)
      await broken.runDue()
    }
    expect((await room.runs())[0]).toMatchObject({ state: 'failed', tries: pauses.length + 1 })
    const page = await http.get(`/reports/${report.id}`)
    expect(page.text).toContain('was given up.')
    expect(page.text).not.toContain('a fault of ours')
    expect((await http.get('/reports')).text).toContain('1 failed')
  })
})

describe('the pages of schedules', () => {
  const form = {
    kind: 'monthly',
    weekday: '1',
    day_of_month: '31',
    days_after: '3',
    time: '08:30',
    deliver: 'mail',
    recipients: `${ada}, ${bela}\n${ada.toUpperCase()}`,
  }

  it('make one by form, change it, and say when it is next due', async () => {
    const room = await aPostOffice({ timeZone: 'Europe/Berlin' })
    const { http, send } = await aPerson(room)
    const report = await aReportOf(room)
    expect((await http.get(`/reports/${report.id}/schedules/new`).expect(200)).text).toContain(
      'Europe/Berlin',
    )
    await send(`/reports/${report.id}/schedules`, form).expect(303)
    const page = await http.get(`/reports/${report.id}`).expect(200)
    expect(page.text).toContain('The last day of each month at 08:30')
    expect(page.text).toContain(`${ada}, ${bela}`)
    expect(page.text).toContain('datetime="2026-11-30T07:30:00.000Z"')
    expect((await http.get('/reports')).text).toContain('The last day of each month at 08:30')

    const { id } = await room.db.selectFrom('report_schedules').select('id').executeTakeFirstOrThrow()
    const edit = await http.get(`/reports/${report.id}/schedules/${id}`).expect(200)
    expect(edit.text).toMatch(/value="monthly" checked/)
    expect(edit.text).toContain('value="31"')
    await send(`/reports/${report.id}/schedules/${id}`, {
      ...form,
      kind: 'weekly',
      deliver: 'archive',
    }).expect(303)
    expect((await http.get(`/reports/${report.id}`)).text).toContain('Every Monday at 08:30')
    await http.get(`/reports/${report.id}/schedules/${id + 1}`).expect(404)
  })

  it('refuse what cannot be meant, and keep what was typed', async () => {
    const room = await aPostOffice()
    const { send } = await aPerson(room)
    const report = await aReportOf(room)
    const refused = async (change: Record<string, string>, sentence: string) => {
      const page = await send(`/reports/${report.id}/schedules`, { ...form, ...change }).expect(422)
      expect(page.text).toContain(sentence)
      for (const typed of Object.values(change)) expect(page.text).toContain(typed.replace(/&/g, '&amp;'))
    }
    await refused({ time: '25:00' }, 'Write the time as 08:30.')
    await refused({ day_of_month: '32' }, 'The day of the month is a number from 1 to 31.')
    await refused({ kind: 'after-mailing', days_after: '91' }, 'The days are a number from 1 to 90.')
    await refused({ recipients: `${ada}\nnobody` }, 'is no e-mail address.')
    await refused({ recipients: '' }, 'Write who gets it, one address a line.')
    expect(await room.db.selectFrom('report_schedules').selectAll().execute()).toEqual([])
  })

  it('say so where a rendering shall be sent and no mail server is known', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const report = await aReportOf(app, { subjects: { mailings: [(await aMailing(app)).id] } })
    await send(`/reports/${report.id}/renderings`, {}).expect(303)
    expect((await http.get(`/reports/${report.id}/renderings/1/send`).expect(200)).text).toContain(
      'No mail server is known yet.',
    )
    const refused = await send(`/reports/${report.id}/renderings/1/send`, { recipients: ada }).expect(422)
    expect(refused.text).toContain('No mail server is known.')
    expect(refused.text).toContain(ada)
  })
})
