import type { Db, Queryable } from '../../../db/index.ts'
import type { JobError, JobId, JobsDriver } from '../../driver.ts'
import { childJob } from '../../steps/store.ts'
import type {
  EventWait,
  Member,
  MemberRow,
  StepKind,
  StepOwner,
  StepPlace,
  StepRow,
  StepStore,
} from '../../steps/store.ts'

type Row = readonly [name: string, place: number, kind: StepKind, ended: boolean, leftMs: number | null, value: unknown]

interface MemberRecord {
  readonly id: JobId
  readonly name: string
  readonly ended: MemberRow['ended'] | null
  readonly output: unknown
  readonly error: JobError | null
}

/** Steps in PostgreSQL; see 0006_steps.up.sql. */
export class PostgresSteps implements StepStore {
  readonly #db: Db
  readonly #driver: Pick<JobsDriver, 'add'>

  constructor(db: Db, driver: Pick<JobsDriver, 'add'>) {
    this.#db = db
    this.#driver = driver
  }

  load({ job, lease }: StepOwner): Promise<readonly StepRow[] | undefined> {
    return rows(this.#db, 'select forge_jobs_steps_load($1, $2) as answer', [job, lease])
  }

  result(owner: StepOwner, step: StepPlace, value: string): Promise<StepRow | undefined> {
    return put(this.#db, owner, step, 'run', value, null, null)
  }

  transaction(owner: StepOwner, step: StepPlace, fn: (tx: Queryable) => Promise<string>): Promise<StepRow | undefined> {
    return this.#db.tx(async (tx) => {
      const known = await fenced(tx, owner, step.name)
      if (known === undefined || known.length > 0) return known?.[0]
      return put(tx, owner, step, 'run', await fn(tx), null, null)
    })
  }

  sleep(owner: StepOwner, step: StepPlace, until: { inMs: number } | { atMs: number }): Promise<StepRow | undefined> {
    return 'inMs' in until
      ? put(this.#db, owner, step, 'sleep', null, until.inMs, null)
      : put(this.#db, owner, step, 'sleep', null, null, until.atMs)
  }

  wait({ job, lease }: StepOwner, wait: EventWait): Promise<StepRow | undefined> {
    const { name, place, event, match, timeoutMs, lookbackMs } = wait
    return row(this.#db, 'select forge_jobs_steps_wait($1, $2, $3, $4, $5, $6, $7, $8) as answer', [
      job,
      lease,
      name,
      place,
      event,
      match ?? null,
      timeoutMs ?? null,
      lookbackMs ?? null,
    ])
  }

  async signal(event: string, payload: string, tx: Queryable = this.#db): Promise<number> {
    const { rows: found } = await tx.query<{ answer: string }>('select forge_jobs_signal($1, $2) as answer', [
      event,
      payload,
    ])
    return (JSON.parse(found[0]!.answer) as { woken: number }).woken
  }

  children(
    owner: StepOwner,
    step: StepPlace,
    members: readonly Member[],
    failFast: boolean,
  ): Promise<StepRow | undefined> {
    return this.#db.tx(async (tx) => {
      const known = await fenced(tx, owner, step.name)
      if (known === undefined || known.length > 0) return known?.[0]
      const jobs = members.map((member) => childJob(member, owner.job))
      const { added } = await this.#driver.add(jobs, { tx })
      return row(tx, 'select forge_jobs_steps_children($1, $2, $3, $4, $5, $6, $7) as answer', [
        owner.job,
        step.name,
        step.place,
        added.map(({ id }) => id!),
        members.map(({ name }) => name),
        JSON.stringify(members.map(({ needs }) => needs)),
        failFast,
      ])
    })
  }

  async members(parent: JobId, step: string): Promise<readonly MemberRow[]> {
    const { rows: found } = await this.#db.query<MemberRecord>(
      `select child as id, name, ended, output, error from forge_jobs_members
       where parent = $1 and step = $2 order by place`,
      [parent, step],
    )
    return found.map(memberRow)
  }

  async needsOf(child: JobId): Promise<readonly MemberRow[] | undefined> {
    const { rows: found } = await this.#db.query<MemberRecord & { readonly of: null }>(
      `select m.child as id, m.name, m.ended, m.output, m.error
       from forge_jobs_members c left join forge_jobs_members m
         on m.parent = c.parent and m.step = c.step and m.place = any (c.needs)
       where c.child = $1 order by m.place`,
      [child],
    )
    return found.length === 0 ? undefined : found.filter(({ id }) => id !== null).map(memberRow)
  }
}

/** What is stored under the name; `undefined`: the lease is lost. */
async function fenced(tx: Queryable, { job, lease }: StepOwner, name: string): Promise<StepRow[] | undefined> {
  return rows(tx, 'select case when forge_jobs_hold($1, $2) then forge_jobs_steps_text($1, $3) end as answer', [
    job,
    lease,
    name,
  ])
}

function put(
  db: Queryable,
  { job, lease }: StepOwner,
  { name, place }: StepPlace,
  kind: StepKind,
  value: string | null,
  inMs: number | null,
  atMs: number | null,
): Promise<StepRow | undefined> {
  return row(db, 'select forge_jobs_steps_put($1, $2, $3, $4, $5, $6, $7, $8) as answer', [
    job,
    lease,
    name,
    place,
    kind,
    value,
    inMs,
    atMs,
  ])
}

async function row(db: Queryable, text: string, values: unknown[]): Promise<StepRow | undefined> {
  return (await rows(db, text, values))?.[0]
}

async function rows(db: Queryable, text: string, values: unknown[]): Promise<StepRow[] | undefined> {
  const { rows: found } = await db.query<{ answer: string | null }>(text, values)
  const answer = found[0]!.answer
  if (answer === null) return undefined
  return (JSON.parse(answer) as Row[]).map(([name, place, kind, ended, leftMs, value]) => ({
    name,
    place,
    kind,
    ended,
    leftMs: leftMs ?? undefined,
    value,
  }))
}

function memberRow({ id, name, ended, output, error }: MemberRecord): MemberRow {
  return { id, name, ended: ended ?? undefined, output: output ?? undefined, error: error ?? undefined }
}
