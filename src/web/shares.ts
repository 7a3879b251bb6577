/** A part of a whole as a share of one; null ("no value") where there is no whole. */
export const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole)

/** A share of one as JSON tells it: in per cent with two decimals, or null. */
export const inPercent = (share: number | null) => (share === null ? null : Math.round(share * 10_000) / 100)
