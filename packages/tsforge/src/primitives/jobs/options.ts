import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'
import { isName } from './define-job.ts'

/** A queue that this process serves. */
export interface ServedQueue {
  readonly name: string
  readonly weight: number
  readonly concurrency?: number
}

export interface JobsOptions {
  readonly driver: 'postgres' | 'memory'
  readonly worker: 'on' | 'off'
  readonly concurrency: number
  readonly queues: readonly string[] | undefined
  readonly leaseMs: number
  readonly pollMs: number
  readonly timeoutMs: number
  readonly graceMs: number
  readonly payloadLimit: number
  readonly historyDays: number
  readonly deadDays: number
}

export const jobsOptions: OptionsSchema<JobsOptions> = {
  driver: field.oneOf('FORGE_JOBS_DRIVER', {
    doc: 'Where jobs are kept. `memory`: in this process, gone with it',
    values: ['postgres', 'memory'],
    default: 'postgres',
    production: (driver) => (driver === 'memory' ? 'jobs would be lost with the process' : undefined),
  }),
  worker: field.oneOf('FORGE_JOBS_WORKER', {
    doc: 'Whether `forge start` also runs jobs; `off` where `forge worker` does',
    values: ['on', 'off'],
    default: 'on',
  }),
  concurrency: field.integer('FORGE_JOBS_CONCURRENCY', {
    doc: 'Jobs that run at once in this process',
    default: 50,
    min: 1,
    max: 10_000,
  }),
  queues: field.optional(
    field.list<string>('FORGE_JOBS_QUEUES', {
      doc: 'Queues that this process serves, each with its weight if not 1 and the most that run at once if not three quarters of all (`default`: all), e.g. `default,mail=3,webhooks=1/10`. Default: `default` and those of all declared jobs',
      item: (raw: string) => {
        parseQueue(raw)
        return raw
      },
    }),
  ),
  leaseMs: field.duration('FORGE_JOBS_LEASE', {
    doc: 'How long a silent process keeps its jobs before others run them',
    default: '30s',
    min: '1s',
    max: '1h',
  }),
  pollMs: field.duration('FORGE_JOBS_POLL', {
    doc: 'How often an idle queue is looked at although nobody has called',
    default: '1s',
    min: '50ms',
    max: '30s',
  }),
  timeoutMs: field.duration('FORGE_JOBS_TIMEOUT', {
    doc: 'Time limit of one run, for kinds that set none',
    default: '15m',
    min: '1ms',
    max: '7d',
  }),
  graceMs: field.duration('FORGE_JOBS_GRACE', {
    doc: 'How long a stopping process waits for running jobs; at most 0.45 of FORGE_SHUTDOWN_TIMEOUT is available',
    default: '10s',
    min: 0,
  }),
  payloadLimit: field.bytes('FORGE_JOBS_PAYLOAD_LIMIT', {
    doc: 'Bytes of JSON that a payload may take',
    default: '1mb',
    min: '1kb',
  }),
  historyDays: field.integer('FORGE_JOBS_HISTORY_DAYS', {
    doc: 'Days for which finished jobs are kept',
    default: 7,
    min: 1,
    max: 3650,
  }),
  deadDays: field.integer('FORGE_JOBS_DEAD_DAYS', {
    doc: 'Days for which dead jobs are kept',
    default: 30,
    min: 1,
    max: 3650,
  }),
}

/** `mail`, `mail=3` or `mail=3/10`. Throws when it is none of them. */
export function parseQueue(text: string): ServedQueue {
  const [, name = '', weight = '1', most] = /^([^=]+)(?:=([1-9]\d{0,5})(?:\/([1-9]\d{0,4}))?)?$/.exec(text) ?? []
  if (!isName(name))
    throw new Error(`must be names of queues with whole weights and numbers, e.g. "default,mail=3,webhooks=1/10"`)
  return { name, weight: Number(weight), ...(most !== undefined && { concurrency: Number(most) }) }
}
