import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { KeyedRequest } from './idempotency.ts'

/** Never carries a key or an answer. */
export interface IdempotencyEvent {
  readonly tenantId: string | null
  /** Kind and id of who asked, e.g. `user:0192…`; `anonymous` on public routes. */
  readonly principal: string
  /** What was asked for, e.g. `POST /api/v1/notes`. */
  readonly operation: string
}

const named = (name: string): Channel<unknown, IdempotencyEvent> => channel(name) as Channel<unknown, IdempotencyEvent>

/** A stored answer was given again. */
export const requestReplayed: Channel<unknown, IdempotencyEvent> = named('idempotency.request.replayed')
/** A key came with another request: a bug of the client, or somebody is trying keys out. */
export const keyReused: Channel<unknown, IdempotencyEvent> = named('idempotency.key.reused')
/** Work whose process died or hung was taken over by another attempt. */
export const workRecovered: Channel<unknown, IdempotencyEvent> = named('idempotency.work.recovered')
/** A holder found that another has taken its work over: it was slower than its lease. */
export const leaseLost: Channel<unknown, IdempotencyEvent> = named('idempotency.lease.lost')

export function eventOf({ tenantId, principal, operation }: KeyedRequest): IdempotencyEvent {
  return { tenantId, principal: principal ?? 'anonymous', operation }
}
