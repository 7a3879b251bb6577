import * as z from 'zod'
import { periods } from './emailoctopus.js'

export const PeriodForm = z.object({
  period: z.enum(periods, 'Choose how often to sync: every hour, or once a day.'),
})
