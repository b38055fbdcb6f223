import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface EventsOptions {
  readonly driver: 'postgres' | 'memory'
  readonly dispatcher: 'on' | 'off'
  readonly source: string | undefined
  readonly retentionMs: number
  readonly deadMs: number
  readonly leaseMs: number
  readonly pollMs: number
  readonly graceMs: number
  readonly dataLimit: number
}

export const eventsOptions: OptionsSchema<EventsOptions> = {
  driver: field.oneOf('FORGE_EVENTS_DRIVER', {
    doc: 'Where events are kept. `memory`: in this process, gone with it',
    values: ['postgres', 'memory'],
    default: 'postgres',
    production: (driver) => (driver === 'memory' ? 'events would be lost with the process' : undefined),
  }),
  dispatcher: field.oneOf('FORGE_EVENTS_DISPATCHER', {
    doc: 'Whether `forge start` also delivers events; `off` where `forge worker` does',
    values: ['on', 'off'],
    default: 'on',
  }),
  source: field.optional(
    field.string('FORGE_EVENTS_SOURCE', {
      doc: '`source` of every event, a URI reference. Default: `/` and the name of the app',
      check: (source) =>
        /^[^\s]{1,200}$/.test(source) ? undefined : 'must be a URI reference of at most 200 characters',
    }),
  ),
  retentionMs: field.duration('FORGE_EVENTS_RETENTION', {
    doc: 'How long events are kept, in whole days; longer while a subscription has not had them',
    default: '7d',
    min: '1d',
    max: '3650d',
  }),
  deadMs: field.duration('FORGE_EVENTS_DEAD_RETENTION', {
    doc: 'How long dead events are kept',
    default: '30d',
    min: '1d',
    max: '3650d',
  }),
  leaseMs: field.duration('FORGE_EVENTS_LEASE', {
    doc: 'How long a silent process keeps its subscriptions before another one goes on with them',
    default: '10s',
    min: '1s',
    max: '1h',
  }),
  pollMs: field.duration('FORGE_EVENTS_POLL', {
    doc: 'How often the log is looked at although nobody has called',
    default: '1s',
    min: '50ms',
    max: '30s',
  }),
  graceMs: field.duration('FORGE_EVENTS_GRACE', {
    doc: 'How long a stopping process waits for running handlers; at most 0.45 of FORGE_SHUTDOWN_TIMEOUT is available',
    default: '10s',
    min: 0,
  }),
  dataLimit: field.bytes('FORGE_EVENTS_DATA_LIMIT', {
    doc: 'Bytes of JSON that the data of an event may take',
    default: '256kb',
    min: '1kb',
  }),
}
