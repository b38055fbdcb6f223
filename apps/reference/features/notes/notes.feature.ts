import { defineFeature } from 'tsforge'
import type { Feature } from 'tsforge'
import { cachePort } from 'tsforge/cache'
import { dbPort } from 'tsforge/db'
import { eventsPort, subscribe } from 'tsforge/events'
import { idempotencyPort } from 'tsforge/idempotency'
import { webhooksInPort } from 'tsforge/webhooks-in'
import { noteErrors } from './note.errors.ts'
import { noteHook, noteOptions } from './note.hooks.ts'
import { noteJobs, purgeNightly } from './note.jobs.ts'
import { createNoteService } from './note.service.ts'
import { noteRoutes } from './note.routes.ts'
import { noteTopic } from './note.topics.ts'

/** Notes of a tenant: every member reads them, its owners write them. */
export function notes(): Feature {
  return defineFeature({
    name: 'notes',
    options: noteOptions,
    needs: { cache: cachePort, db: dbPort, events: eventsPort, hooks: webhooksInPort, idempotency: idempotencyPort },
    errors: noteErrors,
    migrations: { module: 'notes', directory: new URL('./migrations/', import.meta.url), after: ['tenants'] },
    permissions: {
      'notes.read': { description: { en: 'Read notes', id: 'Membaca catatan' }, grantedTo: 'member' },
      'notes.write': { description: { en: 'Write and delete notes', id: 'Menulis dan menghapus catatan' } },
    },
    setup({ hooks, options, ...parts }) {
      const service = createNoteService({ ...parts, options })
      const hook = noteHook(service, options)
      if (hook !== undefined) hooks.declare(hook)
      return service
    },
    routes: noteRoutes,
    jobs: (service) => noteJobs(service),
    schedules: () => [purgeNightly],
    // A process that dies between its commit and `changed` leaves old counts behind.
    subscriptions: ({ changed }) => [subscribe({ name: 'notes.counts', to: 'note.*', handler: () => changed() })],
    topics: () => [noteTopic],
  })
}
