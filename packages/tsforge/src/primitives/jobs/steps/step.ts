import type { Duration } from '../../../kernel/durations.ts'
import type { Queryable } from '../../db/index.ts'
import type { JobError, JobId } from '../driver.ts'
import type { Job } from '../job.ts'
import type { EnqueueOptions } from '../jobs.ts'

/** What was sent with `signal`. */
export interface Signal<Payload = unknown> {
  readonly id: number
  /** Milliseconds since the epoch, by the clock of the store. */
  readonly at: number
  readonly payload: Payload
}

export interface WaitOptions {
  /** 1 to 200 characters. Where many jobs wait, put what tells them apart into the name: `payment.received:42`. */
  readonly event: string
  /** The payload has to contain this (as PostgreSQL's `jsonb @>`). Default: every payload will do. */
  readonly match?: Readonly<Record<string, unknown>>
  /** Up to 100 years. Default: for ever. */
  readonly timeoutMs?: number
  /**
   * Signals that came so long before the wait are found as well: the oldest that this job has not taken. At most a day,
   * which is how long signals are kept. Default: since the job was added.
   */
  readonly lookbackMs?: number
}

export interface FanOutOptions extends Omit<EnqueueOptions, 'dedupe'> {
  /** When one child fails, the others are cancelled. Default false: they run on. */
  readonly failFast?: boolean
}

/** Jobs that this one has added. Plain data: what `join` needs to find them again. */
export interface Children<Output = unknown> {
  readonly step: string
  /** Of types only. */
  readonly output?: Output
}

export interface ChildResult<Output = unknown> {
  readonly id: JobId
  readonly name: string
  /** `dead`: no attempts left, or given up by its handler. */
  readonly state: 'done' | 'dead' | 'cancelled'
  /** What its handler gave; `null` for nothing. */
  readonly output: Output | undefined
  readonly error: JobError | undefined
}

export interface JoinOptions {
  /**
   * `throw`: `ChildrenFailed`, which nobody catches ends this job as dead, since no further attempt could help.
   * `collect`: gives the results, failures among them. Default `throw`.
   */
  readonly onFailure?: 'throw' | 'collect'
}

/**
 * What makes a handler durable. It is run from its beginning at each attempt and after each wait; steps that have ended give
 * at once what they gave before, so that it comes to where it was. Hence: the same steps in the same order each time, and
 * whatever differs from run to run (time, random numbers, reads) inside of a step.
 *
 * Names: 1 to 128 letters, digits and ._:-, each once in a run, at most 1000. Results are JSON of at most 256 KiB.
 * Steps may be started together (`Promise.all`) when each run starts them in the same order.
 */
export interface Step {
  /**
   * Runs `fn` once and remembers what it gave. What it throws is not remembered: the attempt fails, and the next one runs it
   * again. It is also run again when the process dies, or its lease is lost, before the result is stored.
   */
  run<Result>(name: string, fn: () => Result | Promise<Result>): Promise<Result>
  /**
   * As `run`, with the result stored in the transaction that `fn` works in: both or neither, and never twice.
   * `fn` may be called again when the database asks for it. Only with the PostgreSQL driver.
   */
  tx<Result>(name: string, fn: (tx: Queryable) => Promise<Result>): Promise<Result>
  /** Goes on after this long. No worker is held meanwhile and no attempt counted; up to 100 years. */
  sleep(name: string, duration: Duration): Promise<void>
  sleepUntil(name: string, moment: Date): Promise<void>
  /** Waits for a signal, holding no worker. `undefined` when the time is up. */
  waitForEvent<Payload = unknown>(name: string, options: WaitOptions): Promise<Signal<Payload> | undefined>
  /** Adds one job and waits for its output. Throws `ChildrenFailed` when it is dead or cancelled. */
  invoke<Payload, Output = unknown>(
    name: string,
    job: Job<Payload>,
    payload: Payload,
    options?: FanOutOptions,
  ): Promise<Output>
  /** Adds up to 10,000 jobs in one commit with the step, so that no attempt adds them again. */
  fanOut<Payload, Output = unknown>(
    name: string,
    job: Job<Payload>,
    payloads: readonly Payload[],
    options?: FanOutOptions,
  ): Promise<Children<Output>>
  /** Waits until all children have ended, holding no worker. Results in the order of the payloads. */
  join<Output>(children: Children<Output>, options?: JoinOptions): Promise<readonly ChildResult<Output>[]>
}
