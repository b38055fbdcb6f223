import { describe, expect, it } from 'vitest'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { Type } from 'typebox'
import { createFakeClock } from '../../../testing/clock.ts'
import { createEvents } from '../create-events.ts'
import { defineEvent } from '../define-event.ts'
import { memory } from '../drivers/memory.ts'
import { eventsEmitted } from '../events.ts'
import { isTypeFilter, matching } from '../match.ts'
import { subscribe } from '../subscribe.ts'
import { inMemory } from './tx.ts'

const tenantId = '0197d7a0-0000-7000-8000-000000000001'
const userId = '0197d7a0-0000-7000-8000-000000000002'
const order = defineEvent({
  type: 'order.placed',
  version: 2,
  schema: Type.Object({ id: Type.String(), total: Type.Number() }),
  subject: ({ id }) => id,
})

const code = (wanted: string) => expect.objectContaining({ code: wanted })

describe('emitting', () => {
  it('takes the tenant, the actor and the trace of the unit of work along', async () => {
    const events = createEvents(memory(), { source: '/shop' })
    const context = createContext({
      requestId: 'r',
      tenantId,
      actor: { kind: 'user', id: userId },
      trace: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: true },
    })
    await runWithContext(context, () =>
      inMemory(async (tx) => {
        await events.emit(tx, order, { id: 'o1', total: 1 })
        await events.emit(tx, order, { id: 'o2', total: 2 }, { subject: 's', key: 'k', tenantId: null })
      }),
    )
    const [first, second] = (await events.read({ after: undefined })).events
    expect(first).toMatchObject({
      specversion: '1.0',
      source: '/shop',
      type: 'order.placed',
      dataversion: 2,
      subject: 'o1',
      partitionkey: 'o1',
      tenantid: tenantId,
      actor: `user:${userId}`,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      data: { id: 'o1', total: 1 },
    })
    expect(second).toMatchObject({ subject: 's', partitionkey: 'k' })
    expect(second).not.toHaveProperty('tenantid')
  })

  it('checks what it is given', async () => {
    const events = createEvents(memory(), { dataLimit: 1000 })
    const emit = (data: unknown, options = {}) => inMemory((tx) => events.emit(tx, order, data as never, options))
    const right = { id: 'o', total: 1 }
    await expect(emit({ id: 1 })).rejects.toThrow(code('events.data_invalid'))
    await expect(emit({ id: 'a\0', total: 1 }, { subject: 's' })).rejects.toThrow(code('events.data_invalid'))
    await expect(emit({ id: 'x'.repeat(1000), total: 1 }, { subject: 's' })).rejects.toThrow(
      code('events.data_too_large'),
    )
    await expect(emit(right, { key: 'k'.repeat(201) })).rejects.toThrow(code('events.option_invalid'))
    await expect(emit(right, { subject: '' })).rejects.toThrow(code('events.option_invalid'))
    await expect(emit(right, { key: '\ud800' })).rejects.toThrow(code('events.option_invalid'))
    await expect(emit(right, { tenantId: 'acme' })).rejects.toThrow(code('events.option_invalid'))
    expect((await events.read({ after: undefined })).events).toEqual([])
  })

  it('adds many in the order given, or none', async () => {
    const events = createEvents(memory())
    const items = [1, 2, 3].map((total) => ({ data: { id: `o${total}`, total } }))
    const ids = await inMemory((tx) => events.emitMany(tx, order, items))
    const { events: found } = await events.read({ after: undefined })
    expect(found.map(({ id }) => ({ id }))).toEqual(ids)
    const bad = [...items, { data: { id: 'o4', total: 'much' as never } }]
    await expect(inMemory((tx) => events.emitMany(tx, order, bad))).rejects.toThrow(code('events.data_invalid'))
    expect((await events.read({ after: undefined })).events).toHaveLength(3)
  })

  it('is told of on a channel once it has committed', async () => {
    const events = createEvents(memory())
    const told: unknown[] = []
    const listen = (message: unknown): void => void told.push(message)
    eventsEmitted.subscribe(listen)
    await inMemory(async (tx) => {
      await events.emit(tx, order, { id: 'o', total: 1 })
      expect(told).toEqual([])
    })
    await inMemory(async (tx) => {
      await events.emit(tx, order, { id: 'o', total: 1 })
      throw new Error('no')
    }).catch(() => undefined)
    eventsEmitted.unsubscribe(listen)
    expect(told).toEqual([{ type: 'order.placed', count: 1 }])
  })
})

describe('watching', () => {
  it('tells of each commit while somebody watches, and leaves no timer behind', async () => {
    const clock = createFakeClock()
    const events = createEvents(memory({ clock }), { clock })
    let told = 0
    const stop = events.watch(() => void told++)
    await clock.advance(5000)
    const before = told
    await inMemory((tx) => events.emit(tx, order, { id: 'o', total: 1 }))
    await clock.advance(0)
    expect(told).toBe(before + 1)
    stop()
    await clock.advance(0)
    await inMemory((tx) => events.emit(tx, order, { id: 'o', total: 1 }))
    await clock.advance(5000)
    expect(told).toBe(before + 1)
    await events.close()
    expect(clock.pending).toBe(0)
  })

  it('tells of what was committed before it could hear, as soon as it can', async () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    const listen = driver.listen.bind(driver)
    const hears = Promise.withResolvers<void>()
    driver.listen = (listener) => hears.promise.then(() => listen(listener))
    const events = createEvents(driver, { clock })
    let told = 0
    const stop = events.watch(() => void told++)
    await clock.advance(0)
    const before = told
    await inMemory((tx) => events.emit(tx, order, { id: 'o', total: 1 }))
    await clock.advance(0)
    expect(told).toBe(before)
    hears.resolve()
    await clock.advance(0)
    expect(told).toBe(before + 1)
    stop()
    await events.close()
  })

  it('has told committers not to call any more when it is closed, also when nobody watched for a moment', async () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    const gate = Promise.withResolvers<void>()
    const calls: string[] = []
    Object.assign(driver, {
      capabilities: { ...driver.capabilities, listen: true },
      await: async (_: string, forMs: number) => {
        calls.push(forMs > 0 ? 'call' : 'do not')
        if (forMs > 0) return
        await gate.promise
        calls.push('heard')
      },
    })
    const events = createEvents(driver, { clock })
    const stop = events.watch(() => {})
    await clock.advance(1000)
    stop()
    await clock.advance(0)
    expect(calls).toEqual(['call', 'do not'])
    const closing = events.close().then(() => calls.push('closed'))
    await clock.advance(0)
    expect(calls).toEqual(['call', 'do not'])
    gate.resolve()
    await closing
    expect(calls).toEqual(['call', 'do not', 'heard', 'closed'])
  })

  it('goes on when the store was away for a while', async () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    const head = driver.head.bind(driver)
    let away = false
    driver.head = () => (away ? Promise.reject(new Error('away')) : head())
    const events = createEvents(driver, { clock })
    let told = 0
    const stop = events.watch(() => void told++)
    await clock.advance(1000)
    away = true
    await inMemory((tx) => events.emit(tx, order, { id: 'o', total: 1 }))
    await clock.advance(3000)
    away = false
    const before = told
    await clock.advance(1000)
    expect(told).toBeGreaterThan(before)
    stop()
    await events.close()
  })
})

describe('reading', () => {
  it('refuses texts that are no positions', async () => {
    const events = createEvents(memory())
    for (const after of ['', '12', 'x'.repeat(29), '000000000001-0000000000000001; drop table'])
      await expect(events.read({ after })).rejects.toThrow(code('events.position_unknown'))
  })
})

describe('definitions', () => {
  it.each(['Order', 'order placed', '.order', 'order.', 'order..placed', '', 'o'.repeat(129), 'order.*'])(
    'refuse the type %j',
    (type) => expect(() => defineEvent({ type })).toThrow(code('events.definition_invalid')),
  )

  it('know filters and what they match', () => {
    for (const right of ['**', '*', 'order.*', '*.placed', 'order.**', 'order.placed', 'a-b.c_d'])
      expect(isTypeFilter(right)).toBe(true)
    for (const wrong of ['***', 'order.**.x', 'order*', '', '.', '(a+)+']) expect(isTypeFilter(wrong)).toBe(false)
    expect(matching(['order.*', '**'])).toBeUndefined()
    expect(new RegExp(matching('*')!).test('order.placed')).toBe(false)
    expect(new RegExp(matching('*.*')!).test('order.placed')).toBe(true)
  })

  it('refuse subscriptions that cannot work', () => {
    const handler = (): void => {}
    const wrong = [
      { name: '', to: order },
      { name: 'a b', to: order },
      { name: 's', to: [] },
      { name: 's', to: 'Order' },
      { name: 's', to: order, concurrency: 0 },
      { name: 's', to: order, maxAttempts: 1.5 },
      { name: 's', to: order, timeoutMs: 2 ** 31 },
      { name: 's', to: order, from: 'end' as never },
    ]
    for (const spec of wrong)
      expect(() => subscribe({ ...spec, handler } as never)).toThrow(code('events.definition_invalid'))
  })
})
