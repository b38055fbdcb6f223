import { dbErrors, within } from '../../db/index.ts'
import type { Db, Queryable } from '../../db/index.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { JobsDriver, NewJob } from '../driver.ts'
import type { Plan } from './plan.ts'
import { columns, place, readRow, valuesOf } from './row.ts'
import type { Row } from './row.ts'
import type { FiredTick, Firing, ScheduleChange, ScheduleDefinition, ScheduleStore, StoredSchedule } from './store.ts'

export interface PostgresScheduleStoreSettings {
  readonly db: Db
  /** Its jobs lie in the same database. */
  readonly driver: JobsDriver
  /** Decides what time it is in place of the database. For tests. */
  readonly time?: Pick<Clock, 'now'> | undefined
}

const channel = 'forge_schedules'
/** Wait of a schedule whose jobs could not be added. */
const retryMs = 60_000

/** Schedules beside the jobs, in the same transactions. */
export function postgresScheduleStore(settings: PostgresScheduleStoreSettings): ScheduleStore {
  return new PostgresScheduleStore(settings)
}

type Planner = (schedule: StoredSchedule, nowMs: number) => Plan

class PostgresScheduleStore implements ScheduleStore {
  readonly transactions = true
  readonly #db: Db
  readonly #driver: JobsDriver
  readonly #time: Pick<Clock, 'now'> | undefined

  constructor({ db, driver, time }: PostgresScheduleStoreSettings) {
    this.#db = db
    this.#driver = driver
    this.#time = time
  }

  async look(): Promise<{ readonly nowMs: number; readonly wakeMs: number | undefined }> {
    const { rows } = await this.#db.query<{ now: Date; wake: Date | null }>(
      `select coalesce($1::timestamptz, clock_timestamp()) as now,
         (select min(wake_at) from forge_jobs_schedules where ${active}) as wake`,
      [this.#now()],
    )
    return { nowMs: rows[0]!.now.getTime(), wakeMs: rows[0]!.wake?.getTime() }
  }

  async fire(plan: Planner, most: number): Promise<Firing> {
    try {
      return await this.#db.tx((tx) => this.#fireIn(tx, plan, most))
    } catch (error) {
      if (isOutage(error)) throw error
      return this.#fireEach(plan, most)
    }
  }

  /** One of several has spoilt their common transaction. */
  async #fireEach(plan: Planner, most: number): Promise<Firing> {
    const { rows } = await this.#db.query<{ name: string; now: Date }>(
      `select name, coalesce($1::timestamptz, clock_timestamp()) as now from forge_jobs_schedules
       where ${due} order by wake_at, name limit $2`,
      [this.#now(), most],
    )
    const done: Firing[] = []
    const failed: { schedule: string; error: unknown }[] = []
    for (const { name } of rows) {
      try {
        done.push(await this.#db.tx((tx) => this.#fireIn(tx, plan, 1, name)))
      } catch (error) {
        if (isOutage(error)) throw error
        failed.push({ schedule: name, error })
        await this.#postpone(this.#db, name, error)
      }
    }
    return {
      busy: done.some(({ busy }) => busy),
      nowMs: rows[0]?.now.getTime() ?? 0,
      fired: done.flatMap(({ fired }) => fired),
      plans: done.flatMap(({ plans }) => plans),
      failed: [...failed, ...done.flatMap((each) => each.failed)],
      more: rows.length === most,
    }
  }

  async #fireIn(tx: Queryable, plan: Planner, most: number, only?: string): Promise<Firing> {
    // A process that freezes with the locks in its hands loses them.
    const lock = await tx.query<{ free: boolean; now: Date }>(
      `select set_config('idle_in_transaction_session_timeout', '5000', true),
         pg_try_advisory_xact_lock(7702, hashtext(current_schema())) as free,
         coalesce($1::timestamptz, clock_timestamp()) as now`,
      [this.#now()],
    )
    const { free, now } = lock.rows[0]!
    const nowMs = now.getTime()
    if (!free) return { busy: true, nowMs, fired: [], plans: [], failed: [], more: false }
    const { rows } = await tx.query<Row>(
      `select ${columns} from forge_jobs_schedules where ${due} and ($3::text is null or name = $3)
       order by wake_at, name limit $2 for update skip locked`,
      [now, most, only ?? null],
    )
    const plans: { schedule: StoredSchedule; plan: Plan }[] = []
    const failed: { schedule: string; error: unknown }[] = []
    for (const row of rows) {
      try {
        const schedule = readRow(row)
        plans.push({ schedule, plan: plan(schedule, nowMs) })
      } catch (error) {
        // Written by hand, by a newer version, or for a time zone that this machine does not know.
        failed.push({ schedule: row.name, error })
        await this.#postpone(tx, row.name, error)
      }
    }
    const fired = await this.#addJobs(tx, plans)
    await this.#advance(tx, plans, fired)
    return { busy: false, nowMs, fired, plans, failed, more: rows.length === most }
  }

  async #addJobs(
    tx: Queryable,
    plans: readonly { readonly schedule: StoredSchedule; readonly plan: Plan }[],
  ): Promise<FiredTick[]> {
    const ticks = plans.flatMap(({ schedule, plan }) => plan.fire.map((atMs) => ({ schedule, atMs })))
    if (ticks.length === 0) return []
    const jobs = ticks.map(({ schedule, atMs }): NewJob => ({ ...schedule.job, runAtMs: atMs }))
    const { added } = await this.#driver.add(jobs, { tx })
    return ticks.map((tick, i) => ({ ...tick, job: added[i]!.outcome === 'existing' ? undefined : added[i]!.id }))
  }

  /** The tick that was read is the fence: whoever finds another one there has come too late, and takes its jobs back. */
  async #advance(
    tx: Queryable,
    plans: readonly { readonly schedule: StoredSchedule; readonly plan: Plan }[],
    fired: readonly FiredTick[],
  ): Promise<void> {
    if (plans.length === 0) return
    const rows = plans.map(({ schedule, plan }) => ({
      name: schedule.name,
      was: schedule.nextMs,
      next: plan.nextMs,
      last: plan.fire.at(-1) ?? null,
      job: fired.findLast((tick) => tick.schedule === schedule && tick.job !== undefined)?.job ?? null,
      count: plan.fire.length,
    }))
    const { rowCount } = await tx.query(
      `update forge_jobs_schedules s
       set next_at = ${at('x.next')}, wake_at = ${at('x.next')}, last_at = coalesce(${at('x.last')}, s.last_at),
         last_job = coalesce(x.job, s.last_job), ticks = s.ticks + x.count, error = null
       from json_to_recordset($1) as x (name text, was float8, next float8, last float8, job bigint, count integer)
       where s.name = x.name and s.next_at >= ${at('x.was')} and s.next_at < ${at('(x.was + 1)')}`,
      [JSON.stringify(rows)],
    )
    if (rowCount !== rows.length) throw new Error('a schedule has moved meanwhile')
  }

  async #postpone(tx: Queryable, name: string, error: unknown): Promise<void> {
    const text = error instanceof Error ? error.message : String(error)
    await tx.query(
      `update forge_jobs_schedules
       set wake_at = coalesce($1::timestamptz, clock_timestamp()) + $2 * interval '1 millisecond', error = $3 where name = $4`,
      [this.#now(), retryMs, text.replaceAll('\0', '').toWellFormed().slice(0, 500), name],
    )
  }

  async insert(
    definition: ScheduleDefinition,
    origin: string | undefined,
    nextOf: (nowMs: number) => number,
    tx?: Queryable,
  ): Promise<boolean> {
    return within(this.#db, tx, async (inner) => {
      const nowMs = await this.#read(inner)
      const nextMs = nextOf(nowMs)
      const values = [
        ...valuesOf({ ...definition, origin, pausedAtMs: undefined, retiredAtMs: undefined, nextMs }),
        nowMs,
      ]
      const { rowCount } = await inner.query(
        `insert into forge_jobs_schedules (name, cron, every_ms, anchor, time_zone, catch_up, catch_up_limit, description,
           enabled, kind, job, origin, paused_at, retired_at, next_at, wake_at, created_at, updated_at)
         values (${place}, ${at('$16::float8')}, ${at('$16::float8')})
         on conflict (name) do nothing`,
        values,
      )
      await this.#changed(inner)
      return rowCount === 1
    })
  }

  async update(
    name: string,
    change: (schedule: StoredSchedule, nowMs: number) => ScheduleChange,
    tx?: Queryable,
  ): Promise<StoredSchedule | undefined> {
    return within(this.#db, tx, async (inner) => {
      const nowMs = await this.#read(inner)
      const { rows } = await inner.query<Row>(
        `select ${columns} from forge_jobs_schedules where name = $1 for update`,
        [name],
      )
      if (rows[0] === undefined) return undefined
      const old = readRow(rows[0])
      const wanted = { ...old, ...change(old, nowMs), updatedAtMs: nowMs }
      await inner.query(
        `update forge_jobs_schedules
         set (cron, every_ms, anchor, time_zone, catch_up, catch_up_limit, description, enabled, kind, job, origin,
           paused_at, retired_at, next_at, wake_at, updated_at, error)
           = (select cron, every_ms, anchor, time_zone, catch_up, catch_up_limit, description, enabled, kind, job, origin,
           paused_at, retired_at, next_at, wake_at, ${at('$16::float8')}, null
           from (values (${place})) as x (name, cron, every_ms, anchor, time_zone, catch_up, catch_up_limit, description, enabled, kind,
             job, origin, paused_at, retired_at, next_at, wake_at))
         where name = $1`,
        [...valuesOf(wanted), nowMs],
      )
      await this.#changed(inner)
      return { ...wanted, error: undefined }
    })
  }

  async remove(name: string, check: (schedule: StoredSchedule) => void, tx?: Queryable): Promise<boolean> {
    return within(this.#db, tx, async (inner) => {
      const { rows } = await inner.query<Row>(
        `select ${columns} from forge_jobs_schedules where name = $1 for update`,
        [name],
      )
      if (rows[0] === undefined) return false
      check(readRow(rows[0]))
      await inner.query('delete from forge_jobs_schedules where name = $1', [name])
      return true
    })
  }

  async get(name: string, tx: Queryable = this.#db): Promise<StoredSchedule | undefined> {
    const { rows } = await tx.query<Row>(`select ${columns} from forge_jobs_schedules where name = $1`, [name])
    return rows[0] && readRow(rows[0])
  }

  async list(limit: number, after = '', tenantId?: string): Promise<readonly StoredSchedule[]> {
    const { rows } = await this.#db.query<Row>(
      `select ${columns} from forge_jobs_schedules
       where name > $1 and ($3::text is null or job::json ->> 'tenantId' = $3) order by name limit $2`,
      [after, limit, tenantId ?? null],
    )
    return rows.map(readRow)
  }

  declaring<T>(work: (tx: Queryable | undefined) => Promise<T>): Promise<T> {
    return this.#db.tx(async (tx) => {
      await tx.query('select pg_advisory_xact_lock(7703, hashtext(current_schema()))', [])
      return work(tx)
    })
  }

  async undeclared(origin: string, names: readonly string[], tx: Queryable = this.#db): Promise<readonly string[]> {
    const { rows } = await tx.query<{ name: string }>(
      `select name from forge_jobs_schedules
       where origin = $1 and retired_at is null and name <> all ($2::text[]) order by name`,
      [origin, names],
    )
    return rows.map(({ name }) => name)
  }

  async subscribe(listener: () => void): Promise<() => Promise<void>> {
    if (!this.#db.capabilities.listen) return async () => {}
    return this.#db.listen(channel, listener, listener)
  }

  async #changed(tx: Queryable): Promise<void> {
    if (this.#db.capabilities.listen) await this.#db.notify(channel, '', tx)
  }

  async #read(tx: Queryable): Promise<number> {
    if (this.#time !== undefined) return this.#time.now()
    const { rows } = await tx.query<{ now: Date }>('select clock_timestamp() as now', [])
    return rows[0]!.now.getTime()
  }

  #now(): Date | null {
    return this.#time === undefined ? null : new Date(this.#time.now())
  }
}

const active = 'enabled and paused_at is null and retired_at is null'
const due = `${active} and wake_at <= coalesce($1::timestamptz, clock_timestamp())`

/** Nothing is wrong with a schedule; the database is away, or too busy. */
function isOutage(error: unknown): boolean {
  return dbErrors.is(error) && error.status === 503
}

function at(ms: string): string {
  return `to_timestamp(${ms} / 1000)`
}
