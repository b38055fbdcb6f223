import { ForgeError } from '../../kernel/errors.ts'
import { dbErrors } from './errors.ts'
import type { DbErrorCode } from './errors.ts'

/** What the server said about a failed statement. For code that decides, never for callers. */
export interface SqlFault {
  /** SQLSTATE (PostgreSQL documentation, appendix A). */
  readonly state: string
  readonly constraint: string | undefined
  readonly table: string | undefined
  readonly column: string | undefined
}

interface ServerError {
  readonly code: string
  readonly severity: string
  readonly message: string
  readonly constraint?: string
  readonly table?: string
  readonly column?: string
  readonly routine?: string
}

function isServerError(error: unknown): error is ServerError {
  const candidate = error as Partial<ServerError> | null
  return (
    typeof candidate === 'object' &&
    candidate !== null &&
    typeof candidate.severity === 'string' &&
    typeof candidate.code === 'string' &&
    candidate.code.length === 5
  )
}

/** The server's own words behind `error`: ours, or one that a bare `pg` client threw. `undefined` when it came from elsewhere. */
export function sqlFault(error: unknown): SqlFault | undefined {
  const source = error instanceof ForgeError ? error.cause : error
  if (!isServerError(source)) return undefined
  return { state: source.code, constraint: source.constraint, table: source.table, column: source.column }
}

/** The constraint that refused a duplicate, or `undefined` when `error` is something else. */
export function violatedUnique(error: unknown): string | undefined {
  const fault = sqlFault(error)
  return fault?.state === '23505' ? (fault.constraint ?? '') : undefined
}

const byState: Readonly<Record<string, DbErrorCode>> = {
  '22001': 'db.value_too_long',
  '22003': 'db.out_of_range',
  '22007': 'db.invalid_value',
  '22008': 'db.invalid_value',
  '22021': 'db.invalid_value',
  '22P02': 'db.invalid_value',
  '22P03': 'db.invalid_value',
  '22P05': 'db.invalid_value',
  '23502': 'db.not_null_violation',
  '23503': 'db.foreign_key_violation',
  '23001': 'db.foreign_key_violation',
  '23505': 'db.unique_violation',
  '23514': 'db.check_violation',
  '23P01': 'db.exclusion_violation',
  '25006': 'db.read_only',
  '25P03': 'db.unavailable', // idle in transaction: the server has closed the connection
  '40001': 'db.conflict',
  '40P01': 'db.conflict',
  '53000': 'db.storage_full',
  '53100': 'db.storage_full',
  '53200': 'db.storage_full',
  '53300': 'db.too_many_connections',
  '53400': 'db.too_many_connections',
  '55P03': 'db.lock_timeout',
  '57014': 'db.timeout',
  '57P01': 'db.unavailable',
  '57P02': 'db.unavailable',
  '57P03': 'db.unavailable',
  '57P05': 'db.unavailable',
}

const poolerReason = 'a pooler in transaction mode is in between: set DATABASE_PREPARED_STATEMENTS=off'

const misconfigured: Readonly<Record<string, string>> = {
  '28000': 'the server refuses this user',
  '28P01': 'the server refuses the password',
  '3D000': 'the database does not exist',
  // Our names are unique per connection; only a pooler can bring us to a server that has them already.
  '42P05': poolerReason,
}

const retryAfterMs: Partial<Record<DbErrorCode, number>> = {
  'db.unavailable': 2000,
  'db.pool_exhausted': 1000,
  'db.too_many_connections': 2000,
  'db.read_only': 2000,
  'db.storage_full': 10_000,
  'db.timeout': 1000,
  'db.lock_timeout': 1000,
  'db.conflict': 1000,
  'db.stale_plan': 1000,
}

/** Makes the error of `code` with its usual Retry-After. */
export function dbFault(code: DbErrorCode, cause?: unknown): ForgeError<DbErrorCode> {
  const after = retryAfterMs[code]
  return dbErrors.error(code, {
    ...(cause !== undefined && { cause }),
    ...(after !== undefined && { retryAfterMs: after }),
  })
}

/** Any error of `pg` as one of the catalogue. What the server did not say came from the connection. */
export function translate(error: unknown): ForgeError {
  if (error instanceof ForgeError) return error
  // A value that cannot be encoded, or rows that cannot be read: ours or the caller's mistake, not the connection's.
  if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError)
    return dbFault('db.query_failed', error)
  if (!isServerError(error)) return dbFault('db.unavailable', error)
  if (isStalePlan(error)) return dbFault('db.stale_plan', error)
  const reason =
    misconfigured[error.code] ?? (/unsupported startup parameter/.test(error.message) ? poolerReason : undefined)
  if (reason !== undefined) return dbErrors.error('db.misconfigured', { meta: { reason }, cause: error })
  const code = byState[error.code] ?? (error.code.startsWith('08') ? 'db.unavailable' : 'db.query_failed')
  return dbFault(code, error)
}

/** The table behind a prepared statement changed its shape (a migration ran): preparing it anew helps. */
export function isStalePlan(error: unknown): boolean {
  // 26000: the name is unknown to this server session, e.g. after DISCARD ALL by a pooler.
  return (
    isServerError(error) &&
    ((error.code === '0A000' && error.routine === 'RevalidateCachedQuery') || error.code === '26000')
  )
}

/** A `select`, `show`, … cannot write by itself (a function that it calls can; such calls belong in a `tx`). */
const readsOnly = /^\s*(?:select|show|table|values|explain|fetch|listen|unlisten|set)\b/i

export function canWrite(text: string): boolean {
  return !readsOnly.test(text)
}

/** What became of a statement of its own that had been sent: when the connection is gone, so is word of a write. */
export function sentFault(error: unknown, text: string): ForgeError {
  const fault = translate(error)
  return isConnectionLoss(fault) && canWrite(text) ? dbFault('db.commit_unknown', error) : fault
}

/** Whether the server asks for the whole transaction to be run again. */
export function isRetryable(error: unknown): boolean {
  return dbErrors.is(error, 'db.conflict') || dbErrors.is(error, 'db.stale_plan')
}

/** Whether the connection is gone, so that nothing is known about what it was doing. */
export function isConnectionLoss(error: unknown): boolean {
  return dbErrors.is(error, 'db.unavailable')
}
