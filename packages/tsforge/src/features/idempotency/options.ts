import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface IdempotencyOptions {
  readonly driver: 'auto' | 'postgres' | 'redis' | 'memory'
  readonly ttlMs: number
  readonly leaseMs: number
  readonly waitMs: number
  readonly waiters: number
  readonly answerBytes: number
  readonly onLoss: 'closed' | 'open'
}

export const idempotencyOptions: OptionsSchema<IdempotencyOptions> = {
  driver: field.oneOf('FORGE_IDEMPOTENCY_DRIVER', {
    doc: 'Where keys are kept. `auto`: postgres, the only one whose record commits with the effect.',
    default: 'auto',
    values: ['auto', 'postgres', 'redis', 'memory'],
    production: (value) =>
      value === 'memory' ? 'must not be memory: a restart would forget what was carried out' : undefined,
  }),
  ttlMs: field.duration('FORGE_IDEMPOTENCY_TTL', {
    doc: 'How long an answer is replayed.',
    default: '24h',
    min: '1m',
    max: '30d',
  }),
  leaseMs: field.duration('FORGE_IDEMPOTENCY_LEASE', {
    doc: 'How long the key of a process that died stays taken. Living ones extend it.',
    default: '30s',
    min: '1s',
    max: '5m',
  }),
  waitMs: field.duration('FORGE_IDEMPOTENCY_WAIT', {
    doc: 'How long a repeated request waits for the first one before 409, 0 for not at all.',
    default: '1s',
    max: '10s',
  }),
  waiters: field.integer('FORGE_IDEMPOTENCY_WAITERS', {
    doc: 'Most requests of a process that wait at once; one key may take a quarter of them.',
    default: 200,
    min: 0,
  }),
  answerBytes: field.bytes('FORGE_IDEMPOTENCY_ANSWER_LIMIT', {
    doc: 'Largest answer that is kept. Larger ones are not replayed: later tries get 410, and nothing is carried out twice.',
    default: '256kb',
  }),
  onLoss: field.oneOf('FORGE_IDEMPOTENCY_ON_LOSS', {
    doc: 'Requests with a key while the store is away: `closed` answers 503, `open` carries them out unprotected.',
    default: 'closed',
    values: ['closed', 'open'],
  }),
}
