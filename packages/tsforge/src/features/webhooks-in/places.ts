import type { Headers, VerifiedRequest } from './verifier.ts'

/** Where a value stands: a header, or a path in the JSON body, e.g. `data.id`. */
export type Place = { readonly header: string } | { readonly field: string }

export function at({ headers, json }: VerifiedRequest, place: Place): string | undefined {
  return 'header' in place ? single(headers, place.header.toLowerCase()) : textAt(json, place.field)
}

export function single(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** A text (or a whole number as text) in a JSON value, by its path. */
export function textAt(json: unknown, path: string): string | undefined {
  let value = json
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return typeof value === 'string' ? value : Number.isSafeInteger(value) ? String(value) : undefined
}
