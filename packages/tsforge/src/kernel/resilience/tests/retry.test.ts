import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { ForgeError } from '../../errors.ts'
import { resilienceErrors } from '../errors.ts'
import { backoffMs, createRetryBudget, retry } from '../retry.ts'
import type { RetrySettings } from '../retry.ts'

/** Fails with the given errors, then succeeds; tells how often it was called. */
function failing(...errors: readonly unknown[]) {
  let calls = 0
  return {
    work: () => {
      if (calls++ < errors.length) throw errors[calls - 1] as Error
      return 'ok'
    },
    get calls() {
      return calls
    },
  }
}

async function run(work: () => unknown, settings: Partial<RetrySettings> = {}) {
  const clock = createFakeClock()
  const delays: number[] = []
  const outcome = retry(work, {
    clock,
    random: () => 1,
    onRetry: ({ delayMs }) => delays.push(delayMs),
    ...settings,
  }).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  await clock.advance(1_000_000)
  return { ...(await outcome), delays, pending: clock.pending } as {
    value?: unknown
    error?: unknown
    delays: number[]
    pending: number
  }
}

const boom = new Error('boom')

test('the wait lies in [0, min(cap, base × factor^n)] for any attempt', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.nat(100_000),
      fc.nat(100_000),
      fc.double({ min: 1, max: 10, noNaN: true }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (n, baseMs, capMs, factor, random) => {
        const wait = backoffMs(n, { baseMs, capMs, factor }, () => random)
        return wait >= 0 && wait <= Math.min(capMs, baseMs * factor ** n || 0)
      },
    ),
  )
})

test('a factor of 1 stays 1', () => {
  expect([0, 1, 50].map((n) => backoffMs(n, { baseMs: 10, factor: 1 }, () => 1))).toEqual([10, 10, 10])
})

test('waits grow, and the first success is the answer', async () => {
  const flaky = failing(boom, boom)
  expect(await run(flaky.work)).toEqual({ value: 'ok', delays: [100, 200], pending: 0 })
})

test('after the last attempt its error is thrown', async () => {
  const last = new Error('last')
  expect(await run(failing(boom, boom, last).work)).toMatchObject({ error: last, delays: [100, 200] })
})

test('the time that the other side asks for is waited, and one beyond the cap ends it', async () => {
  const asks = (retryAfterMs: number) => resilienceErrors.error('resilience.overloaded', { retryAfterMs })
  expect(await run(failing(asks(5000)).work)).toMatchObject({ value: 'ok', delays: [5100] })
  const late = failing(asks(10_001))
  expect(await run(late.work)).toMatchObject({ delays: [] })
  expect(late.calls).toBe(1)
  const own = failing(asks(10_001))
  expect(await run(own.work, { ignoreRetryAfter: true })).toMatchObject({ value: 'ok', delays: [100] })
})

describe('not retried', () => {
  test.each([
    ['an abort', new DOMException('x', 'AbortError')],
    ['an open circuit', resilienceErrors.error('resilience.circuit_open')],
    ['a refusal', new ForgeError('a.b', { status: 409, message: 'x' })],
  ])('is %s', async (_, error) => {
    const once = failing(error)
    expect(await run(once.work)).toMatchObject({ error, delays: [] })
    expect(once.calls).toBe(1)
  })
})

test('a failure with an aborted signal is not retried, even when retryIf says so', async () => {
  const controller = new AbortController()
  const once = failing(boom)
  const outcome = await run(
    () => {
      controller.abort()
      return once.work()
    },
    { signal: controller.signal, retryIf: () => true },
  )
  expect([outcome.error, once.calls]).toEqual([boom, 1])
})

test('an abort during a wait throws the error of the work and leaves no timer', async () => {
  const clock = createFakeClock()
  const controller = new AbortController()
  const outcome = expect(retry(failing(boom).work, { clock, signal: controller.signal, random: () => 1 })).rejects.toBe(
    boom,
  )
  await clock.advance(10)
  controller.abort()
  await outcome
  expect(clock.pending).toBe(0)
})

test('an aborted signal starts nothing', async () => {
  const never = failing()
  expect((await run(never.work, { signal: AbortSignal.abort('gone') })).error).toBe('gone')
  expect(never.calls).toBe(0)
})

test('a budget ends retries in an outage and gives them back after it', async () => {
  const budget = createRetryBudget({ tokens: 10, ratio: 1 })
  for (let i = 0; i < 10; i++) await run(failing(boom, boom, boom).work, { budget })
  const during = failing(boom, boom, boom)
  await run(during.work, { budget })
  expect(during.calls).toBe(1)
  for (let i = 0; i < 10; i++) await run(failing().work, { budget })
  expect(await run(failing(boom).work, { budget })).toMatchObject({ value: 'ok' })
})
