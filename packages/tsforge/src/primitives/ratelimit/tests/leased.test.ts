import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import type { LeasingDriver, RatelimitDriver, RateRule } from '../driver.ts'
import { leased } from '../drivers/leased.ts'
import { termsOf } from '../drivers/leased/terms.ts'
import { memory } from '../drivers/memory.ts'
import { rateRule } from '../rules.ts'

/** A store that is some milliseconds away, there and back. */
function distant(store: LeasingDriver, clock: FakeClock, wayMs: () => number): LeasingDriver {
  return {
    ...store,
    name: 'distant',
    capabilities: { shared: true, synchronous: false },
    take: async (...call) => {
      await clock.sleep(wayMs())
      return store.take(...call)
    },
    lease: async (...call) => {
      await clock.sleep(wayMs())
      const lease = store.lease(...call)
      await clock.sleep(wayMs())
      return lease
    },
    peek: (...call) => store.peek(...call),
    reset: (...call) => store.reset(...call),
    giveBack: (...call) => store.giveBack(...call),
    close: () => {},
  }
}

/** Numbers in [0, 1) that are the same in each run. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** A bucket that is paid when tokens are used: the limit to the letter. */
function meter(rule: RateRule): { use(cost: number, nowMs: number): void; worst: number } {
  let spent = 0
  let lastMs = 0
  return {
    worst: 0,
    use(cost, nowMs) {
      spent = Math.max(0, spent - ((nowMs - lastMs) * 1000) / rule.intervalUs) + cost
      lastMs = nowMs
      this.worst = Math.max(this.worst, spent)
    },
  }
}

describe('leased tokens', () => {
  it('never exceed the limit in any span of time, whatever four processes do', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const clock = createFakeClock()
      const draw = random(seed)
      const rule = rateRule({ name: 'bound', limit: 1000, window: '10s' })
      const store = memory({ clock })
      const processes = Array.from({ length: 4 }, () =>
        leased(
          distant(store, clock, () => draw() * 8),
          { clock },
        ),
      )
      const used = meter(rule)
      const call = async (driver: RatelimitDriver, cost: number): Promise<void> => {
        const decision = await driver.take(rule, 'ann', cost)
        if (decision.allowed) used.use(cost, clock.monotonic())
      }
      for (let turn = 0; turn < 600; turn++) {
        // Now idle, so that leases lie about and the store fills up; now a rush.
        const rush = Math.floor(turn / 50) % 3
        for (const driver of processes) {
          const calls =
            rush === 0 ? Number(draw() < 0.1) : rush === 1 ? Math.floor(draw() * 6) : Math.floor(draw() * 60)
          for (let one = 0; one < calls; one++) void call(driver, draw() < 0.05 ? 1 + Math.floor(draw() * 20) : 1)
        }
        await clock.advance(5 + draw() * 10)
      }
      expect(used.worst, `seed ${seed}`).toBeLessThanOrEqual(rule.burst)
      expect(used.worst, `seed ${seed}`).toBeGreaterThan(rule.burst * 0.9)
    }
  })

  it('ask the store once for many calls, and once for each near the limit', async () => {
    const clock = createFakeClock()
    const rule = rateRule({ name: 'asks', limit: 1000, window: '1h' })
    let asked = 0
    const store = memory({ clock })
    const counting = {
      ...distant(store, clock, () => 0),
      lease: (...call: Parameters<LeasingDriver['lease']>) => {
        asked++
        return store.lease(...call)
      },
    }
    const driver = leased(counting, { clock })
    for (let call = 0; call < 700; call++) await driver.take(rule, 'ann', 1)
    expect(asked).toBeLessThan(40)
    const before = asked
    for (let call = 0; call < 100; call++) await driver.take(rule, 'bob', 1)
    await driver.take(rule, 'bob', 750)
    asked = 0
    for (let call = 0; call < 100; call++) await driver.take(rule, 'bob', 1)
    expect(asked).toBeGreaterThan(80)
    expect(before).toBeGreaterThan(0)
  })

  it('are refused without asking until one could be there', async () => {
    const clock = createFakeClock()
    const rule = rateRule({ name: 'refused', limit: 100, window: '10s' })
    const driver = leased(memory({ clock }), { clock })
    for (let call = 0; call < 100; call++) await driver.take(rule, 'ann', 1)
    const refusal = await driver.take(rule, 'ann', 1)
    expect(refusal).toMatchObject({ allowed: false, remaining: 0 })
    expect(driver.take(rule, 'ann', 1)).not.toBeInstanceOf(Promise)
    await clock.advance(refusal.retryAfterMs)
    expect(await driver.take(rule, 'ann', 1)).toMatchObject({ allowed: true })
  })

  it('that are held go back when the process ends in good order', async () => {
    const clock = createFakeClock()
    const rule = rateRule({ name: 'closed', limit: 1000, window: '1h' })
    const store = memory({ clock })
    const driver = leased(store, { clock })
    for (let call = 0; call < 60; call++) await driver.take(rule, 'ann', 1)
    const { rule: counted } = termsOf(rule)!
    expect((await store.peek(counted, 'ann')).remaining).toBeLessThan(counted.burst - 60)
    await driver.close()
    expect((await store.peek(counted, 'ann')).remaining).toBe(counted.burst - 60)
  })

  it('that are not used in time come back with time, and the next leases are smaller', async () => {
    const clock = createFakeClock()
    const rule = rateRule({ name: 'idle', limit: 1000, window: '10s' })
    const store = memory({ clock })
    const driver = leased(store, { clock })
    for (let call = 0; call < 100; call++) await driver.take(rule, 'ann', 1)
    await clock.advance(10_000)
    expect((await driver.peek(rule, 'ann')).remaining).toBe(termsOf(rule)!.rule.burst)
    for (let second = 0; second < 8; second++) {
      await driver.take(rule, 'ann', 1)
      await clock.advance(10_000)
    }
    await driver.take(rule, 'ann', 1)
    expect((await store.peek(termsOf(rule)!.rule, 'ann')).remaining).toBe(termsOf(rule)!.rule.burst - 1)
  })

  it('are not leased where a lease would be worth nothing', () => {
    const exact = (spec: Parameters<typeof rateRule>[0]): boolean => termsOf(rateRule(spec)) === undefined
    expect(exact({ name: 'a', limit: 39, window: '1m' })).toBe(true)
    expect(exact({ name: 'a', limit: 1000, window: 50 })).toBe(true)
    expect(exact({ name: 'a', limit: 1000, window: '1m', algorithm: 'sliding' })).toBe(true)
    expect(exact({ name: 'a', limit: 10_000, burst: 100, window: '1m' })).toBe(true)
    expect(exact({ name: 'a', limit: 40, window: '1m' })).toBe(false)
    expect(termsOf(rateRule({ name: 'a', limit: 1000, window: '10s' }))).toMatchObject({
      cap: 50,
      lifeMs: 200,
      rule: { burst: 980 },
    })
    expect(termsOf(rateRule({ name: 'a', limit: 200, window: '10s' }))).toMatchObject({ cap: 10 })
  })

  it('fail those that wait for them when the store fails, and work again afterwards', async () => {
    const clock = createFakeClock()
    const store = memory({ clock })
    let broken = true
    const driver = leased(
      {
        ...distant(store, clock, () => 0),
        lease: (...call) => {
          if (broken) throw new Error('broken')
          return store.lease(...call)
        },
      },
      { clock },
    )
    const rule = rateRule({ name: 'failing', limit: 1000, window: '1m' })
    const calls = await Promise.allSettled(Array.from({ length: 5 }, async () => driver.take(rule, 'ann', 1)))
    expect(calls.map(({ status }) => status)).toEqual(Array(5).fill('rejected'))
    broken = false
    expect(await driver.take(rule, 'ann', 1)).toMatchObject({ allowed: true })
  })
})
