import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Queryable } from '../driver.ts'
import { tellConnection } from '../events.ts'

/** How far a replica is behind. */
export interface ReplicaLag {
  readonly bytes: number
  readonly seconds: number
}

export interface ReplicaLimits {
  /** A replica further behind is not read from. Default 16 MB. */
  readonly maxLagBytes: number
  /** Default 10 s. */
  readonly maxLagMs: number
  /** Time between two looks at the replica, default 2 s. */
  readonly checkMs: number
}

/** Asks both servers. Needs streaming replication; services that hide the positions bring their own probe. */
export async function measureLag(primary: Queryable, replica: Queryable): Promise<ReplicaLag> {
  // The primary first: what it writes in between must not count as lag.
  const { rows: written } = await primary.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn', [])
  const { rows } = await replica.query<{ bytes: number; seconds: number }>(
    `select greatest(pg_wal_lsn_diff($1::pg_lsn, pg_last_wal_replay_lsn()), 0)::float8 as bytes,
            extract(epoch from now() - pg_last_xact_replay_timestamp())::float8 as seconds
      where pg_is_in_recovery()`,
    [written[0]!.lsn],
  )
  const lag = rows[0]
  if (lag === undefined) throw new Error('the server behind the replica URL is not a replica')
  // A replica that has replayed everything is not late, however long ago the last write was.
  return lag.bytes === 0
    ? { bytes: 0, seconds: 0 }
    : { bytes: lag.bytes, seconds: lag.seconds ?? Number.POSITIVE_INFINITY }
}

/** Looks at the replica at intervals. It starts as unhealthy: the first look decides. */
export class ReplicaWatch {
  readonly #probe: () => Promise<ReplicaLag>
  readonly #limits: ReplicaLimits
  readonly #clock: Clock
  #timer: Timer | undefined
  #looking: Promise<void> | undefined
  healthy = false

  constructor(probe: () => Promise<ReplicaLag>, limits: ReplicaLimits, clock: Clock) {
    this.#probe = probe
    this.#limits = limits
    this.#clock = clock
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    this.#timer = this.#clock.every(this.#limits.checkMs, () => void this.look())
    await this.look()
  }

  stop(): void {
    this.#timer?.cancel()
    this.healthy = false
  }

  /** One look; those who ask while it runs share it. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  /** A read failed there: do not use it until the next look. */
  suspend(cause: unknown): void {
    this.#set(false, cause)
  }

  async #look(): Promise<void> {
    try {
      const lag = await withDeadline(this.#probe(), this.#clock, Math.max(this.#limits.checkMs * 2, 1000))
      this.#set(lag.bytes <= this.#limits.maxLagBytes && lag.seconds * 1000 <= this.#limits.maxLagMs, lag)
    } catch (error) {
      this.#set(false, error)
    }
  }

  #set(healthy: boolean, cause: unknown): void {
    if (healthy === this.healthy) return
    this.healthy = healthy
    tellConnection({ kind: healthy ? 'replica_healthy' : 'replica_unhealthy', cause })
  }
}

function withDeadline<T>(work: Promise<T>, clock: Clock, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => reject(new Error('the replica did not answer in time')))
    work.then(resolve, reject).finally(timer.cancel)
  })
}
