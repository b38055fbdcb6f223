import { defineConfig } from 'tsforge'
import { accounts } from 'tsforge/accounts'
import { idempotency } from 'tsforge/idempotency'
import { jobs, jobsApi } from 'tsforge/jobs'
import { quota } from 'tsforge/quota'
import { ratelimit } from 'tsforge/ratelimit'
import { tenants } from 'tsforge/tenants'
import { notes } from './features/notes/notes.feature.ts'
import { free, pro } from './plans.ts'

export default defineConfig({
  name: 'reference',
  features: [
    accounts(),
    tenants(),
    ratelimit(),
    quota({ plans: [free, pro], defaultPlan: 'free', routes: { createNote: 'notes.created' } }),
    idempotency(),
    jobs(),
    jobsApi(),
    notes(),
  ],
})
