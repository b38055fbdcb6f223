import type { Clock } from '../../../kernel/clock.ts'
import { parseDuration } from '../../../kernel/durations.ts'
import type { Duration } from '../../../kernel/durations.ts'
import type { Queryable } from '../../db/index.ts'
import type { ClaimedJob, JobsDriver, LeaseId } from '../driver.ts'
import { jobsErrors } from '../errors.ts'
import type { Job } from '../job.ts'
import { carry, newJob } from '../new-job.ts'
import { Snooze } from '../runner/handler.ts'
import { checkEvent, checkStepName, encodeValue, matchLimit, stepInvalid } from './encode.ts'
import { ChildrenFailed } from './failed.ts'
import type { ChildResult, Children, FanOutOptions, JoinOptions, Signal, Step, WaitOptions } from './step.ts'
import type { Member, MemberRow, StepDriver, StepKind, StepOwner, StepRow, StepStore } from './store.ts'

/** What the steps of a run need to know of it. */
export interface StepHost {
  readonly job: ClaimedJob
  /** Its lease at this moment; changes when a long job leaves its batch. */
  readonly lease: LeaseId
  /** It changes right now. */
  readonly moving: boolean
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly driver: JobsDriver
}

const mostSteps = 1000
const mostChildren = 10_000
const mostBytes = 8_388_608
const farthestMs = 100 * 366 * 86_400_000
/** What a child may have as payload. */
const payloadLimit = 1_048_576

interface Waiting {
  readonly untilMs: number
  readonly reject: (error: Error) => void
}

/** The store of a driver's steps. Throws `jobs.steps_unsupported`. */
export function stepsOf(driver: JobsDriver): StepStore {
  if (!('steps' in driver)) throw jobsErrors.error('jobs.steps_unsupported')
  return (driver as StepDriver).steps
}

/** The steps of one run. */
export class Steps implements Step {
  /** When the job goes on, by the run's clock: it waits for something, whatever its handler makes of that. */
  suspendedMs: number | undefined
  readonly #host: StepHost
  readonly #store: StepStore
  readonly #names = new Set<string>()
  #rows: Promise<Map<string, StepRow>> | undefined
  #places: (string | undefined)[] = []
  #bytes = 0
  #active = 0
  #waiting: Waiting[] = []
  #looking = false

  constructor(host: StepHost) {
    this.#host = host
    this.#store = stepsOf(host.driver)
  }

  run<Result>(name: string, fn: () => Result | Promise<Result>): Promise<Result> {
    return this.#step(name, 'run', async (place, row) => {
      if (row !== undefined) return row.value as Result
      const value = encodeValue(name, await fn())
      this.#weigh(name, value)
      return (await this.#held((owner) => this.#store.result(owner, { name, place }, value))).value as Result
    })
  }

  tx<Result>(name: string, fn: (tx: Queryable) => Promise<Result>): Promise<Result> {
    return this.#step(name, 'run', async (place, row) => {
      if (row !== undefined) return row.value as Result
      const work = async (tx: Queryable): Promise<string> => encodeValue(name, await fn(tx))
      return (await this.#held((owner) => this.#store.transaction(owner, { name, place }, work))).value as Result
    })
  }

  sleep(name: string, duration: Duration): Promise<void> {
    return this.#sleep(name, () => {
      let inMs = Number.NaN
      try {
        inMs = parseDuration(duration)
      } catch (cause) {
        throw stepInvalid(name, 'its duration is no duration', cause)
      }
      if (inMs > farthestMs) throw stepInvalid(name, 'its duration is 0 to 100 years')
      return { inMs }
    })
  }

  sleepUntil(name: string, moment: Date): Promise<void> {
    return this.#sleep(name, () => {
      const atMs = moment.getTime()
      if (!(atMs >= 0 && atMs <= Date.UTC(9999, 0))) throw stepInvalid(name, 'its moment is from 1970 to 9999')
      return { atMs }
    })
  }

  waitForEvent<Payload>(name: string, options: WaitOptions): Promise<Signal<Payload> | undefined> {
    return this.#step(name, 'event', async (place, known) => {
      const { event, timeoutMs, lookbackMs, match } = options
      checkEvent(name, event)
      const must = (ms: number | undefined, most: number, option: string): void => {
        if (ms !== undefined && !(ms >= 0 && ms <= most)) throw stepInvalid(name, `its ${option} is 0 to ${most}`)
      }
      must(timeoutMs, farthestMs, 'timeoutMs')
      must(lookbackMs, 86_400_000, 'lookbackMs')
      if (match !== undefined && (typeof match !== 'object' || match === null || Array.isArray(match)))
        throw stepInvalid(name, 'its match is an object')
      const text = match && encodeValue(name, match, matchLimit)
      const wait = { name, place, event, match: text, timeoutMs, lookbackMs }
      const row = known ?? (await this.#held((owner) => this.#store.wait(owner, wait)))
      if (!row.ended) await this.#until(row)
      return (row.value as Signal<Payload> | null) ?? undefined
    })
  }

  async invoke<Payload, Output>(
    name: string,
    job: Job<Payload>,
    payload: Payload,
    options?: FanOutOptions,
  ): Promise<Output> {
    const children = await this.fanOut<Payload, Output>(name, job, [payload], options)
    return (await this.join(children))[0]!.output as Output
  }

  fanOut<Payload, Output>(
    name: string,
    job: Job<Payload>,
    payloads: readonly Payload[],
    options: FanOutOptions = {},
  ): Promise<Children<Output>> {
    const { failFast = false, ...enqueue } = options
    return this.graph(name, failFast, async () => {
      if (payloads.length > mostChildren) throw stepInvalid(name, `it has more than ${mostChildren} jobs`)
      const carried = carry()
      const members: Member[] = []
      for (const payload of payloads) {
        const checked = job.check(payload)
        const value = checked instanceof Promise ? ((await checked) as unknown) : checked
        const made = newJob(job, payload, value, enqueue, carried, payloadLimit)
        members.push({ name: job.kind, job: made, needs: [] })
      }
      return members
    })
  }

  /** Children that may need each other. `make` is asked once. */
  graph<Output>(name: string, failFast: boolean, make: () => Promise<readonly Member[]>): Promise<Children<Output>> {
    return this.#step(name, 'children', async (place, row) => {
      if (row === undefined) {
        const members = await make()
        const made = await this.#held((owner) => this.#store.children(owner, { name, place }, members, failFast))
        ;(await this.#load()).set(name, made)
      }
      return { step: name }
    })
  }

  join<Output>(
    { step }: Children<Output>,
    { onFailure = 'throw' }: JoinOptions = {},
  ): Promise<readonly ChildResult<Output>[]> {
    return this.#working(async () => {
      const row = (await this.#load()).get(step)
      if (row === undefined || row.kind !== 'children') throw stepInvalid(step, 'it has added no jobs')
      if (!row.ended) await this.#until(row)
      const members = await this.#store.members(this.#host.job.id, step)
      const results = members.map(({ id, name, ended, output, error }) => {
        return { id, name, state: ended ?? 'cancelled', output: output as Output, error }
      })
      if (onFailure === 'throw' && results.some(({ state }) => state !== 'done'))
        throw new ChildrenFailed(step, results)
      return results
    })
  }

  /** What this job waited for as somebody's child. */
  async needs(): Promise<readonly MemberRow[]> {
    return (await this.#store.needsOf(this.#host.job.id)) ?? []
  }

  #sleep(name: string, until: () => { inMs: number } | { atMs: number }): Promise<void> {
    return this.#step(name, 'sleep', async (place, known) => {
      const end = until()
      const row = known ?? (await this.#held((owner) => this.#store.sleep(owner, { name, place }, end)))
      if (!row.ended && row.leftMs !== 0) await this.#until(row)
    })
  }

  /** Names and places are given as steps are called, in one turn with the call. */
  #step<T>(name: string, kind: StepKind, work: (place: number, row: StepRow | undefined) => Promise<T>): Promise<T> {
    return this.#working(async () => {
      checkStepName(name)
      if (this.#names.has(name)) throw jobsErrors.error('jobs.step_repeated', { meta: { step: name } })
      const place = this.#names.size
      if (place >= mostSteps) throw stepInvalid(name, `a job has at most ${mostSteps} steps`)
      this.#names.add(name)
      const rows = await this.#load()
      const row = rows.get(name)
      const was = this.#places[place]
      if (row === undefined ? was !== undefined : row.place !== place || row.kind !== kind) {
        const before = row?.place === place ? `${name} (${row.kind})` : (was ?? 'nothing')
        throw jobsErrors.error('jobs.step_changed', { meta: { step: name, place, before } })
      }
      if (row === undefined) this.#host.signal.throwIfAborted()
      return work(place, row)
    })
  }

  /** A step's work. Nobody may be waiting for one that fails after its run has ended. */
  #working<T>(work: () => Promise<T>): Promise<T> {
    const result = (async () => {
      if (this.suspendedMs !== undefined) throw new Snooze(this.suspendedMs)
      this.#active++
      try {
        return await work()
      } finally {
        this.#active--
        this.#look()
      }
    })()
    result.catch(() => {})
    return result
  }

  #load(): Promise<Map<string, StepRow>> {
    return (this.#rows ??= this.#held((owner) => this.#store.load(owner)).then((rows) => {
      for (const { name, place, value } of rows) {
        this.#places[place] = name
        if (value !== null) this.#bytes += JSON.stringify(value).length
      }
      return new Map(rows.map((row) => [row.name, row]))
    }))
  }

  #weigh(step: string, value: string): void {
    this.#bytes += value.length
    if (this.#bytes > mostBytes) throw stepInvalid(step, `the steps of a job hold at most ${mostBytes} bytes`)
  }

  /** Under the lease. A long job may get another one while its statement is under way. */
  async #held<T>(work: (owner: StepOwner) => Promise<T | undefined>): Promise<T> {
    const { job, clock } = this.#host
    for (;;) {
      const { lease } = this.#host
      const answer = await work({ job: job.id, lease })
      if (answer !== undefined) return answer
      if (this.#host.moving) await clock.sleep(20)
      else if (this.#host.lease === lease) throw jobsErrors.error('jobs.lease_lost')
    }
  }

  /** Never resolves: the run ends here, when no other step of it is at work. */
  #until({ leftMs = farthestMs }: StepRow): Promise<never> {
    return new Promise((_, reject) => {
      this.#waiting.push({ untilMs: this.#host.clock.monotonic() + leftMs, reject })
      // The step that waits is not at work.
      this.#active--
      this.#look()
    }).finally(() => this.#active++) as Promise<never>
  }

  /** Looks, after all that can go on has gone on, whether waiting is all that is left. */
  #look(): void {
    if (this.#looking || this.#active > 0 || this.#waiting.length === 0) return
    this.#looking = true
    setImmediate(() => {
      this.#looking = false
      if (this.#active > 0 || this.suspendedMs !== undefined) return
      const next = Math.min(...this.#waiting.map(({ untilMs }) => untilMs))
      this.suspendedMs = Math.min(farthestMs, Math.max(0, Math.ceil(next - this.#host.clock.monotonic())))
      for (const { reject } of this.#waiting) reject(new Snooze(this.suspendedMs))
    })
  }
}
