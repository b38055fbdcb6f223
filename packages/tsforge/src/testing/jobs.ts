import { AsyncLocalStorage } from 'node:async_hooks'
import type { App } from '../host/app.ts'
import { createRunner, jobFinished, jobsAdded, jobsPort, schedulesPort } from '../primitives/jobs/index.ts'
import type {
  Job,
  JobFinished,
  JobHandler,
  JobId,
  JobRecord,
  Jobs,
  Schedule,
  Scheduler,
} from '../primitives/jobs/index.ts'
import { keepTestTime } from './jobs-time.ts'

/** What an enqueued job must look like. Absent: does not matter. */
export interface ExpectedJob<Payload = unknown> {
  /** Part of the payload is enough; vitest's `expect.any(…)` and alike may stand in it. */
  readonly payload?: Partial<Payload>
  readonly queue?: string
  readonly state?: JobRecord['state'] | readonly JobRecord['state'][]
  readonly tenantId?: string
  readonly key?: string
  readonly tag?: string
  /** By the app's clock, to the second. */
  readonly runAt?: Date
  /** Exactly so many. Default: at least one. */
  readonly times?: number
}

export interface DrainOptions {
  /** Failed runs are what the test is about. Default false: `drain` rejects when a handler has failed. */
  readonly failing?: boolean
}

/** The jobs of a test app. Nothing runs until the test says so, and nothing comes due but by the app's clock. */
export interface TestJobs {
  /**
   * Runs all that is due, schedules included, and what that adds, until nothing is; gives how many runs there were. `app.clock.advance(ms)` makes more
   * come due, and `jump` does without every timer of the app in between. Rejects when a handler has failed in another way than by `RetryAfter`, `Snooze` or `Discard`.
   */
  drain(options?: DrainOptions): Promise<number>
  /** Gives the jobs of this kind that fit, newest first. Rejects when there are none (or not `times`), naming those there are. */
  expectEnqueued<Payload>(job: Job<Payload, unknown>, expected?: ExpectedJob<Payload>): Promise<readonly JobRecord[]>
  /** Rejects when there is a job of this kind that fits. */
  expectNotEnqueued<Payload>(job: Job<Payload, unknown>, expected?: Omit<ExpectedJob<Payload>, 'times'>): Promise<void>
  /**
   * From now on jobs run as soon as they are added: `enqueue` resolves after they have run. Those of a transaction
   * run behind its commit; `drain` and the end of this mode wait for them and tell their failures.
   */
  inline(): AsyncDisposable
}

interface Running extends Jobs {
  readonly worker: { readonly handlers: readonly JobHandler[] }
}

interface Ticking {
  readonly scheduler: Scheduler
  readonly declared: readonly Schedule[]
}

/** What `createTestApp` does with it. */
export interface OwnTestJobs extends TestJobs {
  /** Declares the app's schedules, once it is open. */
  opened(): Promise<void>
}

/** Made by `createTestApp`, before the app is opened. */
export function testJobs(app: App): OwnTestJobs {
  return new Lab(app, app.get(jobsPort) as Running)
}

class Lab implements OwnTestJobs {
  readonly #app: App
  readonly #jobs: Running
  readonly #promote: () => Promise<void>
  readonly #ticking: Ticking | undefined
  #draining: Promise<number> | undefined
  /** Runs behind commits, in inline mode. */
  #behind: Promise<unknown> = Promise.resolve()

  constructor(app: App, jobs: Running) {
    this.#app = app
    this.#jobs = jobs
    const ticks = app.plan.features.some(({ provides }) => provides?.name === schedulesPort.name)
    this.#ticking = ticks ? (app.get(schedulesPort) as unknown as Ticking) : undefined
    const { driver } = jobs
    // A store in this process goes by the app's clock already.
    const time = driver.capabilities.durable ? keepTestTime(driver, app.db, app.clock) : undefined
    this.#promote = time === undefined ? async () => {} : () => time.promote()
  }

  async opened(): Promise<void> {
    await this.#ticking?.scheduler.declare(this.#ticking.declared)
  }

  async drain({ failing = false }: DrainOptions = {}): Promise<number> {
    await this.#behind
    return this.#drain(failing)
  }

  #drain(failing: boolean): Promise<number> {
    const drained = this.#draining === undefined ? this.#pass(failing) : this.#draining.then(() => this.#pass(failing))
    const settled = drained.catch(() => 0)
    this.#draining = settled
    void settled.then(() => {
      if (this.#draining === settled) this.#draining = undefined
    })
    return drained
  }

  async #pass(failing: boolean): Promise<number> {
    const ours = new Set<JobId>()
    const failures: JobFinished[] = []
    const handlers = this.#jobs.worker.handlers.map(({ job, run }): JobHandler => ({
      job,
      run: (call) => {
        ours.add(call.job.id)
        return handling.run(true, () => run(call))
      },
    }))
    const onFinished = (message: unknown): void => {
      const finished = message as JobFinished
      if (!ours.has(finished.id) || finished.error === undefined) return
      if (!['RetryAfter', 'Discard'].includes(finished.error.name)) failures.push(finished)
    }
    jobFinished.subscribe(onFinished)
    try {
      let runs = 0
      for (;;) {
        const ran = await this.#run(handlers)
        runs += ran
        if (ran > 0) continue
        const [first] = failures
        if (first !== undefined && !failing) throw failureOf(first, failures.length)
        return runs
      }
    } finally {
      jobFinished.unsubscribe(onFinished)
    }
  }

  async #run(handlers: readonly JobHandler[]): Promise<number> {
    await this.#ticking?.scheduler.round()
    await this.#promote()
    const known = (await this.#jobs.stats()).map(({ queue }) => queue)
    const names = [...new Set(['default', ...known, ...handlers.map(({ job }) => job.queue)])]
    const { clock, log } = this.#app
    // A new runner looks everywhere.
    const options = { queues: names.map((name) => ({ name })) }
    const runner = createRunner({ jobs: this.#jobs, handlers, clock, log, options })
    try {
      return await runner.runUntilIdle()
    } finally {
      await runner.stop()
    }
  }

  async expectEnqueued<Payload>(
    job: Job<Payload, unknown>,
    expected: ExpectedJob<Payload> = {},
  ): Promise<readonly JobRecord[]> {
    const { all, fitting } = await this.#find(job, expected)
    const { times } = expected
    if (times === undefined ? fitting.length > 0 : fitting.length === times) return fitting
    const wanted = times === undefined ? 'a job' : `${times} jobs`
    throw new Error(`expected ${wanted} ${said(job, expected)}, found ${fitting.length}\n${told(all)}`)
  }

  async expectNotEnqueued<Payload>(
    job: Job<Payload, unknown>,
    expected: Omit<ExpectedJob<Payload>, 'times'> = {},
  ): Promise<void> {
    const { fitting } = await this.#find(job, expected)
    if (fitting.length > 0) throw new Error(`expected no job ${said(job, expected)}, found\n${told(fitting)}`)
  }

  async #find(
    { kind }: Pick<Job, 'kind'>,
    expected: ExpectedJob,
  ): Promise<{ readonly all: readonly JobRecord[]; readonly fitting: readonly JobRecord[] }> {
    const all: JobRecord[] = []
    for (let after: readonly (string | null)[] | undefined = [null]; after !== undefined;) {
      const { items, next } = await this.#jobs.list(
        { kind },
        { limit: 1000, after: after as readonly (string | null)[] },
      )
      all.push(...items)
      after = next
    }
    return { all, fitting: all.filter((record) => fits(record, expected)) }
  }

  inline(): AsyncDisposable {
    const jobs = this.#jobs
    const { enqueue, enqueueMany } = jobs
    let failure: { readonly error: unknown } | undefined
    const onAdded = (): void => {
      this.#behind = this.#behind
        .then(() => this.#drain(false))
        .catch((error: unknown) => {
          failure ??= { error }
        })
    }
    const settled = async (): Promise<void> => {
      await this.#behind
      const known = failure
      failure = undefined
      if (known !== undefined) throw known.error
    }
    // A handler cannot wait for the drain that runs it, which will run what it adds as well.
    const waits = (tx: unknown): boolean => tx === undefined && handling.getStore() === undefined
    const own: Pick<Jobs, 'enqueue' | 'enqueueMany'> = {
      async enqueue(job, payload, options, tx) {
        const added = await enqueue.call(jobs, job as Job, payload, options, tx)
        if (waits(tx)) await settled()
        return added
      },
      async enqueueMany(job, items, options, tx) {
        const added = await enqueueMany.call(jobs, job as Job, items, options, tx)
        if (waits(tx)) await settled()
        return added
      },
    }
    Object.assign(jobs, own)
    jobsAdded.subscribe(onAdded)
    return {
      [Symbol.asyncDispose]: () => {
        jobsAdded.unsubscribe(onAdded)
        Object.assign(jobs, { enqueue, enqueueMany })
        return settled()
      },
    }
  }
}

/** Set in whatever a drained handler does. */
const handling = new AsyncLocalStorage<true>()

function failureOf({ kind, id, attempt, error }: JobFinished, count: number): Error {
  const more = count === 1 ? '' : ` (and ${count - 1} more)`
  return new Error(`${kind} ${id} failed in attempt ${attempt}${more}: ${error?.stack ?? error?.message}`)
}

function fits(record: JobRecord, { payload, queue, state, tenantId, key, tag, runAt }: ExpectedJob): boolean {
  const states = typeof state === 'string' ? [state] : state
  return (
    (payload === undefined || covers(record.payload, payload)) &&
    (queue === undefined || record.queue === queue) &&
    (states === undefined || states.includes(record.state)) &&
    (tenantId === undefined || record.tenantId === tenantId) &&
    (key === undefined || record.key === key) &&
    (tag === undefined || record.tags.includes(tag)) &&
    (runAt === undefined || Math.abs(record.runAt.getTime() - runAt.getTime()) < 1000)
  )
}

/** Whether all that `expected` says holds in `actual`, which came out of JSON. */
function covers(actual: unknown, expected: unknown): boolean {
  const { asymmetricMatch } = (expected ?? {}) as { asymmetricMatch?: (value: unknown) => boolean }
  if (typeof asymmetricMatch === 'function') return asymmetricMatch.call(expected, actual)
  if (typeof expected !== 'object' || expected === null) return Object.is(actual, expected)
  if (typeof actual !== 'object' || actual === null) return false
  if (Array.isArray(expected))
    return (
      Array.isArray(actual) && actual.length === expected.length && expected.every((item, i) => covers(actual[i], item))
    )
  return Object.entries(expected).every(([name, value]) => covers((actual as Record<string, unknown>)[name], value))
}

function said({ kind }: Pick<Job, 'kind'>, wanted: ExpectedJob): string {
  const expected = { ...wanted, times: undefined }
  return `of kind "${kind}"${JSON.stringify(expected) === '{}' ? '' : ` with ${JSON.stringify(expected)}`}`
}

function told(jobs: readonly JobRecord[]): string {
  if (jobs.length === 0) return 'there is none of this kind'
  const lines = jobs
    .slice(0, 20)
    .map(({ id, state, queue, payload }) => `  ${id} ${state} in ${queue}: ${JSON.stringify(payload)}`)
  return [...lines, ...(jobs.length > 20 ? [`  and ${jobs.length - 20} more`] : [])].join('\n')
}
