import type { Db, Queryable } from '../../db/index.ts'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type {
  Added,
  AddOptions,
  AddResult,
  CancelResult,
  ClaimedJob,
  Heartbeat,
  JobFilter,
  JobId,
  JobRecord,
  JobsCapabilities,
  LeaseId,
  ListRequest,
  Maintained,
  MaintainRequest,
  NewJob,
  QueueSettings,
  QueueStats,
  RedriveRequest,
  Rescued,
  StepRequest,
  StepResult,
  WakeListener,
} from '../driver.ts'
import { claimedJob, headsOf, keyedHeadsOf, payloadsOf, reportsOf } from './postgres/encode.ts'
import type { Row } from './postgres/encode.ts'
import { LeaseBook } from './postgres/lease-book.ts'
import { countDead, deadIds, listJobs, oneJob, removeDead, statsOf } from './postgres/records.ts'
import { Scan } from './postgres/scan.ts'
import { readSettings, writePaused, writeSettings } from './postgres/settings.ts'
import { PostgresSteps } from './postgres/steps.ts'
import type { StepDriver } from '../steps/store.ts'

export interface PostgresJobsOptions {
  /** Where the jobs lie; its migrations must have run. Who made it closes it. */
  readonly db: Db
  /** Measures how long scans take. */
  readonly clock?: Pick<Clock, 'monotonic'>
}

/** The name of all notifications; the first letter of a payload says of what. */
const channel = 'forge_jobs'

/** Jobs in PostgreSQL 14 or later, PGlite and the embedded server, with or without a pooler in between. */
export function postgres(options: PostgresJobsOptions): StepDriver {
  return new PostgresJobs(options)
}

interface Worker {
  readonly book: LeaseBook
  readonly scans: Map<string, Scan>
}

interface StepAnswer {
  readonly late: readonly JobId[]
  readonly low?: string
  readonly lease?: LeaseId | null
  readonly more?: boolean
  readonly limited?: boolean
  readonly paused?: boolean
  readonly next?: number | null
  readonly jobs: readonly Row[]
}

class PostgresJobs implements StepDriver {
  readonly name = 'postgres'
  readonly steps: PostgresSteps
  readonly capabilities: JobsCapabilities
  readonly #db: Db
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #workers = new Map<string, Worker>()
  /** The oldest lease of all queues that may live. */
  #low = '0'

  constructor({ db, clock = systemClock }: PostgresJobsOptions) {
    this.#db = db
    this.#clock = clock
    this.steps = new PostgresSteps(db, this)
    this.capabilities = {
      durable: true,
      shared: true,
      transactions: true,
      listen: db.capabilities.listen,
      concurrent: db.capabilities.concurrent,
    }
  }

  async start(): Promise<void> {
    await this.#db.query('select forge_jobs_partitions(7, 36500)', [])
  }

  async close(): Promise<void> {}

  async add(jobs: readonly NewJob[], { tx = this.#db, handOff }: AddOptions = {}): Promise<AddResult> {
    if (jobs.length === 0) return { added: [] }
    if (jobs.some((job) => job.dedupe !== undefined)) return { added: await addKeyed(jobs, tx) }
    const answer = await json<{ ids: readonly JobId[]; now: number; lease: LeaseId | null }>(
      tx,
      '/* writes */ select forge_jobs_add($1, $2, $3, $4) as answer',
      [headsOf(jobs), payloadsOf(jobs), handOff?.worker ?? null, handOff?.leaseMs ?? null],
    )
    const added = answer.ids.map((id): Added => ({ id, outcome: 'added' }))
    if (answer.lease === null) return { added }
    this.#worker(handOff!.worker).book.granted(answer.lease, jobs.length)
    return { added, lease: answer.lease, atMs: answer.now }
  }

  async step(request: StepRequest): Promise<StepResult> {
    const { queue, worker: name, finished, want } = request
    const worker = this.#worker(name)
    const counts = LeaseBook.count(finished)
    const closed = worker.book.close(counts)
    const reports = reportsOf(finished, counts)
    const scan = scanOf(worker, queue)
    const began = this.#clock.monotonic()
    const start = want > 0 ? scan.begin(began) : nowhere
    let answer: StepAnswer
    try {
      answer = await json<StepAnswer>(this.#db, stepText, [
        queue,
        name,
        request.leaseMs,
        request.kinds,
        want,
        reports.fence,
        [...closed.keys()],
        reports.drop,
        reports.dropLease,
        reports.keep,
        reports.keepLease,
        reports.keepMs,
        reports.other,
        start.marksUs,
        start.markIds,
        start.low,
        start.full,
        start.aged,
        request.idle,
      ])
    } catch (error) {
      scan.forget()
      worker.book.reopen(closed)
      throw error
    }
    worker.book.settled(counts)
    const lease = answer.lease ?? undefined
    const jobs: ClaimedJob[] = []
    if (lease !== undefined) {
      for (const row of answer.jobs) jobs.push(claimedJob(row, queue, lease))
      worker.book.granted(lease, jobs.length)
    }
    if (want > 0) scan.end(start, answer.jobs, want, answer.low, this.#clock.monotonic() - began)
    return {
      jobs,
      late: answer.late,
      more: answer.more === true || (want > 0 && jobs.length === want),
      nextMs: answer.next ?? undefined,
      limited: answer.limited === true,
      paused: answer.paused === true,
    }
  }

  heartbeat(worker: string, leaseMs: number): Promise<Heartbeat> {
    return json<Heartbeat>(this.#db, 'select forge_jobs_heartbeat($1, $2, $3) as answer', [worker, leaseMs, this.#low])
  }

  async isolate(
    name: string,
    leaseMs: number,
    jobs: readonly { readonly id: JobId; readonly lease: LeaseId }[],
  ): Promise<readonly (LeaseId | undefined)[]> {
    if (jobs.length === 0) return []
    const leases = await json<readonly (LeaseId | null)[]>(
      this.#db,
      'select forge_jobs_isolate($1, $2, $3, $4) as answer',
      [name, leaseMs, jobs.map((job) => job.id), jobs.map((job) => job.lease)],
    )
    const { book } = this.#worker(name)
    for (const [i, lease] of leases.entries()) {
      if (lease === null) continue
      book.settled(new Map([[jobs[i]!.lease, 1]]))
      book.granted(lease, 1)
    }
    return leases.map((lease) => lease ?? undefined)
  }

  async leave(worker: string): Promise<void> {
    await this.#db.query('select forge_jobs_leave($1)', [worker])
    this.#workers.delete(worker)
  }

  async rescue({ baseMs, capMs }: { readonly baseMs: number; readonly capMs: number }): Promise<readonly Rescued[]> {
    const { low, rescued } = await json<{ low: string; rescued: readonly Rescued[] }>(
      this.#db,
      'select forge_jobs_rescue($1, $2, $3) as answer',
      [baseMs, capMs, this.#low],
    )
    if (BigInt(low) > BigInt(this.#low)) this.#low = low
    return rescued
  }

  async progress(id: JobId, lease: LeaseId, value: string): Promise<boolean> {
    const { rowCount } = await this.#db.query(
      `insert into forge_jobs_progress (job, value)
       select $1, $3::json where exists (select from forge_jobs_leases where id = $2 and $1 = any (jobs))
       on conflict (job) do update set value = excluded.value, at = now()`,
      [id, lease, value],
    )
    return rowCount === 1
  }

  async subscribe(listener: WakeListener): Promise<() => Promise<void>> {
    if (!this.capabilities.listen) return async () => {}
    return this.#db.listen(
      channel,
      (payload) => {
        if (payload.startsWith('w')) listener.onWork(payload.slice(1))
        else if (payload.startsWith('c')) listener.onCancel(Number(payload.slice(1)))
      },
      () => listener.onGap(),
    )
  }

  get(id: JobId): Promise<JobRecord | undefined> {
    return oneJob(this.#db, id)
  }

  list(request: ListRequest): Promise<readonly JobRecord[]> {
    return listJobs(this.#db, request)
  }

  stats(queue?: string, tenantId?: string): Promise<readonly QueueStats[]> {
    return statsOf(this.#db, queue, tenantId)
  }

  cancel(ids: readonly JobId[], tx: Queryable = this.#db): Promise<CancelResult> {
    return json<CancelResult>(tx, 'select forge_jobs_cancel($1) as answer', [ids])
  }

  async retry(ids: readonly JobId[], tx: Queryable = this.#db): Promise<readonly JobId[]> {
    return json<JobId[]>(tx, 'select to_json(forge_jobs_retry($1))::text as answer', [ids])
  }

  countDead(filter: JobFilter): Promise<number> {
    return countDead(this.#db, filter)
  }

  async redrive({ filter, limit, perSecond }: RedriveRequest): Promise<number> {
    const gapMs = perSecond === undefined ? 0 : 1000 / perSecond
    let count = 0
    // In parts: one statement over a million rows would hold its locks for as long as it takes.
    for (;;) {
      const ids = await deadIds(this.#db, filter, Math.min(redrivePart, (limit ?? Number.POSITIVE_INFINITY) - count))
      if (ids.length === 0) return count
      const { rows } = await this.#db.query<{ n: number }>('select cardinality(forge_jobs_revive($1, $2, $3)) as n', [
        ids,
        gapMs,
        count * gapMs,
      ])
      count += rows[0]!.n
      if (rows[0]!.n === 0) return count
    }
  }

  removeDead(filter: JobFilter): Promise<number> {
    return removeDead(this.#db, filter)
  }

  configure(queue: string, settings: QueueSettings): Promise<void> {
    return writeSettings(this.#db, queue, settings)
  }

  pause(queue: string, paused: boolean): Promise<void> {
    return writePaused(this.#db, queue, paused)
  }

  settings(queue: string): Promise<QueueSettings> {
    return readSettings(this.#db, queue)
  }

  async maintain({ historyDays, deadDays }: MaintainRequest): Promise<Maintained> {
    const made = await json<{ created: string[]; dropped: string[] }>(
      this.#db,
      'select forge_jobs_partitions(7, $1)::text as answer',
      [Math.ceil(historyDays)],
    )
    const { rows } = await this.#db.query<{ n: number }>('select forge_jobs_sweep($1) as n', [deadDays])
    return { partitionsCreated: made.created, partitionsDropped: made.dropped, deadRemoved: rows[0]!.n }
  }

  #worker(name: string): Worker {
    let worker = this.#workers.get(name)
    if (worker === undefined) this.#workers.set(name, (worker = { book: new LeaseBook(), scans: new Map() }))
    return worker
  }
}

const redrivePart = 5000
// The comment keeps a lost connection from looking like that of a read: nobody knows whether these have committed.
const stepText =
  '/* writes */ select forge_jobs_step($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) as answer'
const nowhere = new Scan().begin(0)

function scanOf(worker: Worker, queue: string): Scan {
  let scan = worker.scans.get(queue)
  if (scan === undefined) worker.scans.set(queue, (scan = new Scan()))
  return scan
}

async function addKeyed(jobs: readonly NewJob[], tx: Queryable): Promise<Added[]> {
  const rows = await json<readonly (readonly [place: number, id: JobId | null, outcome: Added['outcome']])[]>(
    tx,
    '/* writes */ select forge_jobs_add_keyed($1, $2) as answer',
    [keyedHeadsOf(jobs), payloadsOf(jobs)],
  )
  const added: Added[] = []
  for (const [place, id, outcome] of rows) added[place - 1] = { id: id ?? undefined, outcome }
  return added
}

/** Each answer is one JSON text: one parse for a batch, not one for each cell. */
async function json<T>(db: Queryable, text: string, values: unknown[]): Promise<T> {
  const { rows } = await db.query<{ answer: string }>(text, values)
  return JSON.parse(rows[0]!.answer) as T
}
