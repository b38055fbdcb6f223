import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import { isCount, isName, longestMs } from '../define-job.ts'
import { jobsErrors } from '../errors.ts'
import type { Jobs } from '../jobs.ts'
import type { JobHandler } from './handler.ts'

/** A queue as one runner serves it. What holds over all processes is set by `jobs.configure`. */
export interface RunnerQueue {
  readonly name: string
  /** Its part when several queues have work, in relation to the others. Default 1. */
  readonly weight?: number
  /** Most jobs of it at once in this process. Default: the runner's; of others beside `default` three quarters of that. */
  readonly concurrency?: number
}

export interface RunnerOptions {
  /** Jobs that run at once in this process. Default 50. */
  readonly concurrency?: number
  /** Default: the queue `default` and those of the handlers' kinds, of equal weight. */
  readonly queues?: readonly RunnerQueue[]
  /** How long a silent process keeps its jobs before others run them. Default 30 s. */
  readonly leaseMs?: number
  /** How often an idle queue is looked at although nobody has called. Default 1 s. */
  readonly pollMs?: number
  /** For one run of kinds that say nothing. Default 15 min. */
  readonly timeoutMs?: number
  /** A stopping runner waits for so long for what runs. Default 10 s. */
  readonly graceMs?: number
  /** Jobs in stock at most, per queue; how many there are follows from how fast they run. Default 2000; 0 for none. */
  readonly prefetch?: number
  /** Wait of jobs whose process died, full jitter. Default 1 s to 5 min. */
  readonly rescueBackoff?: { readonly baseMs: number; readonly capMs: number }
  /** Unique for ever. Default: host, process and 8 random bytes. */
  readonly worker?: string
}

export interface RunnerSettings {
  readonly jobs: Jobs
  readonly handlers: readonly JobHandler[]
  readonly options?: RunnerOptions
  readonly clock?: Clock
  readonly log?: Log
  readonly metrics?: Metrics
}

/** With all defaults. */
export type Resolved = Required<Omit<RunnerOptions, 'queues'>> & { readonly queues: readonly Required<RunnerQueue>[] }

/** Throws `jobs.option_invalid`. */
export function resolve(options: RunnerOptions, handlers: readonly JobHandler[], worker: string): Resolved {
  const { concurrency = 50, leaseMs = 30_000, pollMs = 1000, timeoutMs = 900_000, graceMs = 10_000 } = options
  const { prefetch = 2000, rescueBackoff = { baseMs: 1000, capMs: 300_000 } } = options
  const named = options.queues ?? queuesOf(handlers)
  // A queue whose jobs are slow, such as webhooks to a server that hangs, leaves places to the others.
  const share = (name: string): number =>
    named.length === 1 || name === 'default' ? concurrency : Math.ceil(concurrency * 0.75)
  const queues = named.map(({ name, weight = 1, concurrency: most = share(name) }) => ({
    name,
    weight,
    concurrency: Math.min(most, concurrency),
  }))
  const must = (right: boolean, option: string, reason: string): void => {
    if (!right) throw jobsErrors.error('jobs.option_invalid', { meta: { kind: 'runner', option, reason } })
  }
  must(isCount(concurrency, 100_000), 'concurrency', 'a whole number from 1')
  must(isCount(leaseMs, longestMs) && leaseMs >= 100, 'leaseMs', 'at least 100 ms')
  must(isCount(pollMs, longestMs), 'pollMs', 'a whole number of milliseconds')
  must(isCount(timeoutMs, longestMs), 'timeoutMs', 'a whole number of milliseconds')
  must(graceMs >= 0, 'graceMs', 'milliseconds')
  must(Number.isInteger(prefetch) && prefetch >= 0, 'prefetch', 'a whole number from 0')
  must(queues.length > 0, 'queues', 'at least one queue')
  must(new Set(queues.map(({ name }) => name)).size === queues.length, 'queues', 'each queue once')
  for (const queue of queues) {
    must(isName(queue.name), 'queues', 'names of 1 to 128 letters, digits and ._:-')
    must(queue.weight > 0 && Number.isFinite(queue.weight), 'queues', 'a weight is a number above 0')
    must(isCount(queue.concurrency, 100_000), 'queues', 'concurrency is a whole number from 1')
  }
  return { concurrency, queues, leaseMs, pollMs, timeoutMs, graceMs, prefetch, rescueBackoff, worker }
}

function queuesOf(handlers: readonly JobHandler[]): readonly RunnerQueue[] {
  return [...new Set(['default', ...handlers.map(({ job }) => job.queue)])].map((name) => ({ name }))
}
