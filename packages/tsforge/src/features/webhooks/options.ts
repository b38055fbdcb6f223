import { formatDuration, parseDuration } from '../../kernel/durations.ts'
import type { Duration } from '../../kernel/durations.ts'
import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'
import type { Secret } from '../../kernel/secret.ts'

export interface WebhooksOptions {
  readonly endpoints: number
  readonly timeoutMs: number
  readonly scheduleMs: readonly number[]
  readonly concurrency: number
  readonly bodyBytes: number
  readonly overlapMs: number
  readonly disableAfterMs: number
  readonly retentionMs: number
  readonly certificate: string | undefined
  readonly certificateKey: Secret | undefined
  readonly certificateAuthority: string | undefined
}

export const webhooksOptions: OptionsSchema<WebhooksOptions> = {
  endpoints: field.integer('FORGE_WEBHOOKS_ENDPOINTS', {
    doc: 'Endpoints that a tenant may have',
    default: 50,
    min: 1,
    max: 10_000,
  }),
  timeoutMs: field.duration('FORGE_WEBHOOKS_TIMEOUT', {
    doc: 'Longest attempt, from the name of the host to the end of its answer',
    default: '15s',
    min: '100ms',
    max: '1m',
  }),
  scheduleMs: field.list<number>('FORGE_WEBHOOKS_SCHEDULE', {
    doc: 'Waits between attempts, each followed by full jitter: up to as long again; the first attempt is made at once',
    default: [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000],
    item: (raw) => {
      const ms = parseDuration(raw as Duration)
      if (ms < 1000 || ms > 7 * 86_400_000) throw new Error('must be durations of 1s to 7d, such as 5s,5m,2h')
      return ms
    },
    show: formatDuration,
    check: (waits) => (waits.length <= 30 ? undefined : 'may name at most 30 waits'),
  }),
  concurrency: field.integer('FORGE_WEBHOOKS_CONCURRENCY', {
    doc: 'Attempts at one endpoint at the same time, over all processes, where it sets no number of its own',
    default: 10,
    min: 1,
    max: 1000,
  }),
  bodyBytes: field.bytes('FORGE_WEBHOOKS_BODY_LIMIT', {
    doc: 'Longest body that is sent',
    default: '256kb',
    min: '1kb',
    max: '10mb',
  }),
  overlapMs: field.duration('FORGE_WEBHOOKS_OVERLAP', {
    doc: 'How long a rotated secret goes on signing beside the new one, where a rotation does not say',
    default: '24h',
    max: '30d',
  }),
  disableAfterMs: field.duration('FORGE_WEBHOOKS_DISABLE_AFTER', {
    doc: 'An endpoint with nothing but failures for so long is disabled',
    default: '5d',
    min: '1h',
    max: '90d',
  }),
  retentionMs: field.duration('FORGE_WEBHOOKS_RETENTION', {
    doc: 'How long messages, deliveries and attempts are kept; within it an event is never delivered to an endpoint twice',
    default: '30d',
    min: '1d',
    max: '3650d',
  }),
  certificate: field.optional(
    field.string('FORGE_WEBHOOKS_CERTIFICATE', {
      doc: 'Client certificate (PEM) that is shown to endpoints (mutual TLS)',
    }),
  ),
  certificateKey: field.optional(field.secret('FORGE_WEBHOOKS_CERTIFICATE_KEY', { doc: 'Its private key (PEM)' })),
  certificateAuthority: field.optional(
    field.string('FORGE_WEBHOOKS_CERTIFICATE_AUTHORITY', {
      doc: 'Certificates (PEM) that endpoints are checked against with it, in place of the public ones',
    }),
  ),
}
