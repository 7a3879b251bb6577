import * as z from 'zod'
import { isMailAddress } from '../mail/addresses.js'
import { weekdays } from '../web/calendar.js'
import { eachOnce } from './recipients.js'
import type { Rule } from './schedule-rules.js'
import type { ScheduleChoice } from './schedules.js'

const mostRecipients = 20

/** Addresses between lines, commas and semicolons, each once. */
const addresses = z
  .string()
  .max(5000, 'Keep the addresses under 5,000 letters.')
  .default('')
  .transform((text, context) => {
    const all = eachOnce(text.split(/[\s,;]+/).filter((part) => part !== ''))
    const wrong = all.find((address) => !isMailAddress(address))
    if (wrong !== undefined)
      context.addIssue(
        `“${wrong.slice(0, 80)}” is no e-mail address. Write one a line, such as ada@example.com.`,
      )
    else if (all.length > mostRecipients)
      context.addIssue(`A report goes to ${mostRecipients} addresses at most.`)
    return all
  })

const whole = (low: number, high: number, sentence: string) =>
  z
    .string()
    .trim()
    .regex(/^\d{1,3}$/, sentence)
    .transform(Number)
    .refine((value) => value >= low && value <= high, sentence)

const kinds: readonly Rule['kind'][] = ['weekly', 'monthly', 'after-mailing']

/** What the form of a schedule may send: the day that belongs to the chosen kind counts, the others are only kept. */
export const ScheduleForm = z
  .object({
    kind: z.enum(kinds, 'Choose when it is due.'),
    weekday: z.string().default('1'),
    day_of_month: z.string().default('1'),
    days_after: z.string().default('3'),
    time: z
      .string()
      .trim()
      .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'Write the time as 08:30.')
      .transform((text) => {
        const [hours, minutes] = text.split(':').map(Number) as [number, number]
        return hours * 60 + minutes
      }),
    deliver: z.enum(['mail', 'archive'], 'Choose what becomes of it.'),
    recipients: addresses,
  })
  .transform((form, context): ScheduleChoice => {
    const { kind, time, deliver, recipients } = form
    const [field, range] = {
      weekly: ['weekday', whole(1, 7, 'Choose a day of the week.')] as const,
      monthly: ['day_of_month', whole(1, 31, 'The day of the month is a number from 1 to 31.')] as const,
      'after-mailing': ['days_after', whole(1, 90, 'The days are a number from 1 to 90.')] as const,
    }[kind]
    const day = range.safeParse(form[field])
    if (!day.success)
      context.addIssue({ code: 'custom', path: [field], message: day.error.issues[0]!.message })
    if (deliver === 'mail' && recipients.length === 0)
      context.addIssue({
        code: 'custom',
        path: ['recipients'],
        message: 'Write who gets it, one address a line.',
      })
    return { kind, day: day.data ?? 1, minute: time, recipients: deliver === 'mail' ? recipients : [] }
  })

/** Whom a rendering is sent to by hand. */
export const SendForm = z.object({
  recipients: addresses.refine((all) => all.length > 0, 'Write who gets it, one address a line.'),
})

export const weekdayChoices = weekdays.map((name, place) => ({ value: String(place + 1), name }))
