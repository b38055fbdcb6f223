export { quotaErrors } from './errors.ts'
export type { QuotaErrorCode } from './errors.ts'
export { planAssigned, quotaLevelReached } from './events.ts'
export type { PlanAssignedEvent, QuotaLevelEvent } from './events.ts'
export { definePlan } from './plans.ts'
export type { Per, Plan, PlanRate, PlanSpec, QuotaLimit, Window } from './plans.ts'
export { quota } from './plugin.ts'
export type { QuotaInput, RouteQuota } from './plugin.ts'
export { quotaPort } from './quota.ts'
export type {
  PastPeriod,
  Quota,
  QuotaStanding,
  QuotaSubject,
  QuotaUsage,
  Reservation,
  Taken,
  TenantPlan,
} from './quota.ts'
