import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface WebhooksInOptions {
  readonly bodyBytes: number
  readonly retentionMs: number
  readonly memoryMs: number
}

export const webhooksInOptions: OptionsSchema<WebhooksInOptions> = {
  bodyBytes: field.bytes('FORGE_WEBHOOKS_IN_BODY_LIMIT', {
    doc: 'Largest webhook that is taken, unless its source says otherwise.',
    default: '1mb',
    max: '64mb',
  }),
  retentionMs: field.duration('FORGE_WEBHOOKS_IN_RETENTION', {
    doc: 'How long handled and dead deliveries are kept, to look at and to replay.',
    default: '30d',
    // More than the widest tolerance, that of SNS: by then no signature with a time is worth anything.
    min: '2h',
    max: '3650d',
  }),
  memoryMs: field.duration('FORGE_WEBHOOKS_IN_MEMORY', {
    doc: 'How long the ids of deliveries are remembered whose signature never expires (GitHub, Shopify): who captured one could send it again afterwards.',
    default: '365d',
    min: '1d',
    max: '3650d',
  }),
}
