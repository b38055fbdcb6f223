import { defineConfig } from 'tsforge'
import { accounts } from 'tsforge/accounts'
import { idempotency } from 'tsforge/idempotency'
import { jobs, jobsApi } from 'tsforge/jobs'
import { mail } from 'tsforge/mail'
import { quota } from 'tsforge/quota'
import { ratelimit } from 'tsforge/ratelimit'
import { tenants } from 'tsforge/tenants'
import { uploads } from 'tsforge/uploads'
import { webhooks } from 'tsforge/webhooks'
import { webhooksIn, webhooksInApi } from 'tsforge/webhooks-in'
import { avatar } from './features/avatar/avatar.feature.ts'
import { noteChanged, noteCreated, noteDeleted } from './features/notes/note.events.ts'
import { notes } from './features/notes/notes.feature.ts'
import { newSignIn, passwordChanged, welcome } from './features/notices/notice.templates.ts'
import { notices } from './features/notices/notices.feature.ts'
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
    uploads({ kinds: { avatar: { types: ['image/png', 'image/jpeg', 'image/webp'], maxSize: '2mb' } } }),
    webhooks({ events: [noteCreated, noteChanged, noteDeleted] }),
    webhooksIn(),
    webhooksInApi(),
    mail({ templates: [welcome, passwordChanged, newSignIn] }),
    notices(),
    notes(),
    avatar(),
  ],
})
