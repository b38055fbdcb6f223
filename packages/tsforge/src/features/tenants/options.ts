import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface MembershipsOptions {
  readonly cacheTtlMs: number
  readonly cacheEntries: number
}

export const membershipsOptions: OptionsSchema<MembershipsOptions> = {
  cacheTtlMs: field.duration('FORGE_MEMBERSHIPS_CACHE_TTL', {
    doc: 'How long a membership is believed where no notification came. 0 asks the database each time.',
    default: '4s',
    max: '5s',
  }),
  cacheEntries: field.integer('FORGE_MEMBERSHIPS_CACHE_ENTRIES', {
    doc: 'Memberships kept in memory.',
    default: 10_000,
    min: 0,
  }),
}
