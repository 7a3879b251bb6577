import { originName } from '../audience/origins.js'
import type { Basis } from './metrics.js'

/** Whose number it is, in a word or two beside it: "ours" or "Buttondown’s". */
export const whose = (basis: Basis, provider: string) =>
  basis === 'ours' ? 'ours' : `${originName(provider)}’s`

/** A provider's word for the state of a mailing, as people read it. */
export const statusWord = (status: string) => status.replaceAll('_', ' ') || 'not told'
