import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface CacheOptions {
  readonly driver: 'auto' | 'memory' | 'redis' | 'postgres' | 'tiered'
  readonly ttlMs: number
  readonly graceMs: number
  readonly maxEntries: number
  readonly maxBytes: number
  readonly maxValueBytes: number
}

export const cacheOptions: OptionsSchema<CacheOptions> = {
  driver: field.oneOf('FORGE_CACHE_DRIVER', {
    doc: '`auto`: memory before Redis when REDIS_URL is set, else memory with invalidations over the database',
    values: ['auto', 'memory', 'redis', 'postgres', 'tiered'],
    default: 'auto',
  }),
  ttlMs: field.duration('FORGE_CACHE_TTL', {
    doc: 'How long values are fresh where the code says nothing',
    default: '5m',
    min: '1ms',
  }),
  graceMs: field.duration('FORGE_CACHE_GRACE', {
    doc: 'How long old values are served when loading fails, where the code says nothing',
    default: '0s',
  }),
  maxEntries: field.integer('FORGE_CACHE_MAX_ENTRIES', {
    doc: 'Most entries in the memory of a process',
    default: 100_000,
    min: 1,
    max: 10_000_000,
  }),
  maxBytes: field.bytes('FORGE_CACHE_MAX_BYTES', {
    doc: 'Most memory that entries take in a process',
    default: '64mb',
    min: '64kb',
  }),
  maxValueBytes: field.bytes('FORGE_CACHE_MAX_VALUE_BYTES', {
    doc: 'Largest value that is sent to Redis or PostgreSQL',
    default: '1mb',
    min: '1kb',
    max: '256mb',
  }),
}
