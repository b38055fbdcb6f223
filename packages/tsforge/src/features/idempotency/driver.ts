import type { Queryable } from '../../primitives/db/index.ts'

/** What a key stands for: `id` is a hash of scope and key, `request` the sealed fingerprint of the first request. */
export interface NewClaim {
  /** Fencing token (UUID): whoever holds it, and nobody else, may extend, settle or release. */
  readonly token: string
  /** Opaque to the driver; given back to whoever comes later. */
  readonly request: string
  /** How long the claim holds without a heartbeat. */
  readonly leaseMs: number
  /** How long the key is remembered at all. */
  readonly ttlMs: number
}

/** What a driver found under an id. Times are judged by the backend's own clock. */
export type Claim =
  | { readonly state: 'claimed' }
  /** Somebody is at work. With `leaseLeftMs` of 0 or less the work was orphaned, and may be taken over from `token`. */
  | { readonly state: 'running'; readonly request: string; readonly token: string; readonly leaseLeftMs: number }
  | { readonly state: 'settled'; readonly request: string; readonly answer: string; readonly leaseLeftMs: number }

export interface IdempotencyCapabilities {
  /** `settle` can take part in a transaction of the caller's, so that effect and record commit together. */
  readonly transactional: boolean
  /** Several processes see the same keys. */
  readonly shared: boolean
}

/**
 * What a store of idempotency keys promises: at most one holder of an id at a time, judged by one clock. All policy
 * (scopes, fingerprints, sealing, waiting, loss) lives in the facade. Every method rejects when the backend is away.
 */
export interface IdempotencyDriver {
  readonly name: string
  readonly capabilities: IdempotencyCapabilities
  /** Takes `id` when nobody has it, or when what was there has outlived its time to live, swept or not. */
  claim(id: string, claim: NewClaim): Promise<Claim>
  /** Takes an orphan over from the holder `former`. False when that one came back, or another was faster. */
  takeOver(id: string, former: string, claim: NewClaim): Promise<boolean>
  /** Extends the lease from now. False when `token` does not hold `id` any more. Never waits for an open transaction. */
  extend(id: string, token: string, leaseMs: number): Promise<boolean>
  /**
   * Stores the answer, or replaces the one that this holder stored before. False when `token` does not hold `id`
   * any more; then nothing was stored. With `tx` (only where `transactional`) it counts once that commits.
   */
  settle(id: string, token: string, answer: string, ttlMs: number, tx?: Queryable): Promise<boolean>
  /** Forgets a claim that came to nothing. Leaves alone what is settled or held by another. */
  release(id: string, token: string): Promise<void>
  /** Deletes at most `limit` keys whose time is over; returns how many. 0 where the backend forgets by itself. */
  sweep(limit: number): Promise<number>
  /** Rejects when the backend cannot be reached. */
  ping(): Promise<void>
  /** Releases what the driver made itself. */
  close(): Promise<void>
}
