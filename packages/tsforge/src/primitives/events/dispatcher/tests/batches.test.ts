import { describe, expect, it } from 'vitest'
import { Discard, createJobs, defineJob } from '../../../jobs/index.ts'
import { memory } from '../../../jobs/drivers/memory.ts'
import type { LoggedEvent } from '../../driver.ts'
import { inTransaction, toJob, toSink } from '../../subscribe.ts'
import type { Sink } from '../../subscription.ts'
import { happened, lab } from './lab.ts'
import type { Numbered } from './lab.ts'

const from = 'start'
const numbers = (events: readonly LoggedEvent[]): number[] => events.map(({ data }) => (data as Numbered).n)

describe('a transaction', () => {
  it('gets all events in order, in batches', async () => {
    await using store = lab()
    const seen: number[] = []
    store.dispatch([
      inTransaction({
        name: 's',
        to: happened,
        from,
        transaction: async (events) => void seen.push(...numbers(events)),
      }),
    ])
    await store.emit(...Array.from({ length: 250 }, (_, n) => n))
    await store.settle()
    expect(seen).toEqual(Array.from({ length: 250 }, (_, n) => n))
    expect(await store.events.subscriptions()).toMatchObject([{ lag: 0 }])
  })

  it('that fails for one event finds out which, delivers those before it, buries it and goes on', async () => {
    await using store = lab()
    const seen: number[] = []
    store.dispatch([
      inTransaction({
        name: 's',
        to: happened,
        from,
        maxAttempts: 3,
        transaction: async (events) => {
          if (numbers(events).includes(37)) throw new Error('37')
          seen.push(...numbers(events))
        },
      }),
    ])
    const all = Array.from({ length: 100 }, (_, n) => n)
    await store.emit(...all)
    for (let n = 0; n < 100; n++) await store.clock.advance(1000)
    expect(seen).toEqual(all.filter((n) => n !== 37))
    const { items } = await store.events.parked({ state: 'dead' })
    expect(items).toMatchObject([{ subscription: 's', attempt: 3, event: { data: { n: 37 } } }])
  })
})

describe('a job subscription', () => {
  it('adds a job for each event that it wants one for', async () => {
    await using store = lab()
    const jobs = createJobs(memory({ clock: store.clock }))
    const index = defineJob<{ readonly of: number }>({ kind: 'index' })
    const subscription = toJob({
      name: 's',
      to: [happened],
      from,
      job: index,
      payload: ({ data }) => (data.n === 2 ? undefined : { of: data.n }),
      options: ({ data }) => ({ key: `k${data.n}` }),
    })
    store.dispatch([subscription], { jobs })
    await store.emit(1, 2, 3)
    await store.settle()
    const { items } = await jobs.list()
    expect(items.map(({ payload, key }) => [payload, key]).toReversed()).toEqual([
      [{ of: 1 }, 'k1'],
      [{ of: 3 }, 'k3'],
    ])
  })
})

describe('a sink', () => {
  const sink = (
    publish: (numbers: number[], events: readonly LoggedEvent[]) => unknown,
  ): Sink & { closed: boolean } => ({
    name: 'test',
    closed: false,
    publish: async (events) => void (await publish(numbers(events), events)),
    async close() {
      this.closed = true
    },
  })

  it('gets batches in order, again when they were not confirmed, and is closed at the end', async () => {
    await using store = lab()
    const calls: number[][] = []
    const flaky = sink((batch) => {
      calls.push(batch)
      if (calls.length === 1) throw new Error('away')
    })
    const dispatcher = store.dispatch([toSink({ name: 's', to: happened, from, sink: flaky })])
    await store.emit(1, 2, 3)
    await store.settle()
    await store.clock.advance(2000)
    expect(calls).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ])
    await dispatcher.stop()
    expect(flaky.closed).toBe(true)
  })

  it('gets again only what it has not confirmed, and buries what it refuses for good', async () => {
    await using store = lab()
    const calls: number[][] = []
    const picky = sink((batch, events) => {
      calls.push(batch)
      const refused = events.filter((_, i) => batch[i] === 2)
      if (refused.length > 0) throw Object.assign(new Discard('never'), { unconfirmed: refused.map(({ id }) => id) })
    })
    store.dispatch([toSink({ name: 's', to: happened, from, sink: picky })])
    await store.emit(1, 2, 3)
    await store.settle()
    await store.clock.advance(2000)
    expect(calls).toEqual([[1, 2, 3], [2]])
    expect(await store.events.subscriptions()).toMatchObject([{ lag: 0, dead: 1 }])
  })

  it('buries after its attempts what the other side refuses, though nothing was confirmed meanwhile', async () => {
    await using store = lab()
    const seen: number[] = []
    const strict = sink((batch, events) => {
      const refused = events.filter((_, i) => batch[i] === 1)
      if (refused.length > 0) {
        const ids = { unconfirmed: events.map(({ id }) => id), refused: refused.map(({ id }) => id) }
        throw Object.assign(new Error('too large'), ids)
      }
      seen.push(...batch)
    })
    store.dispatch([toSink({ name: 's', to: happened, from, sink: strict, maxAttempts: 2 })])
    await store.emit(1, 2, 3)
    for (let n = 0; n < 10; n++) await store.clock.advance(60_000)
    expect(await store.events.subscriptions()).toMatchObject([{ lag: 0, dead: 1 }])
    expect(seen).toEqual([2, 3])
  })

  it('that is away for hours loses nothing', async () => {
    await using store = lab()
    let away = true
    const seen: number[] = []
    const far = sink((batch) => {
      if (away) throw new Error('away')
      seen.push(...batch)
    })
    store.dispatch([toSink({ name: 's', to: happened, from, sink: far, maxAttempts: 2 })])
    await store.emit(1, 2)
    for (let n = 0; n < 100; n++) await store.clock.advance(60_000)
    expect(await store.events.subscriptions()).toMatchObject([{ lag: 2, dead: 0 }])
    away = false
    await store.clock.advance(60_000)
    expect(seen).toEqual([1, 2])
  })
})
