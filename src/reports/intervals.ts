/** The 97.5 % point of the normal distribution: 95 % lie between it and its negative. */
const z = 1.959963984540054

/**
 * The Wilson score interval of a rate at 95 % (Wilson, Probable inference, the law of succession, and statistical
 * inference, 1927): it stays within 0 and 1, and says something where nothing has happened yet.
 * @returns shares of one; null without a whole, or where the part is greater than it, so that it is no rate of trials
 */
export function wilson(part: number, whole: number): { low: number; high: number } | null {
  if (whole <= 0 || part > whole) return null
  const rate = part / whole
  const weight = 1 + (z * z) / whole
  const middle = (rate + (z * z) / (2 * whole)) / weight
  const reach = (z / weight) * Math.sqrt((rate * (1 - rate)) / whole + (z * z) / (4 * whole * whole))
  return {
    low: part === 0 ? 0 : Math.max(0, middle - reach),
    high: part === whole ? 1 : Math.min(1, middle + reach),
  }
}

/** Do two intervals share anything? Then neither is said to be ahead. */
export const overlap = (one: { low: number; high: number }, other: { low: number; high: number }) =>
  one.low <= other.high && other.low <= one.high
