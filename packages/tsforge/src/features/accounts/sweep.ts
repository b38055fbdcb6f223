import { startPeriodic } from '../../kernel/periodic.ts'
import type { Parts } from './parts.ts'
import { eraseSuccessors, sweepRefreshTokens } from './refresh-repository.ts'
import { sweepRevocations } from './revocation-repository.ts'
import { marginMs } from './revocations.ts'
import { sweepSessions } from './session-repository.ts'
import { sweepThrottles } from './throttle-repository.ts'

const everyMs = 60_000
/** How long what has expired can still be named, so that its holder hears "expired" and not "unknown". */
const keepMs = 24 * 60 * 60_000
/** Rows of one statement: short locks, whatever has piled up. */
const batch = 1_000

/** Deletes what has had its time: tokens, sessions, throttles, revocations, sealed pairs. Safe on all replicas at once. */
export async function sweep({ clock, db, options }: Parts, signal?: AbortSignal): Promise<void> {
  const now = clock.now()
  const old = new Date(now - keepMs)
  const drain = async (removeSome: (limit: number) => Promise<number>): Promise<void> => {
    while (signal?.aborted !== true && (await removeSome(batch)) === batch);
  }
  await drain((limit) => eraseSuccessors(db, new Date(now - options.refreshGraceMs), limit))
  await drain((limit) => sweepRevocations(db, options.accessTtlMs + 2 * marginMs, limit))
  await drain((limit) => sweepRefreshTokens(db, old, limit))
  await drain((limit) => sweepSessions(db, old, limit))
  await drain((limit) => sweepThrottles(db, new Date(now), limit))
}

/** Sweeps every minute, one run at a time. Returns what stops it. */
export function startSweeping(parts: Parts): () => Promise<void> {
  return startPeriodic((signal) => sweep(parts, signal), {
    clock: parts.clock,
    log: parts.log,
    everyMs,
    failure: 'sweeping accounts failed',
  })
}
