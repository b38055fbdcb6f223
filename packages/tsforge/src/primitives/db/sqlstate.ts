/** What a PostgreSQL error says about itself, as `pg` and PGlite hand it on. */
export interface PostgresFault {
  /** SQLSTATE, five characters. */
  readonly code: string
  readonly message: string
  readonly constraint?: string
  readonly column?: string
  /** Character in the statement, from 1, as text. */
  readonly position?: string
  readonly detail?: string
}

// Not any five letters: EPIPE is not an SQLSTATE.
const sqlState = /^(?:[0-9][0-9A-Z]|F0|HV|P0|XX)[0-9A-Z]{3}$/

/** The PostgreSQL error in `error` or among its causes. */
export function postgresFault(error: unknown): PostgresFault | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string' && sqlState.test(code)) return at as unknown as PostgresFault
  }
  return undefined
}

/** The SQLSTATE in `error` or among its causes. */
export function sqlStateOf(error: unknown): string | undefined {
  return postgresFault(error)?.code
}
