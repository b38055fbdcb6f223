import type { Queryable } from '../../../db/index.ts'
import type { JobRate, QueueSettings } from '../../driver.ts'

interface SettingsRow {
  readonly paused: boolean
  readonly concurrency: number | null
  readonly rate_limit: number | null
  readonly rate_period_ms: number | null
  readonly rate_burst: number | null
  readonly key_concurrency: number | null
  readonly key_rate_limit: number | null
  readonly key_rate_period_ms: number | null
  readonly key_rate_burst: number | null
  readonly fair: boolean
}

export async function writeSettings(db: Queryable, queue: string, settings: QueueSettings): Promise<void> {
  const { rate, perKey } = settings
  await db.query(
    `insert into forge_jobs_queues (queue, paused, concurrency, rate_limit, rate_period_ms, rate_burst, key_concurrency,
       key_rate_limit, key_rate_period_ms, key_rate_burst, fair)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     on conflict (queue) do update set paused = excluded.paused, concurrency = excluded.concurrency,
       rate_limit = excluded.rate_limit, rate_period_ms = excluded.rate_period_ms, rate_burst = excluded.rate_burst,
       key_concurrency = excluded.key_concurrency, key_rate_limit = excluded.key_rate_limit,
       key_rate_period_ms = excluded.key_rate_period_ms, key_rate_burst = excluded.key_rate_burst, fair = excluded.fair`,
    [
      queue,
      settings.paused ?? false,
      settings.concurrency,
      rate?.limit,
      rate?.periodMs,
      rate?.burst,
      perKey?.concurrency,
      perKey?.rate?.limit,
      perKey?.rate?.periodMs,
      perKey?.rate?.burst,
      settings.fair ?? false,
    ],
  )
  // What was added before the queue served keys. Claims may read these rows meanwhile; nobody else writes them.
  if (perKey !== undefined || settings.fair === true) {
    await db.query(
      'update forge_jobs set key = tenant_id::text where queue = $1 and key is null and tenant_id is not null',
      [queue],
    )
  }
  await db.query(`select pg_notify('forge_jobs', 'w' || $1::text)`, [queue])
}

export async function writePaused(db: Queryable, queue: string, paused: boolean): Promise<void> {
  await db.query(
    `with written as (
       insert into forge_jobs_queues (queue, paused) values ($1, $2)
       on conflict (queue) do update set paused = excluded.paused returning queue
     ) select pg_notify('forge_jobs', 'w' || queue) from written`,
    [queue, paused],
  )
}

export async function readSettings(db: Queryable, queue: string): Promise<QueueSettings> {
  const { rows } = await db.query<SettingsRow>('select * from forge_jobs_queues where queue = $1', [queue])
  const row = rows[0]
  if (row === undefined) return {}
  const rate = rateOf(row.rate_limit, row.rate_period_ms, row.rate_burst)
  const keyRate = rateOf(row.key_rate_limit, row.key_rate_period_ms, row.key_rate_burst)
  return {
    ...(row.paused && { paused: true }),
    ...(row.concurrency !== null && { concurrency: row.concurrency }),
    ...(rate !== undefined && { rate }),
    ...((row.key_concurrency !== null || keyRate !== undefined) && {
      perKey: {
        ...(row.key_concurrency !== null && { concurrency: row.key_concurrency }),
        ...(keyRate !== undefined && { rate: keyRate }),
      },
    }),
    ...(row.fair && { fair: true }),
  }
}

function rateOf(limit: number | null, periodMs: number | null, burst: number | null): JobRate | undefined {
  if (limit === null || periodMs === null) return undefined
  return { limit, periodMs, ...(burst !== null && { burst }) }
}
