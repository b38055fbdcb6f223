import { field } from '../../kernel/options.ts'
import type { OptionsSchema, Siblings } from '../../kernel/options.ts'

export interface AccountsOptions {
  readonly accessTtlMs: number
  readonly refreshIdleMs: number
  readonly refreshAbsoluteMs: number
  readonly refreshGraceMs: number
  readonly maxSessions: number
  readonly hashMemoryBytes: number
  readonly hashPasses: number
  readonly hashLanes: number
  /** `undefined`: from the machine's cores. */
  readonly hashConcurrency: number | undefined
  readonly hashQueue: number
  readonly hashInsecure: boolean
}

/** OWASP's least for Argon2id. */
export const hashFloor: { readonly memoryBytes: number; readonly passes: number; readonly lanes: number } = {
  memoryBytes: 19 * 1024 * 1024,
  passes: 2,
  lanes: 1,
}

const floor = (reached: boolean, { hashInsecure }: Siblings, complaint: string): string | undefined =>
  reached || hashInsecure === true ? undefined : complaint

export const accountsOptions: OptionsSchema<AccountsOptions> = {
  accessTtlMs: field.duration('FORGE_ACCOUNTS_ACCESS_TTL', {
    doc: 'Life of an access token.',
    default: '15m',
    min: '10s',
    max: '1h',
  }),
  refreshIdleMs: field.duration('FORGE_ACCOUNTS_REFRESH_IDLE', {
    doc: 'A session that is not refreshed for this long has ended.',
    default: '7d',
    min: '1m',
  }),
  refreshAbsoluteMs: field.duration('FORGE_ACCOUNTS_REFRESH_ABSOLUTE', {
    doc: 'A session ends this long after its login, however busy it is.',
    default: '30d',
    min: '1m',
  }),
  refreshGraceMs: field.duration('FORGE_ACCOUNTS_REFRESH_GRACE', {
    doc: 'For this long a used refresh token gets the same pair again, for an answer that was lost on its way.',
    default: '10s',
    max: '1m',
  }),
  maxSessions: field.integer('FORGE_ACCOUNTS_MAX_SESSIONS', {
    doc: 'Sessions of one user at a time; a login beyond ends the one used longest ago.',
    default: 100,
    min: 1,
    max: 1000,
  }),
  hashInsecure: field.boolean('FORGE_ACCOUNTS_HASH_INSECURE', {
    doc: 'Allows hashes weaker than 19 MiB, 2 passes, 1 lane. Only in the environment "test".',
    default: false,
    production: (value) => (value ? 'must not be set in production' : undefined),
  }),
  hashMemoryBytes: field.bytes('FORGE_ACCOUNTS_HASH_MEMORY', {
    doc: 'Argon2id: memory of one hash.',
    default: '64mb',
    check: (value, siblings) => floor(value >= hashFloor.memoryBytes, siblings, 'must be at least 19mb'),
    min: '64kb',
    max: '1gb',
  }),
  hashPasses: field.integer('FORGE_ACCOUNTS_HASH_PASSES', {
    check: (value, siblings) => floor(value >= hashFloor.passes, siblings, 'must be at least 2'),
    doc: 'Argon2id: passes over the memory.',
    default: 3,
    min: 1,
    max: 16,
  }),
  hashLanes: field.integer('FORGE_ACCOUNTS_HASH_LANES', { doc: 'Argon2id: lanes.', default: 2, min: 1, max: 16 }),
  hashConcurrency: field.optional(
    field.integer('FORGE_ACCOUNTS_HASH_CONCURRENCY', {
      doc: 'Hashes at the same time; unset: as many as cores, at most 3.',
      min: 1,
      max: 64,
    }),
  ),
  hashQueue: field.integer('FORGE_ACCOUNTS_HASH_QUEUE', {
    doc: 'Hashes that may wait; one more is answered 503 with Retry-After.',
    default: 128,
    min: 0,
    max: 10_000,
  }),
}
