import type { Channel } from 'node:diagnostics_channel'
import { tell } from '../db/index.ts'
import type { Queryable } from '../db/index.ts'
import type { Slice } from '../../kernel/page.ts'
import { Coalescer } from './coalescer.ts'
import { isName } from './define-job.ts'
import type {
  Added,
  CancelResult,
  JobFilter,
  JobId,
  JobRecord,
  JobsDriver,
  NewJob,
  QueueSettings,
  QueueStats,
  RedriveRequest,
} from './driver.ts'
import { jobsErrors } from './errors.ts'
import { jobsAdded, jobsCancelled, jobsRedriven } from './events.ts'
import type { Job } from './job.ts'
import type { BulkJob, EnqueueOptions, JobPage, Jobs, LocalRunner } from './jobs.ts'
import { carry, newJob } from './new-job.ts'

export interface JobsSettings {
  /** Bytes of JSON that a payload may take. Default 1 MiB. */
  readonly payloadLimit?: number
  /** Settings that `start` writes for these queues; others keep what they have. */
  readonly queues?: Readonly<Record<string, QueueSettings>>
}

/** The facade over a driver: checks, coalescing and facts, once for all drivers. */
export function createJobs(driver: JobsDriver, settings: JobsSettings = {}): Jobs {
  for (const [queue, wanted] of Object.entries(settings.queues ?? {})) checkQueue(queue, wanted)
  return new Facade(driver, settings)
}

const previewed = 20

class Facade implements Jobs {
  readonly driver: JobsDriver
  readonly #limit: number
  readonly #queues: Readonly<Record<string, QueueSettings>>
  readonly #coalescer: Coalescer

  constructor(driver: JobsDriver, { payloadLimit = 1_048_576, queues = {} }: JobsSettings) {
    this.driver = driver
    this.#limit = payloadLimit
    this.#queues = queues
    this.#coalescer = new Coalescer(driver)
  }

  async start(): Promise<void> {
    await this.driver.start()
    for (const [queue, settings] of Object.entries(this.#queues)) {
      // A restart must not set going what an operator has paused.
      const { paused = false } = settings.paused === undefined ? await this.driver.settings(queue) : settings
      await this.driver.configure(queue, { ...settings, paused })
    }
  }

  close(): Promise<void> {
    return this.#coalescer.close()
  }

  attach(runner: LocalRunner): () => void {
    return this.#coalescer.attach(runner)
  }

  async enqueue<Payload>(
    job: Job<Payload>,
    payload: Payload,
    options?: EnqueueOptions,
    tx?: Queryable,
  ): Promise<Added> {
    const carried = carry()
    const checked = job.check(payload)
    const value = checked instanceof Promise ? await checked : checked
    const made = newJob(job, payload, value, options, carried, this.#limit)
    // With one connection, a shared commit could wait for a transaction that waits for it.
    const alone = tx !== undefined || !this.driver.capabilities.concurrent
    const added = alone ? (await this.#driverAdd([made], tx))[0]! : await this.#coalescer.add(made)
    if (jobsAdded.hasSubscribers && isNew(added))
      publish(tx, jobsAdded, { kind: made.kind, queue: made.queue, count: 1 })
    return added
  }

  async enqueueMany<Payload>(
    job: Job<Payload>,
    jobs: readonly BulkJob<Payload>[],
    options?: EnqueueOptions,
    tx?: Queryable,
  ): Promise<readonly Added[]> {
    const carried = carry()
    const made: NewJob[] = []
    for (const item of jobs) {
      const { payload } = item
      const checked = job.check(payload)
      const value = checked instanceof Promise ? await checked : checked
      made.push(newJob(job, payload, value, merged(item, options), carried, this.#limit))
    }
    if (made.length === 0) return []
    const added = await this.#driverAdd(made, tx)
    if (jobsAdded.hasSubscribers) {
      const counts = new Map<string, number>()
      for (const [i, one] of added.entries())
        if (isNew(one)) counts.set(made[i]!.queue, (counts.get(made[i]!.queue) ?? 0) + 1)
      for (const [queue, count] of counts) publish(tx, jobsAdded, { kind: job.kind, queue, count })
    }
    return added
  }

  get(id: JobId): Promise<JobRecord | undefined> {
    return isId(id) ? this.driver.get(id) : Promise.resolve(undefined)
  }

  async list(filter: JobFilter = {}, { limit = 50, after }: JobPage = {}): Promise<Slice<JobRecord>> {
    const most = Math.min(Math.max(1, Math.trunc(limit)), 1000)
    const before = after?.[0] === undefined || after[0] === null ? undefined : Number(after[0])
    if (before !== undefined && !isId(before))
      return { items: [], next: undefined, previous: undefined, total: undefined }
    // One more than asked for tells whether there is a next page.
    const found = await this.driver.list({ filter, limit: most + 1, before })
    const items = found.slice(0, most)
    const next = found.length > most ? [String(items.at(-1)!.id)] : undefined
    return { items, next, previous: undefined, total: undefined }
  }

  stats(queue?: string, tenantId?: string): Promise<readonly QueueStats[]> {
    return this.driver.stats(queue, tenantId)
  }

  async cancel(id: JobId, tx?: Queryable): Promise<'cancelled' | 'requested'> {
    const { cancelled, requested } = await this.cancelMany([id], tx)
    if (cancelled.length > 0) return 'cancelled'
    if (requested.length > 0) return 'requested'
    throw jobsErrors.error('jobs.unknown')
  }

  async cancelMany(ids: readonly JobId[], tx?: Queryable): Promise<CancelResult> {
    this.#checkTx(tx)
    const result = await this.driver.cancel(ids.filter(isId), tx)
    publish(tx, jobsCancelled, result)
    return result
  }

  async retry(id: JobId, tx?: Queryable): Promise<void> {
    this.#checkTx(tx)
    const found = isId(id) ? await this.driver.retry([id], tx) : []
    if (found.length === 0) throw jobsErrors.error('jobs.unknown')
  }

  async previewRedrive(
    filter: JobFilter = {},
  ): Promise<{ readonly count: number; readonly sample: readonly JobRecord[] }> {
    const [count, sample] = await Promise.all([
      this.driver.countDead(filter),
      this.driver.list({ filter: { ...filter, state: 'dead' }, limit: previewed }),
    ])
    return { count, sample }
  }

  async redrive({ filter = {}, limit, perSecond }: Partial<RedriveRequest> = {}): Promise<number> {
    if (perSecond !== undefined && !(perSecond > 0 && perSecond <= 1_000_000))
      throw optionInvalid('perSecond', 'a number above 0')
    if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0)) throw optionInvalid('limit', 'a whole number')
    const count = await this.driver.redrive({ filter, limit, perSecond })
    publish(undefined, jobsRedriven, { count })
    return count
  }

  removeDead(filter: JobFilter): Promise<number> {
    return this.driver.removeDead(filter)
  }

  async configure(queue: string, settings: QueueSettings): Promise<void> {
    checkQueue(queue, settings)
    await this.driver.configure(queue, settings)
  }

  pause(queue: string): Promise<void> {
    return this.driver.pause(queue, true)
  }

  resume(queue: string): Promise<void> {
    return this.driver.pause(queue, false)
  }

  async #driverAdd(jobs: readonly NewJob[], tx: Queryable | undefined): Promise<readonly Added[]> {
    this.#checkTx(tx)
    return (await this.driver.add(jobs, { tx })).added
  }

  #checkTx(tx: Queryable | undefined): void {
    if (tx !== undefined && !this.driver.capabilities.transactions) throw jobsErrors.error('jobs.tx_unsupported')
  }
}

function isNew({ outcome }: Added): boolean {
  return outcome === 'added' || outcome === 'replaced'
}

function isId(id: unknown): id is JobId {
  return Number.isSafeInteger(id) && (id as number) > 0
}

/** The options of one job in bulk over those of all. */
function merged<Payload>(item: BulkJob<Payload>, options: EnqueueOptions | undefined): EnqueueOptions | undefined {
  for (const key in item) if (key !== 'payload') return { ...options, ...item }
  return options
}

function publish<Message extends object>(
  tx: Queryable | undefined,
  channel: Channel<unknown, Message>,
  message: Message,
): void {
  if (tx === undefined) channel.publish(message)
  else tell(tx, channel, message)
}

function checkQueue(queue: string, { concurrency, rate, perKey }: QueueSettings): void {
  const must = (right: boolean, option: string, reason: string): void => {
    if (!right) throw optionInvalid(option, reason)
  }
  const isLimit = (value: number | undefined): boolean =>
    value === undefined || (Number.isInteger(value) && value >= 1 && value <= 1_000_000_000)
  must(isName(queue), 'queue', '1 to 128 letters, digits and ._:-')
  must(isLimit(concurrency) && isLimit(perKey?.concurrency), 'concurrency', 'a whole number from 1')
  for (const wanted of [rate, perKey?.rate]) {
    if (wanted === undefined) continue
    must(isLimit(wanted.limit) && isLimit(wanted.burst), 'rate', 'limit and burst are whole numbers from 1')
    must(wanted.periodMs >= 1 && wanted.periodMs <= 31_622_400_000, 'rate', 'periodMs is 1 ms to a year')
  }
}

function optionInvalid(option: string, reason: string): Error {
  return jobsErrors.error('jobs.option_invalid', { meta: { kind: '', option, reason } })
}
