/** The words in which the wire and the database speak about versions of a row. */
import { defineErrors } from './errors.ts'
import type { ErrorCatalogue } from './errors.ts'

export type PreconditionErrorCode = 'precondition.required' | 'precondition.failed' | 'precondition.malformed'

export const preconditionErrors: ErrorCatalogue<PreconditionErrorCode> = defineErrors({
  'precondition.required': {
    status: 428,
    message: { en: 'This change needs an If-Match header.', id: 'Perubahan ini memerlukan header If-Match.' },
    fix: 'Read the resource and send its ETag as If-Match.',
  },
  'precondition.failed': {
    status: 412,
    message: {
      en: 'The resource is not in the state that the request names.',
      id: 'Sumber daya tidak dalam keadaan yang disebut permintaan.',
    },
    fix: 'Read it again and repeat the change with its current ETag.',
  },
  'precondition.malformed': {
    status: 400,
    message: {
      en: 'The {header} header is not a list of entity tags.',
      id: 'Header {header} bukan daftar entity tag.',
    },
    fix: 'Send ETags as they came, quotes included, comma-separated, or *.',
  },
})

/** Which version of a row the caller has seen. Made by hand, or from If-Match as the `expected` of a call. */
export interface Expected {
  /** The write happens only when the row has this version (or one of these). Absent: whatever it has. */
  readonly version?: number | readonly number[]
  /** A mismatch is `precondition.failed` (412), because a header named the version. */
  readonly precondition?: boolean
}

/** Whether `expected` allows a row of the version `current`. */
export function allows({ version }: Expected, current: number): boolean {
  return version === undefined || (typeof version === 'number' ? version === current : version.includes(current))
}
