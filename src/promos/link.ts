/** The parameters by which an analytics program knows where a visitor came from. */
export const utmNames = ['utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content'] as const
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
  if (added.length === 0) return address
  const hash = address.indexOf('#')
  const [front, fragment] = hash < 0 ? [address, ''] : [address.slice(0, hash), address.slice(hash)]
  const mark = front.indexOf('?')
  const [path, query] = mark < 0 ? [front, ''] : [front.slice(0, mark), front.slice(mark + 1)]
  const names = new Set(added.map(([name]) => name))
  const kept = query.split('&').filter((pair) => pair !== '' && !names.has(nameOf(pair)))
  const pairs = added.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
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
 * Where a redirect leads: the offer's stored destination with its UTM parameters, and whatever else the link carried.
 * A parameter that the destination has already, such as the affiliate's own id, is not for a link to change.
 * @param query the query of the link, without the question mark
 */
export function destinationOf(offer: Linked, query: string): string {
  const own = new Set(new URL(offer.destination_url).searchParams.keys())
  const carried = [...new URLSearchParams(query)].filter(
    ([name]) => name !== variationParameter && !own.has(name),
  )
  const named = new Set(carried.map(([name]) => name))
  const ours = utmOf(offer).filter(([name]) => !own.has(name) && !named.has(name))
  return withParameters(offer.destination_url, [...ours, ...carried])
}
