import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Declarations } from '../../kernel/plugin.ts'
import type { Jobs } from './jobs.ts'
import { parseQueue } from './options.ts'
import type { JobsOptions } from './options.ts'
import { createRunner } from './runner/create-runner.ts'
import type { Runner } from './runner/runner.ts'
import type { JobHandler } from './runner/handler.ts'

export interface WorkerParts {
  readonly jobs: Jobs
  readonly options: JobsOptions
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

const careEveryMs = 3_600_000
const firstCareMs = 60_000

/** What an app runs of its jobs: the runner of all declared handlers, and the care for the store. */
export class Worker {
  handlers: readonly JobHandler[] = []
  readonly #parts: WorkerParts
  #runner: Runner | undefined
  #care: Timer | undefined
  #stopped = false

  constructor(parts: WorkerParts) {
    this.#parts = parts
  }

  /** Of the handlers that the app declares. It runs only where the app works. */
  get runner(): Runner {
    if (this.#runner === undefined) throw new Error('the handlers are not declared yet')
    return this.#runner
  }

  /** The store does not answer the runner. */
  get failing(): boolean {
    return this.#runner?.status.failing === true
  }

  /** Throws `jobs.definition_invalid`. */
  declare({ jobs: handlers }: Declarations): void {
    const { jobs, options, clock, log, metrics } = this.#parts
    const { concurrency, leaseMs, pollMs, timeoutMs, graceMs, queues } = options
    this.handlers = handlers as readonly JobHandler[]
    this.#runner = createRunner({
      jobs,
      handlers: this.handlers,
      clock,
      log,
      metrics,
      options: {
        concurrency,
        leaseMs,
        pollMs,
        timeoutMs,
        graceMs,
        ...(queues !== undefined && { queues: queues.map(parseQueue) }),
      },
    })
  }

  start(): void {
    if (this.#parts.options.worker === 'off') return
    // Without a handler there is nothing to claim, and somebody else to rescue.
    if (this.handlers.length > 0) this.runner.start()
    this.#plan(firstCareMs)
  }

  async drain(signal: AbortSignal): Promise<void> {
    this.#stopped = true
    this.#care?.cancel()
    await this.#runner?.drain(signal)
  }

  async stop(): Promise<void> {
    await this.#runner?.stop()
  }

  /** Somewhere in the second half of the time, so that processes that started together take turns. */
  #plan(ms: number): void {
    if (this.#stopped) return
    this.#care = this.#parts.clock.after(ms * (0.5 + 0.5 * Math.random()), () => void this.#maintain())
  }

  async #maintain(): Promise<void> {
    const { jobs, options, log } = this.#parts
    try {
      const done = await jobs.driver.maintain(options)
      if (done.partitionsDropped.length > 0 || done.deadRemoved > 0) log.info({ ...done }, 'old jobs were removed')
    } catch (error) {
      log.warn({ err: error }, 'the store of jobs could not be cared for; trying again later')
    } finally {
      this.#plan(careEveryMs)
    }
  }
}
