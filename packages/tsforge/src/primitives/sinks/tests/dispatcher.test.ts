import { jetstreamManager } from '@nats-io/jetstream'
import type { StreamAPI } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { hasNats, startNats } from '../../../testing/nats-server.ts'
import type { NatsServer } from '../../../testing/nats-server.ts'
import { createDispatcher, createEvents, defineEvent, toSink } from '../../events/index.ts'
import type { Dispatcher, Events } from '../../events/index.ts'
import { postgres } from '../../events/drivers/postgres.ts'
import { createSink } from '../create-sink.ts'
import { nats } from '../drivers/nats.ts'

const moved = defineEvent<{ order: number; step: number }>({
  type: 'order.moved',
  key: ({ order }) => `order ${order}`,
})
const migrations = { module: 'events', directory: new URL('../../events/migrations/', import.meta.url) }

describe.runIf(hasNats)('events that a dispatcher publishes', () => {
  let db: TestDb
  let server: NatsServer
  let events: Events
  const running: Dispatcher[] = []
  const dispatch = (): Dispatcher => {
    const sink = createSink(nats({ url: server.url, stream: 'facts', create: { subjects: ['order.*'] } }))
    const backoff = { baseMs: 20, capMs: 200 }
    const subscriptions = [toSink({ name: 'bus', to: 'order.*', from: 'start', sink, backoff })]
    const dispatcher = createDispatcher({ events, subscriptions, options: { graceMs: 1000, leaseMs: 60_000 } })
    running.push(dispatcher)
    dispatcher.start()
    return dispatcher
  }
  const emit = async (from: number, to: number): Promise<void> => {
    for (let step = from; step < to; step += 1)
      await db.tx((tx) =>
        events.emitMany(
          tx,
          moved,
          [0, 1, 2].map((order) => ({ data: { order, step } })),
        ),
      )
  }
  const ask = async <T>(question: (streams: StreamAPI) => Promise<T>): Promise<T> => {
    const connection = await connect({ servers: server.url, timeout: 30_000 })
    try {
      return await question((await jetstreamManager(connection, { timeout: 30_000 })).streams)
    } finally {
      await connection.close()
    }
  }
  /** How many messages the stream has. */
  const count = (): Promise<number> => ask(async (streams) => (await streams.info('facts')).state.messages)
  /** Their data, oldest first. */
  const stored = (): Promise<{ order: number; step: number }[]> =>
    ask(async (streams) => {
      const { first_seq: first, messages } = (await streams.info('facts')).state
      const asked = Array.from({ length: messages }, (_, n) => streams.getMessage('facts', { seq: first + n }))
      return (await Promise.all(asked)).map((each) => each!.json<{ data: { order: number; step: number } }>().data)
    })

  beforeAll(async () => {
    db = await testDb({ migrations: [migrations] })
    server = await startNats()
    events = createEvents(postgres({ db }), { pollMs: 100 })
    await (events as Events & { start(): Promise<void> }).start()
  }, 60_000)
  afterAll(async () => {
    await Promise.all(running.map((dispatcher) => dispatcher.stop()))
    await (events as Events & { close(): Promise<void> }).close()
    await server[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
  }, 30_000)

  it('are all in the broker, once and in the order of their key, over deaths of the broker and a change of dispatcher', async () => {
    const first = dispatch()
    await emit(0, 10)
    await vi.waitFor(async () => expect(await count()).toBeGreaterThan(0), { timeout: 60_000, interval: 50 })
    await server.kill()
    await emit(10, 20)
    await server.start()
    await emit(20, 25)
    await first.stop()
    await emit(25, 30)
    const second = dispatch()
    await emit(30, 35)
    await server.kill()
    await server.start()
    const all = async (): Promise<void> => expect(await count()).toBe(3 * 35)
    await vi.waitFor(all, { timeout: 60_000, interval: 100 })
    await second.drain()
    const found = await stored()
    for (const order of [0, 1, 2])
      expect(found.filter((each) => each.order === order).map(({ step }) => step)).toEqual(
        Array.from({ length: 35 }, (_, step) => step),
      )
  }, 180_000)
})
