import { expect } from 'vitest'
import { accounts } from '../../../features/accounts/index.ts'
import { tenants } from '../../../features/tenants/index.ts'
import { defineFeature } from '../../../http/feature.ts'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp, TestUser } from '../../../testing/app.ts'
import { openEventStream } from '../../../testing/event-stream.ts'
import type { EventStream, EventStreamOptions, StreamedEvent } from '../../../testing/event-stream.ts'
import { defineEvent, eventsPort } from '../../events/index.ts'
import type { EmitOptions, Events, EventType } from '../../events/index.ts'
import { defineTopic, realtime, realtimePort } from '../index.ts'
import type { Realtime, Topic } from '../index.ts'

export const noteMade: EventType<{ n: number; text?: string }> = defineEvent<{ n: number; text?: string }>({
  type: 'note.made',
})
export const greeted: EventType<{ to: string; n: number }> = defineEvent<{ to: string; n: number }>({
  type: 'person.greeted',
  subject: ({ to }) => to,
})

export const topics: readonly Topic[] = [
  defineTopic({ name: 'notes', events: 'note.*', audience: 'tenant', permission: 'notes.read' }),
  defineTopic({ name: 'secrets', events: 'note.*', audience: 'tenant', permission: 'notes.write' }),
  defineTopic({ name: 'made', events: [noteMade], audience: 'tenant', data: ({ data }) => ({ number: data.n }) }),
  defineTopic({ name: 'greetings', events: greeted, audience: 'user' }),
]

const parts = defineFeature({
  name: 'parts',
  setup: () => {},
  permissions: {
    'notes.read': { description: 'Read', grantedTo: 'member' },
    'notes.write': { description: 'Write' },
  },
  topics: () => topics,
})

export interface World extends AsyncDisposable {
  readonly app: TestApp
  readonly events: Events
  readonly realtime: Realtime
  readonly url: string
  /** Emits a note of a tenant; its number is its data. */
  note(tenantId: string | null, n: number, text?: string): Promise<void>
  emit: (type: typeof greeted, data: { to: string; n: number }, options?: EmitOptions) => Promise<unknown>
  open(who: TestUser | undefined, query: string, options?: EventStreamOptions): Promise<EventStream>
}

export interface WorldInput {
  readonly env?: Record<string, string>
  readonly databaseUrl?: string
}

/** An app with streams, listening. */
export async function world({ env = {}, databaseUrl }: WorldInput = {}): Promise<World> {
  const app = await createTestApp({
    features: [accounts(), tenants(), realtime(), parts],
    env: { PORT: '0', ...env },
    ...(databaseUrl !== undefined && { databaseUrl }),
  })
  const url = await app.http.listen({ host: '127.0.0.1', port: 0 })
  const events = app.get(eventsPort)
  return {
    app,
    events,
    realtime: app.get(realtimePort),
    url,
    note: async (tenantId, n, text) => {
      await events.emit(app.db, noteMade, { n, ...(text !== undefined && { text }) }, { tenantId })
    },
    emit: (type, data, options) => events.emit(app.db, type, data, options),
    open: (who, query, options) =>
      openEventStream(`${url}/api/v1/stream?${query}`, {
        ...(who !== undefined && { token: who.tokens.access_token }),
        ...options,
      }),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  }
}

/** The tenant that somebody's token names. */
export async function tenantOf({ client, user }: { client: TestApp; user: TestUser }): Promise<string> {
  const { rows } = await client.db.query<{ id: string }>(
    'select tenant_id as id from forge_tenants_memberships where user_id = $1',
    [user.id],
  )
  return rows[0]!.id
}

export const numbers = (stream: EventStream): number[] =>
  stream.events.map(({ data }) => (JSON.parse(data) as { data: { n: number } }).data.n)

const asking = (app: TestApp): boolean => !/^forge_realtime_rechecks 0$/m.test(app.metrics.render())

/** Lets time pass no faster than the database answers: leaps would look like a database that is away. */
export async function pass(app: TestApp, ms: number, stepMs = 500): Promise<void> {
  const { revocations } = app.services['accounts'] as { readonly revocations: { sync(): Promise<void> } }
  for (let left = ms; left > 0; left -= stepMs) {
    await app.clock.advance(Math.min(left, stepMs))
    await revocations.sync()
    while (asking(app)) await app.db.query('select 1')
  }
}

/** Lets time pass until the condition holds. */
export async function until({ app }: Pick<World, 'app'>, condition: () => boolean): Promise<void> {
  for (let step = 0; step < 3000 && !condition(); step++) await pass(app, 10, 10)
  if (!condition()) throw new Error('it did not come to that')
}

/** The next event. What commits just before the app hears is found by a look, which comes with time. */
export async function next(w: Pick<World, 'app'>, stream: EventStream): Promise<StreamedEvent> {
  let event: StreamedEvent | undefined
  void stream.next().then((come) => (event = come))
  await until(w, () => event !== undefined)
  return event!
}

export async function seen(w: Pick<World, 'app'>, stream: EventStream, expected: readonly number[]): Promise<void> {
  await until(w, () => stream.events.length >= expected.length)
  expect(numbers(stream)).toEqual(expected)
}
