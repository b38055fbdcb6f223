import type { Command } from './command.ts'

interface Entry {
  readonly summary: string
  load(): Promise<Command>
}

/** Every verb. Help reads this table alone, so that it needs no other module. */
export const commands: Readonly<Record<string, Entry>> = {
  start: { summary: 'Run the app', load: async () => (await import('./commands/start.ts')).start },
  worker: {
    summary: 'Run jobs and deliver events without serving HTTP',
    load: async () => (await import('./commands/worker.ts')).worker,
  },
  dev: { summary: 'Run the app and restart it on changes', load: async () => (await import('./commands/dev.ts')).dev },
  migrate: {
    summary: 'Apply, revert or inspect migrations',
    load: async () => (await import('./commands/migrate.ts')).migrate,
  },
  doctor: {
    summary: 'Check everything that the app needs',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  routes: {
    summary: 'List the routes and who may call them',
    load: async () => (await import('./commands/routes.ts')).routes,
  },
  openapi: { summary: 'Print the OpenAPI document', load: async () => (await import('./commands/openapi.ts')).openapi },
  env: { summary: 'Print every setting as an .env file', load: async () => (await import('./commands/env.ts')).env },
  keys: { summary: 'List or rotate the signing keys', load: async () => (await import('./commands/keys.ts')).keys },
  jobs: {
    summary: 'Look at jobs, retry, cancel and redrive them, pause queues',
    load: async () => (await import('./commands/jobs.ts')).jobs,
  },
  events: {
    summary: 'Look at events and subscriptions, deliver dead ones again, replay',
    load: async () => (await import('./commands/events.ts')).events,
  },
  repl: {
    summary: 'A prompt with the app and its services at hand',
    load: async () => (await import('./commands/repl.ts')).repl,
  },
}
