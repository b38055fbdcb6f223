import type { Queryable } from '../../../primitives/db/index.ts'
import type { WebhooksOptions } from '../options.ts'
import * as repository from './repository.ts'
import type { Called, Work } from './repository.ts'

/** Failures in a row after which an endpoint rests; then one tries before the others come. */
export const restAfter = 5

export type Admission =
  | { readonly as: 'go'; readonly work: Work; readonly number: number }
  /** `reason`: `early` for one that came before its time. */
  | { readonly as: 'wait'; readonly reason: 'place' | 'turn' | 'rate' | 'rest' | 'early'; readonly delayMs: number }
  | {
      readonly as: 'over'
      readonly state: 'failed' | 'cancelled'
      readonly work: Work
      readonly called: readonly Called[]
    }
  | { readonly as: 'nothing' }

export interface AdmissionParts {
  readonly options: Pick<WebhooksOptions, 'scheduleMs' | 'concurrency'>
  /** How long an attempt may hold its place; beyond it its process is taken for dead. */
  readonly leaseMs: number
  readonly random?: () => number
}

/**
 * Whether this delivery may be tried now. Decided under the lock of its endpoint, and before anything is sent: who has to wait
 * has not failed. Places, order, rate and rest hold over all processes.
 */
export async function admit(
  tx: Queryable,
  deliveryId: string,
  jobId: number,
  nowMs: number,
  { options, leaseMs, random = Math.random }: AdmissionParts,
): Promise<Admission> {
  const now = new Date(nowMs)
  const work = await repository.lockWork(tx, deliveryId)
  if (work === undefined || work.state !== 'pending') return { as: 'nothing' }
  // It was begun anew since, by a job of its own.
  if (work.jobId !== null && work.jobId !== jobId) return { as: 'nothing' }
  const over = async (state: 'failed' | 'cancelled', error: string): Promise<Admission> => {
    await repository.settle(tx, work.id, state, now, { error })
    return { as: 'over', state, work, called: await repository.callWaiting(tx, work.endpointId, 1) }
  }
  const stay = async (
    reason: 'place' | 'turn' | 'rate' | 'rest' | 'early',
    delayMs: number,
    { slotAt = work.slotAt, waiting = false }: { readonly slotAt?: Date | null; readonly waiting?: boolean } = {},
  ): Promise<Admission> => {
    await repository.wait(tx, work.id, { jobId, slotAt, waiting })
    return { as: 'wait', reason, delayMs: Math.max(1, Math.ceil(delayMs)) }
  }
  if (!work.open) return over('cancelled', 'webhooks.endpoint_disabled')
  // The last one was begun, and its process died.
  if (work.tries > options.scheduleMs.length) return over('failed', 'webhooks.attempt_lost')
  const early = (work.nextAt?.getTime() ?? 0) - nowMs
  if (early > 1000) return stay('early', early)
  /** Who waits is called; this is for calls that are missed, and the more there are, the less often each looks by itself. */
  const crowd = async (eachMs: number): Promise<number> => (await repository.countPending(tx, work.endpointId)) * eachMs
  const older = work.ordered ? await repository.selectOlder(tx, work, now) : []
  if (older.length > 0) {
    // The very next one is back soon, should it have missed the call.
    const next = older.length === 1 && older[0]!.leased
    return stay('turn', next ? 500 + random() * 1000 : 30_000 + random() * (30_000 + (await crowd(300))), {
      waiting: true,
    })
  }
  if (work.restsUntil !== null && work.restsUntil > now) {
    const rest = work.restsUntil.getTime() - nowMs
    return stay('rest', rest + random() * (5000 + (await crowd(60))), { waiting: true })
  }
  const places = work.ordered ? 1 : (work.concurrency ?? options.concurrency)
  if ((await repository.countLeased(tx, work, now)) >= places)
    return stay('place', 1000 + random() * (1000 + (await crowd(30))), { waiting: true })
  const slot = slotOf(work, nowMs)
  if (slot !== undefined && slot > nowMs) {
    if (work.slotAt === null) await repository.saveFlow(tx, work, { freeAt: new Date(slot + 1000 / work.rate!) })
    return stay('rate', slot - nowMs, { slotAt: new Date(slot) })
  }
  const probing = work.failures >= restAfter
  if ((slot !== undefined && work.slotAt === null) || probing) {
    await repository.saveFlow(tx, work, {
      ...(slot !== undefined && work.slotAt === null && { freeAt: new Date(slot + 1000 / work.rate!) }),
      // The others wait for what becomes of this one.
      ...(probing && { restsUntil: new Date(nowMs + leaseMs) }),
    })
  }
  const number = await repository.lease(tx, work.id, jobId, new Date(nowMs + leaseMs))
  return { as: 'go', work, number }
}

/**
 * When the rate of the endpoint lets this one through: a place is taken in line once (GCRA), so that who comes back finds it free.
 * Up to a second's worth may go at once. `undefined`: there is no rate.
 */
function slotOf({ rate, slotAt, freeAt }: Work, nowMs: number): number | undefined {
  if (rate === null) return undefined
  if (slotAt !== null) return slotAt.getTime()
  return Math.max(freeAt?.getTime() ?? 0, nowMs - (1000 - 1000 / rate))
}
