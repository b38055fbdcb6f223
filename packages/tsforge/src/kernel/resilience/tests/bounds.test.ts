import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { createBulkhead } from '../bulkhead.ts'
import { hedge } from '../hedge.ts'
import { withTimeout } from '../timeout.ts'

const never = (): Promise<never> => new Promise(() => {})

describe('withTimeout', () => {
  test('passes the answer on and leaves no timer', async () => {
    const clock = createFakeClock()
    expect(await withTimeout(() => 'ok', { clock, ms: 100 })).toBe('ok')
    await expect(
      withTimeout(
        () => {
          throw new Error('at once')
        },
        { clock, ms: 100 },
      ),
    ).rejects.toThrow('at once')
    expect(clock.pending).toBe(0)
  })

  test('rejects in time though the work does not listen, and aborts its signal', async () => {
    const clock = createFakeClock()
    let signal: AbortSignal | undefined
    const outcome = expect(
      withTimeout(
        (own) => {
          signal = own
          return never()
        },
        { clock, ms: 100 },
      ),
    ).rejects.toMatchObject({ code: 'resilience.timeout' })
    await clock.advance(99)
    expect(signal?.aborted).toBe(false)
    await clock.advance(1)
    await outcome
    expect(signal?.reason).toMatchObject({ code: 'resilience.timeout' })
  })

  test('ignores a failure that comes after the time', async () => {
    const clock = createFakeClock()
    const outcome = expect(
      withTimeout(
        async () => {
          await clock.sleep(200)
          throw new Error('late')
        },
        { clock, ms: 100 },
      ),
    ).rejects.toMatchObject({ code: 'resilience.timeout' })
    await clock.advance(500)
    await outcome
  })

  test('passes the caller’s abort on, with its reason', async () => {
    const clock = createFakeClock()
    const controller = new AbortController()
    let signal: AbortSignal | undefined
    const outcome = expect(
      withTimeout(
        (own) => {
          signal = own
          return never()
        },
        { clock, ms: 100, signal: controller.signal },
      ),
    ).rejects.toBe('gone')
    controller.abort('gone')
    await outcome
    expect([signal?.reason, clock.pending]).toEqual(['gone', 0])
    await expect(withTimeout(() => 'x', { clock, ms: 1, signal: controller.signal })).rejects.toBe('gone')
  })

  test('a caller that aborts within the work, which then throws, gets one rejection', async () => {
    const controller = new AbortController()
    const work = (): never => {
      controller.abort('gone')
      throw new Error('too')
    }
    await expect(withTimeout(work, { clock: createFakeClock(), ms: 1, signal: controller.signal })).rejects.toBe('gone')
  })
})

describe('a bulkhead', () => {
  function setup() {
    const clock = createFakeClock()
    const bulkhead = createBulkhead({ clock, concurrent: 2, queue: 2, waitMs: 100 })
    const begun: number[] = []
    const ends: (() => void)[] = []
    const call = (n: number, signal?: AbortSignal): Promise<unknown> =>
      bulkhead
        .run(() => {
          begun.push(n)
          return new Promise<void>((resolve) => ends.push(resolve))
        }, signal)
        .catch((error: unknown) => error)
    return { clock, bulkhead, begun, ends, call }
  }

  test('lets so many work, so many wait in their order, and refuses the rest with a time', async () => {
    const { clock, bulkhead, begun, ends, call } = setup()
    const calls = [1, 2, 3, 4].map((n) => call(n))
    expect(await call(5)).toMatchObject({ code: 'resilience.overloaded', retryAfterMs: 100 })
    expect([begun, bulkhead.active, bulkhead.waiting]).toEqual([[1, 2], 2, 2])
    ends[0]!()
    await clock.advance(0)
    expect([begun, bulkhead.active, bulkhead.waiting]).toEqual([[1, 2, 3], 2, 1])
    while (begun.length < 4 || bulkhead.active > 0) {
      for (const end of ends.splice(0)) end()
      await clock.advance(0)
    }
    await Promise.all(calls)
    expect([begun, bulkhead.active, clock.pending]).toEqual([[1, 2, 3, 4], 0, 0])
  })

  test('a wait ends after its time or with the caller, and frees its place in the queue', async () => {
    const { clock, bulkhead, call } = setup()
    void call(1)
    void call(2)
    const controller = new AbortController()
    const [late, gone] = [call(3), call(4, controller.signal)]
    controller.abort('gone')
    expect(await gone).toBe('gone')
    expect(bulkhead.waiting).toBe(1)
    await clock.advance(100)
    expect(await late).toMatchObject({ code: 'resilience.overloaded' })
    expect([bulkhead.waiting, bulkhead.active, clock.pending]).toEqual([0, 2, 0])
  })

  test('work that throws gives its place back', async () => {
    const { bulkhead } = setup()
    for (let i = 0; i < 10; i++)
      await expect(
        bulkhead.run(() => {
          throw new Error('x')
        }),
      ).rejects.toThrow('x')
    expect(bulkhead.active).toBe(0)
  })
})

describe('hedge', () => {
  test('an answer in time needs no second try', async () => {
    const clock = createFakeClock()
    let calls = 0
    expect(await hedge(() => ++calls, { clock })).toBe(1)
    expect([calls, clock.pending]).toEqual([1, 0])
  })

  test('a slow try gets company; the faster one wins, and nobody waits for the loser', async () => {
    const clock = createFakeClock()
    const signals: AbortSignal[] = []
    const answer = hedge(
      (signal, n) => {
        signals.push(signal)
        return n === 1 ? never() : 'second'
      },
      { clock, delayMs: 50 },
    )
    await clock.advance(49)
    expect(signals).toHaveLength(1)
    await clock.advance(1)
    expect(await answer).toBe('second')
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false])
    expect(clock.pending).toBe(0)
  })

  test('a try that fails lets the next one start at once', async () => {
    const clock = createFakeClock()
    const answer = hedge((_, n) => (n === 1 ? Promise.reject(new Error('x')) : n), { clock, delayMs: 1e6 })
    await clock.advance(0)
    expect(await answer).toBe(2)
    expect(clock.pending).toBe(0)
  })

  test('when all fail the last error is thrown, when the last to run has ended', async () => {
    const clock = createFakeClock()
    const outcome = expect(
      hedge(
        async (_, n) => {
          await clock.sleep(n === 1 ? 100 : 10)
          throw new Error(`try ${n}`)
        },
        { clock, delayMs: 50, attempts: 2 },
      ),
    ).rejects.toThrow('try 1')
    await clock.advance(1000)
    await outcome
  })

  test('the caller’s abort ends all tries at once', async () => {
    const clock = createFakeClock()
    const controller = new AbortController()
    const signals: AbortSignal[] = []
    const outcome = expect(
      hedge(
        (signal) => {
          signals.push(signal)
          return never()
        },
        { clock, attempts: 3, signal: controller.signal },
      ),
    ).rejects.toBe('gone')
    await clock.advance(60)
    controller.abort('gone')
    await outcome
    expect(signals.map((signal) => signal.reason as unknown)).toEqual(['gone', 'gone'])
    await clock.advance(1000)
    expect([signals.length, clock.pending]).toEqual([2, 0])
  })
})
