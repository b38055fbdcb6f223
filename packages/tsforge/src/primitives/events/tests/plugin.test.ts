import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../../http/feature.ts'
import { createTestApp } from '../../../testing/app.ts'
import { defineJob, handle } from '../../jobs/index.ts'
import { defineEvent, eventsPort, subscribe, toJob } from '../index.ts'
import type { RunningEvents } from '../index.ts'

const placed = defineEvent<{ readonly n: number }>({ type: 'order.placed' })
const index = defineJob<{ readonly n: number }>({ kind: 'order.index' })

describe('an app with subscriptions', () => {
  it('delivers to what its features and its config declare, and brings the log and the queue by itself', async () => {
    const seen: string[] = []
    const feature = defineFeature({
      name: 'search',
      setup: () => 'search',
      subscriptions: (service) => [
        subscribe({ name: 'search', to: placed, handler: ({ data }) => void seen.push(`${service} ${data.n}`) }),
        toJob({ name: 'search.index', to: placed, job: index, payload: ({ data }) => data }),
      ],
      jobs: () => [handle(index, ({ payload, job }) => void seen.push(`index ${payload.n} ${job.meta.actor?.[0]}`))],
    })
    const own = subscribe({ name: 'own', to: '**', handler: ({ type, source }) => void seen.push(`${type} ${source}`) })
    await using app = await createTestApp({ config: { name: 'shop', features: [feature], subscriptions: [own] } })
    const events = app.get(eventsPort) as RunningEvents
    const { dispatcher } = events.worker
    // Declared before the first event: they begin with what comes now.
    await dispatcher.runUntilIdle()
    await expect(
      app.db.tx(async (tx) => {
        await events.emit(tx, placed, { n: 1 })
        throw new Error('no order after all')
      }),
    ).rejects.toThrow('no order after all')
    await app.db.tx((tx) => events.emit(tx, placed, { n: 2 }))
    await dispatcher.runUntilIdle()
    await app.jobs.drain()
    expect(seen.toSorted()).toEqual(['index 2 system', 'order.placed /shop', 'search 2'])
  })

  it('delivers by itself where it works, and hands everything back before its parts drain', async () => {
    const done = Promise.withResolvers<void>()
    const own = subscribe({ name: 'own', to: placed, from: 'start', handler: () => done.resolve() })
    const app = await createTestApp({ config: { name: 'shop', features: [], subscriptions: [own] } })
    await app.work()
    const events = app.get(eventsPort) as RunningEvents
    await events.emit(app.db, placed, { n: 1 })
    // What is emitted before the dispatcher listens is found by its next look.
    await app.clock.advanceUntil(done.promise)
    expect(events.worker.dispatcher.status).toMatchObject({ state: 'running', held: ['own'], failing: false })
    expect(await app.client.get('/readyz')).toMatchObject({ status: 200 })
    await app.clock.advanceUntil(app.stop())
    expect(events.worker.dispatcher.status).toMatchObject({ state: 'stopped', held: [] })
  })

  it('delivers nothing where FORGE_EVENTS_DISPATCHER is off', async () => {
    const own = subscribe({ name: 'own', to: placed, handler: () => {} })
    const config = { name: 'shop', features: [], subscriptions: [own] }
    await using app = await createTestApp({ config, env: { FORGE_EVENTS_DISPATCHER: 'off' } })
    await app.work()
    expect((app.get(eventsPort) as RunningEvents).worker.dispatcher.status.state).toBe('new')
  })

  it('refuses memory in production', async () => {
    const own = subscribe({ name: 'own', to: placed, handler: () => {} })
    const config = { name: 'shop', features: [], subscriptions: [own] }
    const env = { NODE_ENV: 'production', FORGE_EVENTS_DRIVER: 'memory' }
    await expect(createTestApp({ config, env })).rejects.toThrow(/events would be lost/)
  })
})
