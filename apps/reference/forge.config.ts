import { defineConfig } from 'tsforge'
import { accounts } from 'tsforge/accounts'
import { tenants } from 'tsforge/tenants'
import { notes } from './features/notes/notes.feature.ts'

export default defineConfig({
  name: 'reference',
  features: [accounts(), tenants(), notes()],
})
