import type { SignedRequest } from './scheme.ts'

/** A header that was given once. `null`: given in several values, which no sender does. */
export function readHeader({ headers }: Pick<SignedRequest, 'headers'>, name: string): string | null | undefined {
  const value = headers[name]
  if (value === undefined || value === '') return undefined
  return typeof value === 'string' ? value : null
}
