import cron from 'node-cron'

/** Milliseconds: a job that comes more often than this has one row for each hour instead of one for each run. */
const seldom = 15 * 60_000

/** How far apart the next two runs of a cron expression are, in milliseconds. */
function gapOf(schedule: string, timeZone: string): number {
  const task = cron.createTask(schedule, () => {}, { timezone: timeZone })
  const [first, second] = task.getNextRuns(2)
  void task.destroy()
  return first && second ? second.getTime() - first.getTime() : Number.POSITIVE_INFINITY
}

/** Does a job by this schedule come so often that its runs are summed up? */
export const isFrequent = (schedule: string, timeZone: string) => gapOf(schedule, timeZone) <= seldom

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

/**
 * A cron expression (five fields, or six with seconds first) in the middle of a sentence: "every day at 02:15". What
 * has no words of its own is told as it stands.
 */
export function scheduleInWords(schedule: string): string {
  const fields = schedule.split(' ')
  const [second, minute, hour, day, month, weekday] = fields.length === 6 ? fields : ['0', ...fields]
  const isDaily = month === '*' && day === '*' && weekday === '*'
  const stepOf = (field = '') => Number(/^(?:\*|\d+-59)\/(\d+)$/.exec(field)?.[1] ?? 0)
  const isNumber = (field = '') => /^\d+$/.test(field)
  const clock = `${hour?.padStart(2, '0')}:${minute?.padStart(2, '0')}`
  if (isDaily && hour === '*' && minute === '*') {
    if (second === '*') return 'every second'
    if (stepOf(second)) return `every ${stepOf(second)} seconds`
    if (isNumber(second)) return 'every minute'
  }
  if (isDaily && hour === '*' && isNumber(second)) {
    if (stepOf(minute)) return `every ${stepOf(minute)} minutes`
    if (isNumber(minute)) return `every hour, ${Number(minute)} minutes past`
  }
  if (isNumber(second) && isNumber(minute) && isNumber(hour) && month === '*') {
    if (isDaily) return `every day at ${clock}`
    if (day === '*' && isNumber(weekday)) return `every ${weekdays[Number(weekday)]} at ${clock}`
    if (isNumber(day) && weekday === '*') return `on day ${day} of every month at ${clock}`
  }
  return `by ${schedule}`
}
