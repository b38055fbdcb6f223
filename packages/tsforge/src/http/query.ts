/** Names to values; a name that came more than once has a list. Never has a prototype. */
export type Query = Record<string, string | string[]>

const maxPairs = 200

/** What an unreadable query becomes: bad percent-encoding, NUL, or far too many parameters. */
export const malformedQuery: Query = Object.freeze(Object.create(null) as Query)

/** Parses `a=1&b=2&b=3` (application/x-www-form-urlencoded). Returns `malformedQuery` instead of throwing. */
export function parseQuery(text: string): Query {
  const query = Object.create(null) as Query
  if (text === '') return query
  const pairs = text.split('&', maxPairs + 1)
  if (pairs.length > maxPairs) return malformedQuery
  try {
    for (const pair of pairs) {
      if (pair === '') continue
      const equals = pair.indexOf('=')
      const name = decode(equals === -1 ? pair : pair.slice(0, equals))
      const value = equals === -1 ? '' : decode(pair.slice(equals + 1))
      const known = query[name]
      if (known === undefined) query[name] = value
      else if (typeof known === 'string') query[name] = [known, value]
      else known.push(value)
    }
  } catch {
    return malformedQuery
  }
  return query
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  const decoded = spaced.includes('%') ? decodeURIComponent(spaced) : spaced
  if (decoded.includes('\0')) throw new URIError('NUL')
  return decoded
}
