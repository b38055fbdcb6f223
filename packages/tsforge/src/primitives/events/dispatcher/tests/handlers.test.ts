import { describe, expect, it } from 'vitest'
import { currentContext } from '../../../../kernel/context.ts'
import { Discard, RetryAfter } from '../../../jobs/index.ts'
import { eventHandled } from '../../events.ts'
import { subscribe } from '../../subscribe.ts'
import { happened, lab } from './lab.ts'

const from = 'start'

describe('a handler', () => {
  it('gets each event once, in the unit of work of who emitted it', async () => {
    await using store = lab()
    const seen: unknown[] = []
    store.dispatch([
      subscribe({
        name: 's',
        to: happened,
        handler: ({ data, id }) => {
          const { requestId, tenantId, actor } = currentContext()!
          seen.push([data.n, requestId === id, tenantId, actor.kind])
        },
      }),
    ])
    await store.settle()
    await store.emit(1, 2)
    await store.settle()
    expect(seen).toEqual([
      [1, true, null, 'system'],
      [2, true, null, 'system'],
    ])
    await store.clock.advance(100)
    expect(await store.events.subscriptions()).toMatchObject([{ name: 's', lag: 0, cursor: await store.events.head() }])
  })

  it('keeps an event that fails and those of its key behind it, and lets others go on', async () => {
    await using store = lab()
    const seen: string[] = []
    let broken = true
    store.dispatch([
      subscribe({
        name: 's',
        to: happened,
        from,
        handler: ({ data: { n, key } }, { attempt }) => {
          if (key === 'a' && n === 1 && broken) throw new Error('not yet')
          seen.push(`${key ?? '-'}${n}.${attempt}`)
        },
      }),
    ])
    await store.emit([1, 'a'], [2, 'b'], [3, 'a'], 4)
    await store.settle()
    expect(seen.toSorted()).toEqual(['-4.1', 'b2.1'])
    await store.emit([5, 'a'], [6, 'b'])
    await store.settle()
    await store.clock.advance(100)
    expect(seen.toSorted()).toEqual(['-4.1', 'b2.1', 'b6.1'])
    expect(await store.events.subscriptions()).toMatchObject([{ waiting: 3, dead: 0, lag: 0 }])
    broken = false
    seen.length = 0
    await store.clock.advance(60_000)
    await store.emit([7, 'a'])
    await store.settle()
    expect(seen.map((each) => each.slice(0, 2))).toEqual(['a1', 'a3', 'a5', 'a7'])
    expect(await store.events.subscriptions()).toMatchObject([{ waiting: 0, dead: 0 }])
  })

  it('gives up after its attempts, or at once for Discard, and waits as RetryAfter says', async () => {
    await using store = lab()
    const attempts: string[] = []
    store.dispatch([
      subscribe({
        name: 's',
        to: happened,
        from,
        maxAttempts: 3,
        handler: ({ data: { n } }, { attempt }) => {
          attempts.push(`${n}.${attempt}`)
          if (n === 1) throw new RetryAfter(5000)
          if (n === 2) throw new Discard('never')
        },
      }),
    ])
    await store.emit([1, 'a'], [2, 'b'], [3, 'a'], [4, 'b'])
    await store.settle()
    expect(attempts).toEqual(['1.1', '2.1', '4.1'])
    await store.clock.advance(4900)
    expect(attempts).toHaveLength(3)
    await store.clock.advance(200)
    expect(attempts.at(-1)).toBe('1.2')
    await store.clock.advance(6000)
    expect(attempts.slice(-2)).toEqual(['1.3', '3.1'])
    const { items } = await store.events.parked({ state: 'dead' })
    expect(items).toMatchObject([
      { attempt: 3, error: { name: 'RetryAfter' }, event: { data: { n: 1 } } },
      { attempt: 1, error: { name: 'Discard', message: 'never' }, event: { data: { n: 2 } } },
    ])
  })

  it('has dead events again when somebody wants it', async () => {
    await using store = lab()
    let broken = true
    const seen: number[] = []
    store.dispatch([
      subscribe({
        name: 's',
        to: happened,
        from,
        maxAttempts: 1,
        handler: ({ data: { n } }) => {
          if (broken) throw new Error('no')
          seen.push(n)
        },
      }),
    ])
    await store.emit(1, 2, 3)
    await store.settle()
    const { items } = await store.events.parked({ state: 'dead' })
    expect(items).toHaveLength(3)
    broken = false
    await store.events.retry('s', items[1]!.event.id)
    await store.clock.advance(100)
    expect(seen).toEqual([2])
    await expect(store.events.retry('s', items[1]!.event.id)).rejects.toMatchObject({ code: 'events.unknown' })
    expect(await store.events.redrive({ perSecond: 1 })).toBe(2)
    await store.clock.advance(100)
    expect(seen).toEqual([2, 1])
    await store.clock.advance(1500)
    expect(seen).toEqual([2, 1, 3])
  })

  it('does once what it wants done once, over all attempts and replays', async () => {
    await using store = lab()
    let effects = 0
    const runs: number[] = []
    store.dispatch([
      subscribe({
        name: 's',
        to: happened,
        from,
        handler: async (_, { once, attempt }) => {
          await once(async () => void effects++)
          runs.push(attempt)
          if (runs.length < 3) throw new Error('after the effect')
        },
      }),
    ])
    await store.emit(1)
    await store.clock.advance(30_000)
    expect([effects, runs]).toEqual([1, [1, 2, 3]])
    await store.events.replay('s', undefined)
    await store.settle()
    expect([effects, runs.length]).toEqual([1, 4])
    await expect(store.events.replay('nobody', undefined)).rejects.toMatchObject({
      code: 'events.subscription_unknown',
    })
  })

  it('is told when its time is up, and left to itself when it does not heed that', async () => {
    await using store = lab()
    const reasons: unknown[] = []
    store.dispatch([
      subscribe({
        name: 's',
        to: happened,
        from,
        timeoutMs: 1000,
        maxAttempts: 1,
        handler: (_, { signal }) => {
          signal.addEventListener('abort', () => reasons.push((signal.reason as { reason: string }).reason))
          return new Promise(() => {})
        },
      }),
    ])
    await store.emit(1)
    await store.clock.advance(1000)
    expect(reasons).toEqual(['timeout'])
    await store.clock.advance(5000)
    expect(await store.events.subscriptions()).toMatchObject([{ dead: 1, lag: 0 }])
  })

  it('runs for as many keys at once as it may, and for one key one after the other', async () => {
    await using store = lab()
    let [running, most] = [0, 0]
    const gates: (() => void)[] = []
    const perKey = new Map<string, number>()
    store.dispatch([
      subscribe({
        name: 's',
        to: happened,
        from,
        concurrency: 3,
        handler: async ({ data: { key = '' } }) => {
          most = Math.max(most, ++running)
          expect(perKey.get(key) ?? 0).toBe(0)
          perKey.set(key, 1)
          await new Promise<void>((resolve) => gates.push(resolve))
          perKey.set(key, 0)
          running--
        },
      }),
    ])
    await store.emit(...Array.from({ length: 20 }, (_, n) => [n, `k${n % 5}`] as const))
    await store.settle()
    for (let n = 0; n < 20; n++) {
      gates.shift()!()
      await store.settle()
    }
    expect([most, running]).toEqual([3, 0])
  })

  it('that ends with its process leaves nothing half: what stood before something done waits beside the log', async () => {
    await using store = lab()
    const seen: number[] = []
    const hold = Promise.withResolvers<void>()
    const slow = (n: number) =>
      subscribe({
        name: 's',
        to: happened,
        from,
        handler: async ({ data }) => {
          if (data.n === n) await hold.promise
          else seen.push(data.n)
        },
      })
    const first = store.dispatch([slow(1)])
    await store.emit([1, 'a'], [2, 'b'], [3, 'a'], [4, 'c'])
    await store.settle()
    expect(seen).toEqual([2, 4])
    const drained = first.drain()
    await store.clock.advance(20_000)
    await drained
    expect(first.status.held).toEqual([])
    store.dispatch([slow(-1)])
    await store.settle()
    expect(seen).toEqual([2, 4, 1, 3])
    hold.resolve()
  })

  it('keeps its lease while it drains for longer than one', async () => {
    await using store = lab()
    const hold = Promise.withResolvers<void>()
    const seen: [string, number][] = []
    const slow = (who: string) =>
      subscribe({
        name: 's',
        to: happened,
        from,
        handler: async ({ data }) => {
          seen.push([who, data.n])
          await hold.promise
        },
      })
    const first = store.dispatch([slow('first')], { options: { leaseMs: 3000, graceMs: 60_000 } })
    await store.emit([1, 'a'])
    await store.settle()
    const drained = first.drain()
    store.dispatch([slow('second')], { options: { leaseMs: 3000 } })
    await store.clock.advance(20_000)
    expect(seen).toEqual([['first', 1]])
    hold.resolve()
    await drained
    await store.clock.advance(5000)
    expect(seen).toEqual([['first', 1]])
  })

  it('is told of on a channel', async () => {
    await using store = lab()
    const told: unknown[] = []
    const listen = (message: unknown): void => void told.push(message)
    eventHandled.subscribe(listen)
    store.dispatch([subscribe({ name: 's', to: happened, from, handler: () => {} })])
    await store.emit(1)
    await store.settle()
    eventHandled.unsubscribe(listen)
    expect(told).toMatchObject([{ subscription: 's', type: 'thing.happened', attempt: 1, outcome: 'done' }])
  })

  it('waits itself when too many events wait', async () => {
    await using store = lab()
    const seen: number[] = []
    const subscription = subscribe({
      name: 's',
      to: happened,
      from,
      handler: ({ data }) => {
        seen.push(data.n)
        throw new RetryAfter(3_600_000)
      },
    })
    store.dispatch([subscription], { options: { parkedLimit: 100 } })
    for (let n = 0; n < 1000; n += 50) {
      await store.emit(...Array.from({ length: 50 }, (_, i) => n + i))
      await store.settle()
    }
    await store.clock.advance(5000)
    expect(seen.length).toBeGreaterThanOrEqual(100)
    expect(seen.length).toBeLessThanOrEqual(400)
    expect((await store.events.subscriptions())[0]!.lag).toBeGreaterThan(0)
  })
})

describe('dispatchers', () => {
  it('take turns: one has a subscription, the next when it is handed back or its holder is silent', async () => {
    await using store = lab()
    const seen: string[] = []
    const named = (who: string) =>
      subscribe({ name: 's', to: happened, from, handler: ({ data }) => void seen.push(`${who}${data.n}`) })
    const first = store.dispatch([named('a')])
    await store.settle()
    const second = store.dispatch([named('b')])
    await store.emit(1)
    await store.settle()
    expect([first.status.held, second.status.held]).toEqual([['s'], []])
    await Promise.all([first.drain(), store.clock.advance(10)])
    await store.emit(2)
    await store.settle()
    expect(second.status.held).toEqual(['s'])
    expect(seen).toEqual(['a1', 'b2'])
  })

  it('refuse two subscriptions of one name', async () => {
    await using store = lab()
    const one = subscribe({ name: 's', to: happened, handler: () => {} })
    expect(() => store.dispatch([one, one])).toThrow(expect.objectContaining({ code: 'events.definition_invalid' }))
  })

  it('deliver what there is and end, where somebody wants only that', async () => {
    await using store = lab()
    const seen: number[] = []
    await store.emit(1, 2)
    const { createDispatcher } = await import('../create-dispatcher.ts')
    const dispatcher = createDispatcher({
      events: store.events,
      clock: store.clock,
      subscriptions: [
        subscribe({
          name: 's',
          to: happened,
          from,
          handler: async ({ data }) => {
            seen.push(data.n)
            if (data.n === 1) await store.emit(3)
          },
        }),
      ],
    })
    await dispatcher.runUntilIdle()
    expect(seen).toEqual([1, 2, 3])
    await dispatcher.runUntilIdle()
    expect(seen).toEqual([1, 2, 3])
  })
})
