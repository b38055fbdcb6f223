import type { ForgeError } from '../../kernel/errors.ts'
import { redisErrors } from './errors.ts'
import type { RedisErrorCode } from './errors.ts'

/** First words of the server's errors that mean more than "this command was wrong". */
const codes: Readonly<Record<string, RedisErrorCode>> = {
  READONLY: 'redis.read_only',
  // It cannot save to disk, or has too few replicas, and is configured to refuse writes then.
  MISCONF: 'redis.read_only',
  NOREPLICAS: 'redis.read_only',
  OOM: 'redis.out_of_memory',
  LOADING: 'redis.unavailable',
  BUSY: 'redis.unavailable',
  MASTERDOWN: 'redis.unavailable',
  CLUSTERDOWN: 'redis.unavailable',
  TRYAGAIN: 'redis.unavailable',
  UNKILLABLE: 'redis.unavailable',
}

/** What a connection gave, as an error of ours. `stalled`: it was cut because an answer was overdue. */
export function redisFault(error: unknown, stalled = false): ForgeError {
  if (redisErrors.is(error)) return error
  const word = serverError(error)
  if (word === undefined) return redisErrors.error(stalled ? 'redis.timeout' : 'redis.unavailable', { cause: error })
  return redisErrors.error(codes[word] ?? 'redis.command', { cause: error })
}

/**
 * The first word of an error that the server sent (`ERR`, `WRONGTYPE`); undefined for all other errors. Told by its form,
 * in capitals and without a code of Node's, since a bundler may rename the classes of the package.
 */
export function serverError(error: unknown): string | undefined {
  if (!(error instanceof Error) || 'code' in error) return undefined
  const word = /^([A-Z][A-Z0-9]{2,})(?: |$)/.exec(error.message)?.[1]
  if (word !== 'ERR') return word
  // Servers before 7 wrap what a script ran into.
  return /^ERR Error running script .*: -?(READONLY|OOM|MISCONF|NOREPLICAS) /s.exec(error.message)?.[1] ?? word
}
