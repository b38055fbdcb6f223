import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { ForgeError } from '../../errors.ts'
import { createBreaker, createBreakerGroup } from '../breaker.ts'
import type { Breaker, BreakerChange, BreakerSettings } from '../breaker.ts'

function setup(settings: Partial<BreakerSettings> = {}) {
  const clock = createFakeClock()
  const changes: string[] = []
  const onChange = ({ from, to }: BreakerChange): void => void changes.push(`${from} → ${to}`)
  return {
    clock,
    changes,
    breaker: createBreaker({ name: 'mail', clock, failures: 3, openMs: 1000, onChange, ...settings }),
  }
}

const fail = (breaker: Breaker): Promise<void> =>
  breaker.run(() => Promise.reject(new Error('down'))).catch(() => undefined)
const pass = (breaker: Breaker): Promise<string> => breaker.run(() => 'ok')
const open = { code: 'resilience.circuit_open' }

async function times(count: number, work: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await work()
}

/** A call that the test ends when it likes. */
function held(breaker: Breaker, signal?: AbortSignal) {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const done = breaker.run(() => promise, signal).catch((error: unknown) => error)
  return { done, resolve, reject }
}

test('failures in a row open it, and a refusal says how long', async () => {
  const { breaker, clock } = setup()
  await times(2, () => fail(breaker))
  await pass(breaker)
  await times(2, () => fail(breaker))
  expect(breaker.state).toBe('closed')
  await fail(breaker)
  expect(breaker.state).toBe('open')
  await clock.advance(400)
  await expect(pass(breaker)).rejects.toMatchObject({ ...open, retryAfterMs: 1000 })
})

test('after its time one call may try: success closes it, failure opens it again', async () => {
  const { breaker, clock, changes } = setup()
  await times(3, () => fail(breaker))
  await clock.advance(1000)
  expect(breaker.state).toBe('half_open')
  await fail(breaker)
  await expect(pass(breaker)).rejects.toMatchObject(open)
  await clock.advance(1000)
  expect(await pass(breaker)).toBe('ok')
  expect(breaker.state).toBe('closed')
  expect(changes).toEqual([
    'closed → open',
    'open → half_open',
    'half_open → open',
    'open → half_open',
    'half_open → closed',
  ])
})

test('half open, no more calls than probes are let through', async () => {
  const { breaker, clock } = setup({ probes: 2, successes: 2 })
  await times(3, () => fail(breaker))
  await clock.advance(1000)
  const [a, b] = [held(breaker), held(breaker)]
  await expect(pass(breaker)).rejects.toMatchObject(open)
  a.resolve('ok')
  await a.done
  expect(breaker.state).toBe('half_open')
  b.resolve('ok')
  await b.done
  expect(breaker.state).toBe('closed')
})

test('a probe that throws at once gives its place back', async () => {
  const { breaker, clock } = setup({ isFailure: () => false, successes: 2 })
  await times(3, () => fail(breaker))
  const failing = setup()
  await times(3, () => fail(failing.breaker))
  await failing.clock.advance(1000)
  await expect(
    failing.breaker.run(() => {
      throw new TypeError('bug')
    }),
  ).rejects.toThrow('bug')
  await failing.clock.advance(1000)
  expect(await pass(failing.breaker)).toBe('ok')
  expect([breaker.state, clock.pending]).toEqual(['closed', 0])
})

test('a probe that never comes back does not keep it half open for ever', async () => {
  const { breaker, clock } = setup()
  await times(3, () => fail(breaker))
  await clock.advance(1000)
  const lost = held(breaker)
  await expect(pass(breaker)).rejects.toMatchObject(open)
  await clock.advance(1000)
  expect(await pass(breaker)).toBe('ok')
  lost.reject(new Error('very late'))
  await lost.done
  expect(breaker.state).toBe('closed')
})

describe('an abort of the caller', () => {
  test('neither counts as failure nor resets the count', async () => {
    const { breaker } = setup()
    await times(2, () => fail(breaker))
    const controller = new AbortController()
    const call = held(breaker, controller.signal)
    controller.abort()
    call.reject(new Error('socket closed'))
    await call.done
    expect(breaker.state).toBe('closed')
    await fail(breaker)
    expect(breaker.state).toBe('open')
  })

  test('gives the place of a probe back without closing it', async () => {
    const { breaker, clock } = setup()
    await times(3, () => fail(breaker))
    await clock.advance(1000)
    const probe = held(breaker)
    probe.reject(new DOMException('x', 'AbortError'))
    await probe.done
    expect(breaker.state).toBe('half_open')
    expect(await pass(breaker)).toBe('ok')
  })
})

test('results of calls that began in an earlier state are not counted', async () => {
  const { breaker, clock } = setup()
  const [good, bad] = [held(breaker), held(breaker)]
  await times(3, () => fail(breaker))
  good.resolve('late')
  await good.done
  expect(breaker.state).toBe('open')
  await clock.advance(1000)
  const probe = held(breaker)
  bad.reject(new Error('late'))
  await bad.done
  expect(breaker.state).toBe('half_open')
  probe.resolve('ok')
  await probe.done
  expect(breaker.state).toBe('closed')
})

test('half of the calls failing opens it, once there are enough within the window', async () => {
  const { breaker, clock } = setup({ failures: 1000, rate: { share: 0.5, minimum: 10, windowMs: 1000 } })
  const pair = async (): Promise<void> => {
    await pass(breaker)
    await fail(breaker)
  }
  await times(4, pair)
  await clock.advance(1100)
  await times(4, pair)
  expect(breaker.state).toBe('closed')
  await pair()
  expect(breaker.state).toBe('open')
})

test('calls that are too slow count as failed', async () => {
  const { breaker, clock } = setup({ slowMs: 100 })
  await times(3, async () => {
    const call = breaker.run(() => clock.sleep(101))
    await clock.advance(101)
    await call
  })
  expect(breaker.state).toBe('open')
})

test('a 4xx of our own speaks of a system that is well', async () => {
  const { breaker } = setup()
  await times(10, () =>
    breaker.run(() => Promise.reject(new ForgeError('a.b', { status: 404, message: 'x' }))).catch(() => undefined),
  )
  expect(breaker.state).toBe('closed')
})

test('the hook may use the breaker, and what it throws is dropped', async () => {
  const seen: string[] = []
  const clock = createFakeClock()
  const breaker: Breaker = createBreaker({
    name: 'x',
    clock,
    failures: 1,
    onChange: () => {
      seen.push(breaker.state)
      void breaker.run(() => 'ok').catch(() => seen.push('refused'))
      throw new Error('bad hook')
    },
  })
  await expect(breaker.run(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
  expect(seen).toEqual(['open', 'refused'])
})

test('a group forgets the longest unused breaker', () => {
  const group = createBreakerGroup({ clock: createFakeClock() }, 2)
  const a = group.get('a')
  group.get('b')
  expect(group.get('a')).toBe(a)
  group.get('c')
  expect([group.size, group.get('a') === a]).toEqual([2, true])
})
