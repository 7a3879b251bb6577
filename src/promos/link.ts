/** The parameters by which an analytics program knows where a visitor came from. */
const utmNames = ['utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content'] as const
export type Utm = Record<(typeof utmNames)[number], string>

export interface Linked extends Utm {
  slug: string
  destination_url: string
  link_url: string
}

/** The name of the parameter that carries a variation's id through a redirect. */
export const variationParameter = 'promo_var'

/**
 * Adds parameters to an address. Those of the same name that it has are replaced; the rest of its query stays letter for
 * letter, and a fragment stays at the end.
 */
export function withParameters(address: string, parameters: Iterable<readonly [string, string]>): string {
  const added = [...parameters]
  const names = new Set(added.map(([name]) => name))
  return withPairs(address, (name) => !names.has(name), added.map(pairOf))
}

const pairOf = ([name, value]: readonly [string, string]) =>
  `${encodeURIComponent(name)}=${encodeURIComponent(value)}`

/** @param keeps whether a parameter that the address has stays */
function withPairs(address: string, keeps: (name: string) => boolean, pairs: readonly string[]) {
  if (pairs.length === 0) return address
  const hash = address.indexOf('#')
  const [front, fragment] = hash < 0 ? [address, ''] : [address.slice(0, hash), address.slice(hash)]
  const mark = front.indexOf('?')
  const [path, query] = mark < 0 ? [front, ''] : [front.slice(0, mark), front.slice(mark + 1)]
  const kept = query.split('&').filter((pair) => pair !== '' && keeps(nameOf(pair)))
  return `${path}?${[...kept, ...pairs].join('&')}${fragment}`
}

function nameOf(pair: string) {
  const name = pair.split('=', 1)[0]!.replaceAll('+', ' ')
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

const utmOf = (offer: Utm) =>
  utmNames.filter((name) => offer[name] !== '').map((name) => [name, offer[name]] as const)

/**
 * The link that goes into an issue: the offer's link URL, else this installation's redirect.
 * @param baseUrl where this installation answers, without a slash at the end
 */
export function linkOf(offer: Linked, variationId: number, baseUrl: string): string {
  const address = offer.link_url || `${baseUrl}/go/${offer.slug}`
  return withParameters(address, [[variationParameter, String(variationId)], ...utmOf(offer)])
}

/**
 * Where a redirect leads: the offer's stored destination with its UTM parameters, and whatever else the link carried, letter
 * for letter. A parameter that the destination has already, such as the affiliate's own id, is not for a link to change.
 * @param query the query of the link, without the question mark
 */
export function destinationOf(offer: Linked, query: string): string {
  const own = new Set(new URL(offer.destination_url).searchParams.keys())
  const carried = query === '' ? [] : query.split('&').map((pair) => [readNameOf(pair), pair] as const)
  const others = carried.filter(([name]) => name !== null && name !== variationParameter && !own.has(name))
  const named = new Set(others.map(([name]) => name))
  const ours = utmOf(offer).filter(([name]) => !own.has(name) && !named.has(name))
  const pairs = [...ours.map(pairOf), ...others.map(([, pair]) => pair.replace(unsafe, escaped))]
  return withPairs(offer.destination_url, () => true, pairs)
}

/** As programs read a query: null for a pair that is none. */
const readNameOf = (pair: string): string | null => new URLSearchParams(pair).keys().next().value ?? null

/** What must not stand in an address as it came, bytes beyond ASCII among it: Node hands them out one by one. */
const unsafe = /[^!-~]|["#<>`]/g
const escaped = (byte: string) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
