import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { Per } from './plans.ts'

/** A subject has come to a level of a limit: once per level and period, whatever happens in it afterwards. */
export interface QuotaLevelEvent {
  /** Id of its row in `forge_quota_events`. */
  readonly id: string
  readonly tenantId: string
  /** The API key whose own share it is; `null` for the tenant's total. */
  readonly keyId: string | null
  readonly quota: string
  readonly per: Per
  readonly periodStartsAt: Date
  /** Percent of the limit. */
  readonly level: number
  readonly used: number
  readonly limit: number
  readonly at: Date
}

export interface PlanAssignedEvent {
  readonly tenantId: string
  readonly plan: string
}

/** Published after the commit, by the process that crossed the level. The row commits with the usage itself. */
export const quotaLevelReached: Channel<unknown, QuotaLevelEvent> = channel('quota.level.reached') as Channel<
  unknown,
  QuotaLevelEvent
>

/** Published after the commit. */
export const planAssigned: Channel<unknown, PlanAssignedEvent> = channel('quota.plan.assigned') as Channel<
  unknown,
  PlanAssignedEvent
>
