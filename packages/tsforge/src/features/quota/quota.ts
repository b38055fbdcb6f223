import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import type { Per, Plan, PlanRate } from './plans.ts'

/**
 * Whose units. Those of an API key are counted in its own windows and in those of its tenant. Take ids from the
 * checked context (`requireTenantId()`), never from what a caller sends.
 */
export type QuotaSubject =
  | { readonly kind: 'tenant'; readonly id: string }
  | { readonly kind: 'api_key'; readonly id: string; readonly tenantId: string }

/** Where one limit stands. */
export interface QuotaStanding {
  readonly per: Per
  readonly each: 'tenant' | 'api_key'
  /** `null`: unlimited. */
  readonly limit: number | null
  readonly soft: boolean
  /** Units that count now, reserved ones included. */
  readonly used: number
  /** `null`: unlimited. */
  readonly remaining: number | null
  readonly startsAt: Date
  /** When nothing counts any more of what counts now. */
  readonly resetsAt: Date
}

/** Units that were taken. */
export interface Taken {
  readonly subject: QuotaSubject
  readonly quota: string
  readonly cost: number
  readonly plan: string
  /** Just behind the take. */
  readonly standings: readonly QuotaStanding[]
  /** The moment of the take, as the database writes it: names the periods for a refund. */
  readonly at: string
}

/** Units that are held. The id is all that is needed to settle it, in any process. */
export interface Reservation extends Taken {
  readonly id: string
  readonly expiresAt: Date
}

export interface TenantPlan {
  readonly plan: Plan
  /** Day of the month (UTC) on which the tenant's months begin. */
  readonly anchorDay: number
  /** Whether it was assigned; else it is the default plan. */
  readonly assigned: boolean
}

export interface QuotaUsage {
  readonly plan: string
  readonly quotas: readonly { readonly quota: string; readonly standings: readonly QuotaStanding[] }[]
}

/** One period of the past. */
export interface PastPeriod {
  /** The API key whose share it is; `null` for the tenant's total. */
  readonly keyId: string | null
  readonly quota: string
  readonly per: Per
  readonly startsAt: Date
  readonly endsAt: Date
  readonly used: number
  /** The limit when units were last taken; `null` for unlimited. */
  readonly limit: number | null
}

/**
 * Metered use. Each decision is one statement that locks the subject's counters, so it is exact over all processes; with
 * a transaction it commits or rolls back with the caller's own writes, and holds the lock until then.
 */
export interface Quota {
  readonly plans: ReadonlyMap<string, Plan>
  /**
   * Takes `cost` units (default 1) from all limits of `quota`, or none.
   * @throws `quota.exceeded`, `quota.not_in_plan`, `quota.unknown`, `quota.plan_unknown`, `quota.cost_invalid`, `quota.subject_invalid`.
   */
  take(subject: QuotaSubject, quota: string, options?: { readonly cost?: number }, tx?: Queryable): Promise<Taken>
  /** Gives units back to the periods that they came from: all, or `cost` of them. Once per `Taken`; further calls do nothing. */
  refund(taken: Taken, options?: { readonly cost?: number }, tx?: Queryable): Promise<void>
  /**
   * Holds units for work whose cost or outcome is not known yet. Unless settled, they are free again after the lease
   * (default `FORGE_QUOTA_LEASE`, at most a day). Throws as `take`.
   */
  reserve(
    subject: QuotaSubject,
    quota: string,
    options?: { readonly cost?: number; readonly leaseMs?: number },
    tx?: Queryable,
  ): Promise<Reservation>
  /**
   * Turns a reservation into usage, all of it or `cost` (0 to what was reserved), in the periods in which it was made.
   * @throws `quota.reservation_gone` when its lease is over or it was settled before; nothing is counted then.
   */
  commit(reservationId: string, options?: { readonly cost?: number }, tx?: Queryable): Promise<void>
  /** Gives all units of a reservation back. One that has ended is no error. */
  release(reservationId: string, tx?: Queryable): Promise<void>
  /** Every quota of the subject's plan. Takes nothing. */
  usage(subject: QuotaSubject, tx?: Queryable): Promise<QuotaUsage>
  /** Past days and months of a tenant and its API keys, newest first; at most `limit` (default 100, up to 1000). */
  history(
    tenantId: string,
    options?: { readonly quota?: string; readonly limit?: number },
    tx?: Queryable,
  ): Promise<PastPeriod[]>
  planOf(tenantId: string, tx?: Queryable): Promise<TenantPlan>
  /**
   * The rate of a tenant's plan for the limit of this name, for `ratelimit({ plans: quotaPort })`; `undefined` without a
   * tenant or a rate. From memory, at most 5 s old.
   */
  numbersOf(
    limit: string,
    call: { readonly tenantId: string | null },
  ): PlanRate | undefined | Promise<PlanRate | undefined>
  /**
   * Gives a tenant a plan, from the next take on: usage of the running periods stays, and meets the new limits. A window
   * that the old plan did not have begins empty. A new anchor day begins another month, which takes over what the
   * running one has used. @throws `quota.plan_unknown`, `quota.subject_invalid`.
   */
  assign(
    tenantId: string,
    values: { readonly plan: string; readonly anchorDay?: number },
    tx?: Queryable,
  ): Promise<TenantPlan>
}

/** No standard provider: only the app knows its plans. */
export const quotaPort: Port<Quota> = port<Quota>('quota')
