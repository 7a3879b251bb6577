import { LRUCache } from 'lru-cache'
import { noValue } from '../web/formats.js'
import { withDoubt } from '../web/shares.js'

/** The languages in which a report can write its numbers and dates, by BCP 47 tag. */
export const locales: Record<string, string> = {
  'en-US': 'English (1,234.5)',
  'en-GB': 'English, British (1,234.5)',
  'cs-CZ': 'Čeština',
  'da-DK': 'Dansk',
  'de-DE': 'Deutsch (1.234,5)',
  'de-CH': 'Deutsch, Schweiz (1’234.5)',
  'es-ES': 'Español',
  'fr-FR': 'Français',
  'it-IT': 'Italiano',
  'ja-JP': '日本語',
  'nl-NL': 'Nederlands',
  'nb-NO': 'Norsk',
  'pl-PL': 'Polski',
  'pt-PT': 'Português',
  'pt-BR': 'Português, Brasil',
  'fi-FI': 'Suomi',
  'sv-SE': 'Svenska',
  'tr-TR': 'Türkçe',
  'zh-CN': '中文',
}

export type ReportFormats = ReturnType<typeof makeFormats>

/** By locale and time zone: making them takes longer than all that they write in a report. */
const made = new LRUCache<string, ReportFormats>({ max: 20 })

/**
 * How a report writes numbers and dates. Digits are those of the pages of the program: rates are rounded in the same way,
 * and only then written as the language has it.
 * @param locale one of {@link locales}
 * @param timeZone an IANA name
 */
export function reportFormats(locale: string, timeZone: string): ReportFormats {
  const key = `${locale} ${timeZone}`
  const known = made.get(key)
  if (known) return known
  const formats = makeFormats(locale, timeZone)
  made.set(key, formats)
  return formats
}

function makeFormats(locale: string, timeZone: string) {
  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0, useGrouping: true })
  const perCent = [0, 1, 2].map(
    (digits) =>
      new Intl.NumberFormat(locale, {
        style: 'unit',
        unit: 'percent',
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      }),
  )
  const points = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 })
  // British English alone abbreviates September to four letters.
  const of = (options: Intl.DateTimeFormatOptions, zone = timeZone) => {
    const format = new Intl.DateTimeFormat(locale === 'en-US' ? 'en-GB' : locale, {
      timeZone: zone,
      ...options,
    })
    return (at: number) => format.format(at).replace(/\bSept\b/, 'Sep')
  }
  const long = { day: 'numeric', month: 'long', year: 'numeric' } as const
  const date = of(long)
  const onDay = of(long, 'UTC')
  const shortDay = of({ day: 'numeric', month: 'short' }, 'UTC')
  const shortDate = of({ day: 'numeric', month: 'short', year: 'numeric' }, 'UTC')
  const short = of({ day: 'numeric', month: 'short' })
  const month = of({ month: 'short', year: 'numeric' }, 'UTC')
  const clock = of({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
  const instant = (day: string) => Date.parse(`${day}T00:00:00Z`)
  const percent = (share: number | null, decimals: 0 | 1 | 2 = 1) =>
    share === null ? noValue : perCent[decimals]!.format(Number((share * 100).toFixed(decimals)))
  return {
    locale,
    timeZone,
    number: (value: number | null) => (value === null ? noValue : whole.format(Math.round(value))),
    /** @param share of one */
    percent,
    /**
     * A probability as the page of an offer writes it: never none and never certain, where there is doubt.
     * @param share of one
     */
    chance: (share: number | null) => {
      if (share === null) return noValue
      const told = withDoubt(share)
      return `${told.words}${percent(told.share)}`
    },
    /** A difference of two rates, without its sign. @param share of one */
    points: (share: number) => `${points.format(Number((Math.abs(share) * 100).toFixed(2)))} pt`,
    /** 20 November 2026 @param at milliseconds */
    date,
    /** 20 Nov @param at milliseconds */
    short,
    /** 20 November 2026, 14:32 UTC @param at milliseconds */
    moment: (at: number) => `${date(at)}, ${clock(at)} ${timeZone}`,
    /** 20 November 2026 @param day `YYYY-MM-DD` */
    day: (day: string) => onDay(instant(day)),
    /** 20 Nov @param day `YYYY-MM-DD` */
    shortDay: (day: string) => shortDay(instant(day)),
    /** 20 Nov 2026 @param day `YYYY-MM-DD` */
    shortDate: (day: string) => shortDate(instant(day)),
    month: (day: string) => month(instant(day)),
    plural: (count: number, one: string, many: string) =>
      `${whole.format(count)} ${count === 1 ? one : many}`,
  }
}

/** A figure in words. @param value a number, a share of one or a probability, as `as` says */
export const figureWords = (
  value: number | null,
  { as, decimals }: { as: 'number' | 'share' | 'chance'; decimals: 0 | 1 | 2 },
  f: ReportFormats,
) => (as === 'number' ? f.number(value) : as === 'chance' ? f.chance(value) : f.percent(value, decimals))
