import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface QuotaOptions {
  readonly leaseMs: number
  readonly retentionMs: number
  readonly whenLost: 'closed' | 'open'
}

export const quotaOptions: OptionsSchema<QuotaOptions> = {
  leaseMs: field.duration('FORGE_QUOTA_LEASE', {
    doc: 'How long a reservation holds its units when it does not say so itself.',
    default: '5m',
    min: '1s',
    max: '1d',
  }),
  retentionMs: field.duration('FORGE_QUOTA_RETENTION', {
    doc: 'How long past periods of days and months, and the events of limits, are kept.',
    default: '400d',
    min: '32d',
  }),
  whenLost: field.oneOf('FORGE_QUOTA_WHEN_LOST', {
    values: ['closed', 'open'],
    doc: 'What routes under a quota do when usage cannot be counted: refuse with 503, or let through uncounted.',
    default: 'closed',
  }),
}
