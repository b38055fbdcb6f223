import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { startPeriodic } from '../../kernel/periodic.ts'
import type { Db } from '../../primitives/db/index.ts'
import type { Jobs } from '../../primitives/jobs/index.ts'
import { endStuck, expire, selectStuck } from './delivery-repository.ts'
import { tellDead } from './handling.ts'
import type { WebhooksInMeters } from './meters.ts'
import type { WebhooksInOptions } from './options.ts'

const everyMs = 5 * 60_000
/** A job may have died with its process, and then its handler has noted nothing. */
const stuckMs = 10 * 60_000
const batch = 500

export interface SweepParts {
  readonly db: Db
  readonly jobs: Jobs
  readonly clock: Clock
  readonly log: Log
  readonly meters: WebhooksInMeters
  readonly options: WebhooksInOptions
}

/** Empties and deletes what has had its time, and finds out which pending deliveries are dead. Safe on all replicas at once. */
export async function sweep(parts: SweepParts): Promise<void> {
  const { db, clock, meters, options } = parts
  const now = clock.now()
  const before = new Date(now - options.retentionMs)
  const forgetBefore = new Date(now - Math.max(options.retentionMs, options.memoryMs))
  for (let rows = batch; rows === batch;) {
    rows = await expire(db, before, forgetBefore, batch)
    meters.swept(rows)
  }
  await reconcile(parts, new Date(now - stuckMs))
}

async function reconcile({ db, jobs, clock, meters }: SweepParts, before: Date): Promise<void> {
  let after: string | undefined
  for (;;) {
    const stuck = await selectStuck(db, before, after, batch)
    for (const delivery of stuck) {
      const job = delivery.jobId === null ? undefined : await jobs.get(delivery.jobId)
      if (job !== undefined && open.has(job.state)) continue
      const error = job?.error?.name ?? 'JobLost'
      if (!(await endStuck(db, delivery, { error, at: new Date(clock.now()) }))) continue
      meters.handled(delivery.source, 'dead')
      tellDead(delivery)
    }
    if (stuck.length < batch) return
    after = stuck.at(-1)!.id
  }
}

const open: ReadonlySet<string> = new Set(['scheduled', 'ready', 'running', 'retrying'])

/** Sweeps every five minutes, one run at a time. Returns what stops it. */
export function startSweeping(parts: SweepParts): () => Promise<void> {
  return startPeriodic(() => sweep(parts), {
    clock: parts.clock,
    log: parts.log,
    everyMs,
    failure: 'sweeping incoming webhooks failed',
  })
}
