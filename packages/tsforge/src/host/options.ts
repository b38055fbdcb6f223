import { field } from '../kernel/options.ts'
import type { OptionsSchema, Secret } from '../kernel/options.ts'

export interface HostOptions {
  readonly secret: Secret | undefined
  readonly previousSecrets: Secret | undefined
  readonly migrate: 'auto' | 'check' | 'off' | undefined
  readonly drainGraceMs: number | undefined
  readonly shutdownTimeoutMs: number
  readonly healthBudgetMs: number
  readonly metricsToken: Secret | undefined
}

export const hostOptions: OptionsSchema<HostOptions> = {
  secret: field.optional(
    field.secret('FORGE_SECRET', {
      doc: 'Root of all keys of the app. In development it is made once and kept in .forge/secret. Make one with: openssl rand -base64 48',
    }),
    { requiredInProduction: true },
  ),
  previousSecrets: field.optional(
    field.secret('FORGE_SECRET_PREVIOUS', {
      doc: 'Former values of FORGE_SECRET, comma separated, newest first; what they sealed stays readable.',
    }),
  ),
  migrate: field.optional(
    field.oneOf('FORGE_MIGRATE', {
      doc: 'At start: `auto` applies pending migrations, `check` refuses to start with pending ones, `off` does not look. Default: auto, and check in production.',
      values: ['auto', 'check', 'off'],
    }),
  ),
  drainGraceMs: field.optional(
    field.duration('FORGE_DRAIN_GRACE', {
      doc: 'How long a stopping process keeps serving after /readyz says 503, so that load balancers notice. Default: 5s in production, otherwise 0.',
      max: '10m',
    }),
  ),
  shutdownTimeoutMs: field.duration('FORGE_SHUTDOWN_TIMEOUT', {
    doc: 'Upper bound for everything after the grace period; what is still running then is cut off.',
    default: '25s',
    min: '1s',
    max: '1h',
  }),
  healthBudgetMs: field.duration('FORGE_HEALTH_BUDGET', {
    doc: 'How long the checks of /readyz may take together.',
    default: '2s',
    min: '100ms',
    max: '30s',
  }),
  metricsToken: field.optional(
    field.secret('FORGE_METRICS_TOKEN', {
      doc: 'Bearer token of /metrics. Without one the route is open to this machine in development and absent in production.',
      minLength: 16,
    }),
  ),
}
