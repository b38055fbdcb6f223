import { defineConfig } from 'tsforge'
import { accounts } from 'tsforge/accounts'
import { idempotency } from 'tsforge/idempotency'
import { ratelimit } from 'tsforge/ratelimit'
import { tenants } from 'tsforge/tenants'
import { notes } from './features/notes/notes.feature.ts'

export default defineConfig({
  name: 'reference',
  features: [accounts(), tenants(), ratelimit(), idempotency(), notes()],
})
