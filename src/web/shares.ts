/** A part of a whole as a share of one; null ("no value") where there is no whole. */
export const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole)

/** A probability in which doubt is left: never told as none, and never as certain. @param chance a share of one */
export const withDoubt = (chance: number): { words: '' | 'under ' | 'over '; share: number } => {
  if (chance < 0.001) return { words: 'under ', share: 0.001 }
  return chance > 0.999 ? { words: 'over ', share: 0.999 } : { words: '', share: chance }
}

/** A share of one as JSON tells it: in per cent with two decimals, or null. */
export const inPercent = (share: number | null) => (share === null ? null : Math.round(share * 10_000) / 100)
