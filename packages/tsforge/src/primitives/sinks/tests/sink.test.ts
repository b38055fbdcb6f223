import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../../kernel/metrics.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { loggedEvent } from '../contract.ts'
import { createSink, isSinkError } from '../create-sink.ts'
import type { SinkDriver, SinkMessage } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { sinkErrors } from '../errors.ts'
import { failureChannel } from '../events.ts'

const never = new AbortController().signal

/** Answers when it is told to. */
function slow(): SinkDriver & { readonly waiting: SinkMessage[]; readonly signals: AbortSignal[]; answer(): void } {
  const waiting: SinkMessage[] = []
  const signals: AbortSignal[] = []
  const done: (() => void)[] = []
  return {
    name: 'slow',
    capabilities: { atomicPerKey: false, deduplicates: false },
    waiting,
    signals,
    answer() {
      for (const one of done.splice(0)) one()
    },
    send: (messages, signal) => {
      waiting.push(...messages)
      signals.push(signal)
      return new Promise((resolve) => void done.push(() => resolve(messages.map(() => 'confirmed'))))
    },
    close: () => new Promise(() => undefined),
  }
}

describe('a sink', () => {
  it('sends the next event of a key when the one before is confirmed, and other keys meanwhile', async () => {
    const driver = slow()
    const sink = createSink(driver)
    const [a1, b1, free, a2] = ['a', 'b', undefined, 'a'].map((key) =>
      loggedEvent(key === undefined ? {} : { partitionkey: key }),
    )
    const publishing = sink.publish([a1!, b1!, free!, a2!], never)
    expect(driver.waiting.map(({ id }) => id)).toEqual([a1!.id, b1!.id, free!.id])
    driver.answer()
    await expect.poll(() => driver.waiting.at(-1)!.id).toBe(a2!.id)
    driver.answer()
    await publishing
  })

  it('gives up when the time is up, says which are confirmed, and tells the driver', async () => {
    const clock = createFakeClock()
    const driver = slow()
    const sink = createSink(driver, { clock })
    const batch = [loggedEvent({ partitionkey: 'a' }), loggedEvent({ partitionkey: 'a' })]
    const publishing = sink.publish(batch, never).catch((fault: unknown) => fault)
    driver.answer()
    await expect.poll(() => driver.waiting.length).toBe(2)
    await clock.advance(9_999)
    expect(driver.signals[1]!.aborted).toBe(false)
    await clock.advance(1)
    expect(await publishing).toMatchObject({ code: 'sinks.unconfirmed', unconfirmed: [batch[1]!.id] })
    expect(driver.signals[1]!.aborted).toBe(true)
    // What comes late changes nothing and throws nowhere.
    driver.answer()
  })

  it('stops waiting when its caller goes', async () => {
    const driver = slow()
    const gone = new AbortController()
    const event = loggedEvent()
    const publishing = createSink(driver).publish([event], gone.signal)
    gone.abort(new Error('the lease is lost'))
    await expect(publishing).rejects.toMatchObject({
      code: 'sinks.unavailable',
      unconfirmed: [event.id],
      cause: { message: 'the lease is lost' },
    })
    expect(driver.signals[0]!.aborted).toBe(true)
  })

  it('closes no later than its deadline', async () => {
    const clock = createFakeClock()
    const closing = createSink(slow(), { clock, deadlineMs: 100 }).close()
    await clock.advance(100)
    await closing
  })

  it('leaves out an event whose address cannot be made, and what waits behind it', async () => {
    const driver = memory()
    const batch = ['a', 'a', 'a', 'b'].map((key) => loggedEvent({ partitionkey: key }))
    const sink = createSink(driver, {
      to: ({ id }) => {
        if (id === batch[1]!.id) throw new Error('no address')
        return 'x'
      },
    })
    await expect(sink.publish(batch, never)).rejects.toMatchObject({
      code: 'sinks.unconfirmed',
      unconfirmed: [batch[1]!.id, batch[2]!.id],
      cause: { message: 'no address' },
    })
    expect(driver.messages.map(({ id }) => id)).toEqual([batch[0]!.id, batch[3]!.id])
  })

  it('calls a broker unavailable only when it was away for all', async () => {
    const away = (partly: boolean): SinkDriver => ({
      ...memory(),
      send: async (messages) => {
        if (partly && messages[0]!.key === 'a') return ['confirmed']
        throw new Error('connection refused')
      },
    })
    const batch = [loggedEvent({ partitionkey: 'a' }), loggedEvent({ partitionkey: 'b' })]
    const codeOf = (partly: boolean): Promise<unknown> =>
      createSink(away(partly))
        .publish(batch, never)
        .catch((fault: unknown) =>
          isSinkError(fault) ? [fault.code, fault.unconfirmed.length, String(fault.cause)] : fault,
        )
    expect(await codeOf(false)).toEqual(['sinks.unavailable', 2, 'Error: connection refused'])
    expect(await codeOf(true)).toEqual(['sinks.unconfirmed', 1, 'Error: connection refused'])
  })

  it('survives a driver that throws at once or forgets outcomes', async () => {
    const throwing: SinkDriver = {
      ...memory(),
      send: () => {
        throw new TypeError('bug')
      },
    }
    await expect(createSink(throwing).publish([loggedEvent()], never)).rejects.toMatchObject({
      unconfirmed: [expect.any(String)],
    })
    const forgetful: SinkDriver = {
      ...memory(),
      capabilities: { atomicPerKey: true, deduplicates: false },
      send: async () => [],
    }
    await expect(createSink(forgetful).publish([loggedEvent()], never)).rejects.toMatchObject({
      unconfirmed: [expect.any(String)],
    })
  })

  it('counts what was confirmed and tells of what was not', async () => {
    const metrics = createMetrics()
    const told: unknown[] = []
    const listener = (message: unknown): void => void told.push(message)
    failureChannel.subscribe(listener)
    const sink = createSink(memory({ refuse: ({ key }) => (key === 'bad' ? new Error('refused') : undefined) }), {
      name: 'orders',
      metrics,
    })
    await sink.publish([loggedEvent(), loggedEvent()], never)
    await sink.publish([loggedEvent(), loggedEvent({ partitionkey: 'bad' })], never).catch(() => undefined)
    failureChannel.unsubscribe(listener)
    expect(metrics.render()).toContain('forge_sinks_events_total{sink="orders",result="confirmed"} 3')
    expect(metrics.render()).toContain('forge_sinks_events_total{sink="orders",result="unconfirmed"} 1')
    expect(metrics.render()).toContain('forge_sinks_publish_seconds_count{sink="orders"} 2')
    expect(told).toMatchObject([{ sink: 'orders', confirmed: 1, unconfirmed: 1, error: { code: 'sinks.unconfirmed' } }])
  })

  it('refuses a deadline that is none', () => {
    for (const deadlineMs of [0, -1, Number.NaN])
      expect(() => createSink(memory(), { deadlineMs })).toThrow(
        expect.objectContaining({ code: 'sinks.option_invalid' }),
      )
    expect(sinkErrors.specs['sinks.unavailable'].status).toBe(503)
  })
})
