import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface RealtimeOptions {
  readonly driver: 'log' | 'redis'
  readonly heartbeatMs: number
  readonly retryMs: number
  readonly bufferBytes: number
  readonly bufferEvents: number
  readonly recentBytes: number
  readonly maxStreams: number
  readonly maxPerTenant: number
  readonly maxPerUser: number
  readonly ticketTtlMs: number
  readonly redisLength: number
}

export const realtimeOptions: OptionsSchema<RealtimeOptions> = {
  driver: field.oneOf('FORGE_REALTIME_DRIVER', {
    doc: 'Where processes read events. `log`: each by itself from the log of events; `redis`: one copies the log into Redis for all',
    values: ['log', 'redis'],
    default: 'log',
  }),
  heartbeatMs: field.duration('FORGE_REALTIME_HEARTBEAT', {
    doc: 'Time between signs of life of a stream; below the idle time of every proxy in between',
    default: '15s',
    min: '1s',
    max: '5m',
  }),
  retryMs: field.duration('FORGE_REALTIME_RETRY', {
    doc: 'How long a browser waits before it connects again',
    default: '2s',
    min: '100ms',
    max: '5m',
  }),
  bufferBytes: field.bytes('FORGE_REALTIME_BUFFER', {
    doc: 'What may wait for a slow reader beyond the buffers of the kernel, until its connection is cut',
    default: '1mb',
    min: '16kb',
  }),
  bufferEvents: field.integer('FORGE_REALTIME_BUFFER_EVENTS', {
    doc: 'The same in events',
    default: 1000,
    min: 1,
  }),
  recentBytes: field.bytes('FORGE_REALTIME_RECENT', {
    doc: 'The newest events that stay in memory, encoded, so that most readers who come back do not ask the store',
    default: '4mb',
    min: 0,
  }),
  maxStreams: field.integer('FORGE_REALTIME_MAX_STREAMS', {
    doc: 'Open streams of one process (503); each takes one of FORGE_HTTP_MAX_CONNECTIONS',
    default: 8000,
    min: 1,
  }),
  maxPerTenant: field.integer('FORGE_REALTIME_MAX_PER_TENANT', {
    doc: 'Open streams of one tenant in one process (429)',
    default: 2000,
    min: 1,
  }),
  maxPerUser: field.integer('FORGE_REALTIME_MAX_PER_USER', {
    doc: 'Open streams of one user in one process (429)',
    default: 20,
    min: 1,
  }),
  ticketTtlMs: field.duration('FORGE_REALTIME_TICKET_TTL', {
    doc: 'How long a ticket for a stream can be used',
    default: '30s',
    min: '1s',
    max: '5m',
  }),
  redisLength: field.integer('FORGE_REALTIME_REDIS_LENGTH', {
    doc: 'Events that the copy in Redis holds; readers further behind ask the log',
    default: 10_000,
    min: 100,
  }),
}
