import type { Db } from '../../../db/index.ts'
import { placeOf } from '../../driver.ts'
import type { Due, LoggedEvent, ParkedFilter, ParkedRecord, ParkedRequest, RedriveEvents } from '../../driver.ts'
import { recordOf } from './rows.ts'
import type { ParkedRow } from './rows.ts'

const epochMs = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`

export async function dueEvents(db: Db, name: string, limit: number): Promise<Due> {
  const { rows } = await db.query<{ event: LoggedEvent; attempt: number; wait: number }>(
    `select event, attempt, ${epochMs('due - clock_timestamp()')} as wait from forge_events_parked
     where subscription = $1 and died_at is null and due is not null order by due limit $2`,
    [name, limit + 1],
  )
  const due = rows.filter(({ wait }) => wait <= 0)
  const events = due.slice(0, limit).map(({ event, attempt }) => ({ event, attempt }))
  const next = due.length > limit ? 0 : rows[due.length]?.wait
  const { rows: counts } = await db.query<{ n: number }>(
    'select count(*)::int as n from (select from forge_events_parked where subscription = $1 and died_at is null limit 100000) x',
    [name],
  )
  return { events, waiting: counts[0]!.n, nextMs: next }
}

export async function listParked(db: Db, { filter, limit, after }: ParkedRequest): Promise<readonly ParkedRecord[]> {
  const where = conditions(filter)
  if (after !== undefined) {
    const { window, seq } = placeOf(after[1])!
    where.add('(subscription, no, seq) > (?, ?, ?)', after[0], window, seq)
  }
  const { rows } = await db.query<ParkedRow>(
    `select subscription, event, attempt, error, ${epochMs('parked_at')} as parked, ${epochMs('died_at')} as died,
       ${epochMs('due')} as due
     from forge_events_parked where ${where.text} order by subscription, no, seq limit ${limit}`,
    where.values,
  )
  return rows.map(recordOf)
}

const redrivePart = 1000

/** In parts: one statement over a million rows would hold its locks for as long as it takes. */
export async function redrive(db: Db, { filter, limit, perSecond }: RedriveEvents): Promise<number> {
  const gapMs = perSecond === undefined ? 0 : 1000 / perSecond
  let count = 0
  for (;;) {
    const most = Math.min(redrivePart, (limit ?? Number.POSITIVE_INFINITY) - count)
    const where = conditions({ ...filter, state: 'dead' })
    const values = [...where.values, most, gapMs, count * gapMs]
    const [n, gap, offset] = [values.length - 2, values.length - 1, values.length]
    const { rowCount } = await db.query(
      `with dead as (
         select subscription, no, seq, row_number() over (order by subscription, no, seq) - 1 as place from (
           select subscription, no, seq from forge_events_parked where ${where.text}
           order by subscription, no, seq limit $${n}::int for update skip locked
         ) x
       )
       update forge_events_parked k set died_at = null, attempt = 0,
         due = clock_timestamp() + ($${offset}::float8 + dead.place * $${gap}::float8) * interval '1 millisecond'
       from dead where (k.subscription, k.no, k.seq) = (dead.subscription, dead.no, dead.seq)`,
      values,
    )
    count += rowCount ?? 0
    if ((rowCount ?? 0) < most || count === limit) break
  }
  if (count > 0) await db.query(`select pg_notify('forge_events', '')`, [])
  return count
}

export async function removeDead(db: Db, filter: ParkedFilter): Promise<number> {
  const where = conditions({ ...filter, state: 'dead' })
  const { rowCount } = await db.query(`delete from forge_events_parked where ${where.text}`, where.values)
  return rowCount ?? 0
}

interface Where {
  readonly text: string
  readonly values: unknown[]
  /** Each `?` stands for a value. */
  add(text: string, ...values: unknown[]): void
}

function conditions({ subscription, state, id, type, tenantId }: ParkedFilter): Where {
  const parts: string[] = ['true']
  const values: unknown[] = []
  const where: Where = {
    values,
    get text() {
      return parts.join(' and ')
    },
    add(text, ...more) {
      parts.push(
        text.replaceAll('?', () => {
          values.push(more.shift())
          return `$${values.length}`
        }),
      )
    },
  }
  if (subscription !== undefined) where.add('subscription = ?', subscription)
  if (state !== undefined) where.add(`died_at is ${state === 'dead' ? 'not null' : 'null'}`)
  if (id !== undefined) where.add('id = ?', id)
  if (type !== undefined) where.add('type = ?', type)
  if (tenantId !== undefined) where.add('tenant_id = ?', tenantId)
  return where
}
