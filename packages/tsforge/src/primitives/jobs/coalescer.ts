import { AsyncLocalStorage } from 'node:async_hooks'
import { dbErrors } from '../db/index.ts'
import type { Added, AddResult, ClaimedJob, JobMeta, JobsDriver, NewJob } from './driver.ts'
import { jobsErrors } from './errors.ts'
import type { LocalRunner } from './jobs.ts'

interface Waiting {
  readonly job: NewJob
  readonly resolve: (added: Added) => void
  readonly reject: (error: unknown) => void
}

/** Commits under way at once; what comes meanwhile shares the next one. */
const mostCommits = 2
const mostJobs = 1000

/**
 * Lets additions of one tick share one statement and one commit. Where a runner of this process is idle, their lease is
 * written with them and it starts when the commit is known, without a notification and a claim.
 */
export class Coalescer {
  readonly #driver: JobsDriver
  readonly #runners = new Set<LocalRunner>()
  /** The turn that flushes belongs to nobody's unit of work. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #waiting: Waiting[] = []
  #commits = 0
  #planned = false
  #closed = false
  #settled: (() => void) | undefined

  constructor(driver: JobsDriver) {
    this.#driver = driver
  }

  attach(runner: LocalRunner): () => void {
    this.#runners.add(runner)
    return () => void this.#runners.delete(runner)
  }

  add(job: NewJob): Promise<Added> {
    if (this.#closed) return Promise.reject(jobsErrors.error('jobs.closed', { retryAfterMs: 1000 }))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject })
      this.#plan()
    })
  }

  /** Resolves when all that was added is settled. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#commits > 0 || this.#waiting.length > 0) await new Promise<void>((resolve) => (this.#settled = resolve))
  }

  #plan(): void {
    if (this.#planned || this.#commits >= mostCommits || this.#waiting.length === 0) return
    this.#planned = true
    this.#outside(() => setImmediate(() => this.#flush()))
  }

  #flush(): void {
    this.#planned = false
    const batch = this.#waiting.splice(0, mostJobs)
    this.#commits++
    void this.#commit(batch).finally(() => {
      this.#commits--
      this.#plan()
      if (this.#commits === 0 && this.#waiting.length === 0) this.#settled?.()
    })
    this.#plan()
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const plain: Waiting[] = []
    const keyed: Waiting[] = []
    const local = new Map<LocalRunner, Map<string, Waiting[]>>()
    for (const item of batch) {
      const runner = this.#runnerFor(item.job)
      if (runner !== undefined) queueOf(local, runner, item.job.queue).push(item)
      else if (item.job.dedupe === undefined) plain.push(item)
      else keyed.push(item)
    }
    const work: Promise<void>[] = []
    if (plain.length > 0) work.push(this.#add(plain))
    if (keyed.length > 0) work.push(this.#add(keyed))
    for (const [runner, queues] of local)
      for (const [queue, items] of queues) work.push(this.#handOver(runner, queue, items))
    // None of them rejects but by a runner that throws when it takes a job; that job comes back when its lease expires.
    await Promise.allSettled(work)
  }

  #runnerFor({ dedupe, delayMs, runAtMs, queue, kind }: NewJob): LocalRunner | undefined {
    if (dedupe !== undefined || delayMs > 0 || runAtMs !== undefined) return undefined
    for (const runner of this.#runners) if (runner.reserve(queue, kind)) return runner
    return undefined
  }

  async #add(items: readonly Waiting[]): Promise<void> {
    try {
      const { added } = await this.#driver.add(items.map((item) => item.job))
      for (const [i, item] of items.entries()) item.resolve(added[i]!)
    } catch (error) {
      await this.#failed(items, error)
    }
  }

  async #handOver(runner: LocalRunner, queue: string, items: readonly Waiting[]): Promise<void> {
    let result: AddResult
    try {
      const { worker, leaseMs } = runner
      result = await this.#driver.add(
        items.map((item) => item.job),
        { handOff: { worker, leaseMs } },
      )
    } catch (error) {
      runner.unreserve(queue, items.length)
      return this.#failed(items, error)
    }
    for (const [i, item] of items.entries()) item.resolve(result.added[i]!)
    if (result.lease === undefined) runner.unreserve(queue, items.length)
    else runner.accept(items.map((item, i) => claimed(item.job, result, i)))
  }

  /** One job that the store refuses must not take the others along. Where the commit is unknown nobody may try again. */
  async #failed(items: readonly Waiting[], error: unknown): Promise<void> {
    if (items.length > 1 && dbErrors.is(error) && error.status < 503 && !dbErrors.is(error, 'db.commit_unknown')) {
      for (const item of items) await this.#add([item])
    } else for (const item of items) item.reject(error)
  }
}

function queueOf(local: Map<LocalRunner, Map<string, Waiting[]>>, runner: LocalRunner, queue: string): Waiting[] {
  let queues = local.get(runner)
  if (queues === undefined) local.set(runner, (queues = new Map<string, Waiting[]>()))
  let items = queues.get(queue)
  if (items === undefined) queues.set(queue, (items = []))
  return items
}

function claimed(job: NewJob, { added, lease, atMs = 0 }: AddResult, place: number): ClaimedJob {
  return {
    id: added[place]!.id!,
    lease: lease!,
    queue: job.queue,
    kind: job.kind,
    attempt: 1,
    maxAttempts: job.maxAttempts,
    payload: JSON.parse(job.payload) as unknown,
    runAtMs: atMs,
    createdAtMs: atMs,
    timeoutMs: job.timeoutMs,
    key: job.key,
    tenantId: job.tenantId,
    tags: job.tags ?? [],
    meta: job.meta === undefined ? {} : (JSON.parse(job.meta) as JobMeta),
  }
}
