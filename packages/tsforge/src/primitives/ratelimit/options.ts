import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface RatelimitOptions {
  readonly enforced: boolean
  readonly driver: 'auto' | 'memory' | 'postgres' | 'redis' | 'leased'
  readonly perIp: number
  readonly perUser: number
  readonly ipv6Prefix: number
  readonly legacyHeaders: boolean
  readonly deadlineMs: number
  readonly replicas: number
}

export const ratelimitOptions: OptionsSchema<RatelimitOptions> = {
  enforced: field.boolean('FORGE_RATELIMIT_ENFORCED', {
    doc: 'Whether routes refuse at all; off where a gateway in front limits already',
    default: true,
  }),
  driver: field.oneOf('FORGE_RATELIMIT_DRIVER', {
    doc: '`auto`: leased tokens of Redis when REDIS_URL is set, else PostgreSQL in production or with several replicas, else memory',
    values: ['auto', 'memory', 'postgres', 'redis', 'leased'],
    default: 'auto',
    production: (driver, { replicas }) =>
      driver === 'memory' && Number(replicas) > 1
        ? 'counts in each process alone: with several replicas use postgres, or redis'
        : undefined,
  }),
  perIp: field.integer('FORGE_RATELIMIT_PER_IP', {
    doc: 'Calls per minute from one network to the whole API, before anybody is authenticated; 0 for no limit',
    default: 600,
    min: 0,
  }),
  perUser: field.integer('FORGE_RATELIMIT_PER_USER', {
    doc: 'Calls per minute of one user or service to the whole API; 0 for no limit',
    default: 600,
    min: 0,
  }),
  ipv6Prefix: field.integer('FORGE_RATELIMIT_IPV6_PREFIX', {
    doc: 'Bits of an IPv6 address that make one network; providers hand out /64s, some /56s or /48s',
    default: 64,
    min: 32,
    max: 128,
  }),
  legacyHeaders: field.boolean('FORGE_RATELIMIT_LEGACY_HEADERS', {
    doc: 'Sends X-RateLimit-Limit, -Remaining and -Reset as well',
    default: false,
  }),
  deadlineMs: field.duration('FORGE_RATELIMIT_DEADLINE', {
    doc: 'Longest wait for the store of counts; then each limit follows its own policy',
    default: '40ms',
    min: 1,
  }),
  replicas: field.integer('FORGE_RATELIMIT_REPLICAS', {
    doc: 'Processes that share the limits; each has its part of them while the store is away',
    default: 1,
    min: 1,
    max: 10_000,
  }),
}
