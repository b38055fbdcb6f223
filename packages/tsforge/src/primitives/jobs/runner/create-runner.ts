import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { Engine } from './engine.ts'
import { handlersByKind } from './handler.ts'
import { Kind } from './kind.ts'
import { Meter } from './meter.ts'
import { resolve } from './settings.ts'
import type { RunnerSettings } from './settings.ts'

export interface RunnerStatus {
  readonly state: 'new' | 'running' | 'draining' | 'stopped'
  /** Handlers at work. */
  readonly running: number
  /** Claimed and not started. */
  readonly stock: number
  /** Ends of runs that are not stored yet. */
  readonly unreported: number
  /** The store has not answered the latest statement. */
  readonly failing: boolean
}

export interface Runner {
  readonly worker: string
  readonly status: RunnerStatus
  /** Begins to claim and run jobs. The store may be away: it is tried until it answers. Never throws. */
  start(): void
  /**
   * Claims no more, hands back at once what has not started, and waits for what runs: until it is done, `graceMs` have
   * passed or the signal is aborted. Never rejects.
   */
  drain(signal?: AbortSignal): Promise<void>
  /** Aborts what still runs, hands it back and leaves. Never rejects; bounded by seconds. */
  stop(): Promise<void>
  /**
   * Runs everything that is due, and what that adds, until nothing is; gives how many runs there were. For tests
   * and commands, in place of `start`: no timer is needed, whatever the clock. Rejects when the store does.
   */
  runUntilIdle(): Promise<number>
}

/**
 * Runs the jobs of the handlers' kinds; others stay for whoever knows them. Throws `jobs.option_invalid` and
 * `jobs.definition_invalid`.
 */
export function createRunner({
  jobs,
  handlers,
  options = {},
  clock = systemClock,
  log = silentLog,
  metrics,
}: RunnerSettings): Runner {
  const byKind = handlersByKind(handlers)
  const worker = options.worker ?? `${hostname().slice(0, 60)}:${process.pid}:${randomBytes(8).toString('hex')}`
  const resolved = resolve(options, handlers, worker)
  const meter = new Meter(clock, metrics)
  const kinds = new Map([...byKind].map(([name, handler]) => [name, new Kind(handler, meter)]))
  return new Engine({ jobs, kinds, options: resolved, clock, log, meter })
}
