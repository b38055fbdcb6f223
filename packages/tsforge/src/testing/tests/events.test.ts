import { describe, expect, it } from 'vitest'
import { defineEvent, eventsPort, subscribe, toJob } from '../../primitives/events/index.ts'
import type { Subscription } from '../../primitives/events/index.ts'
import { defineJob } from '../../primitives/jobs/index.ts'
import { createTestApp } from '../index.ts'
import type { TestApp } from '../index.ts'

const placed = defineEvent<{ readonly n: number }>({ type: 'order.placed' })
const shipped = defineEvent<{ readonly n: number }>({ type: 'order.shipped' })
const receipt = defineJob<{ readonly n: number }>({ kind: 'mail.receipt' })

const open = (...subscriptions: Subscription[]): Promise<TestApp> =>
  createTestApp({ config: { name: 'shop', features: [], subscriptions } })
const emit = (app: TestApp, n: number): Promise<unknown> => app.get(eventsPort).emit(app.db, placed, { n })

describe('events of a test app', () => {
  it('are delivered when the test says so, with what their handlers emit and add', async () => {
    const seen: string[] = []
    await using app: TestApp = await open(
      subscribe({
        name: 'ship',
        to: placed,
        handler: async ({ data }) => {
          seen.push(`placed ${data.n}`)
          await app.get(eventsPort).emit(app.db, shipped, data)
        },
      }),
      subscribe({ name: 'tell', to: shipped, handler: ({ data }) => void seen.push(`shipped ${data.n}`) }),
      toJob({ name: 'mail', to: shipped, job: receipt, payload: ({ data }) => data }),
    )
    await emit(app, 1)
    expect(seen).toEqual([])
    await app.events.drain()
    expect(seen).toEqual(['placed 1', 'shipped 1'])
    await app.jobs.expectEnqueued(receipt, { payload: { n: 1 }, times: 1 })
    await emit(app, 2)
    await app.events.drain()
    await app.events.drain()
    expect(seen).toEqual(['placed 1', 'shipped 1', 'placed 2', 'shipped 2'])
  })

  it('tell which handler has failed, and its own app alone, unless that is the point', async () => {
    const fail = (): never => {
      throw new Error('out of order')
    }
    await using broken = await open(subscribe({ name: 'index', to: placed, handler: fail }))
    await using fine = await open(subscribe({ name: 'index', to: placed, handler: () => {} }))
    await emit(broken, 1)
    await emit(fine, 1)
    const [told, other] = await Promise.allSettled([broken.events.drain(), fine.events.drain()])
    expect(String((told as PromiseRejectedResult).reason)).toMatch(
      /index failed with order\.placed \S+ in attempt 1: Error: out of order/,
    )
    expect(other.status).toBe('fulfilled')
    await emit(broken, 2)
    await broken.events.drain({ failing: true })
    expect((await broken.get(eventsPort).parked({ subscription: 'index' })).items).toHaveLength(2)
  })

  it('are not drained where the app delivers by itself, or has none', async () => {
    const app = await open(subscribe({ name: 'index', to: placed, handler: () => {} }))
    await app.work()
    await expect(app.events.drain()).rejects.toThrow('delivers events by itself')
    await app.clock.advanceUntil(app[Symbol.asyncDispose]())
    await using bare = await createTestApp({ features: [] })
    expect(() => bare.events).toThrow(/events/)
  })
})
