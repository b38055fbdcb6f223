import { definePlan } from 'tsforge/quota'
import type { Plan } from 'tsforge/quota'

/** What everybody has from the start, and may come back to. */
export const free: Plan = definePlan({
  name: 'free',
  quotas: { 'notes.created': [{ limit: 10_000, per: 'month' }] },
  open: true,
})

/** Given by the app itself, once it is paid for: `app.get(quotaPort).assign(tenantId, { plan: 'pro' })`. */
export const pro: Plan = definePlan({
  name: 'pro',
  quotas: { 'notes.created': [{ limit: 'unlimited', per: 'month' }] },
})
