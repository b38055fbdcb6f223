import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../../kernel/metrics.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { createRatelimit } from '../create-ratelimit.ts'
import type { Decision } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { refusedChannel } from '../events.ts'
import type { LimitSpec } from '../ratelimit.ts'

const setup = (keys?: number) => {
  const clock = createFakeClock()
  const metrics = createMetrics()
  const limits = createRatelimit(memory(keys === undefined ? { clock } : { clock, keys }), { clock, metrics })
  return { clock, metrics, limits }
}

describe('a limit', () => {
  it('answers without a promise where the driver does', () => {
    const { limits } = setup()
    expect(limits.limit({ name: 'a', limit: 1, window: '1m' }).take('ann')).toEqual({
      allowed: true,
      limit: 1,
      remaining: 0,
      resetMs: 60_000,
      retryAfterMs: 0,
      lost: false,
    })
  })

  it('is refused when it is declared wrongly, with a sentence that says what is wrong', () => {
    const { limits } = setup()
    const good: LimitSpec = { name: 'good', limit: 10, window: '1m' }
    const wrong: [Partial<LimitSpec>, RegExp][] = [
      [{ name: 'Bad name' }, /name must match/],
      [{ limit: 0 }, /limit must be a whole number/],
      [{ limit: 1.5 }, /limit must be a whole number/],
      [{ limit: Number.NaN }, /limit must be a whole number/],
      [{ limit: 1e9 + 1, window: '1d' }, /limit must be a whole number/],
      [{ window: 0 }, /window must be/],
      [{ window: '400d' }, /window must be/],
      [{ window: 'soon' }, /window must be a duration/],
      [{ limit: 2_000_000, window: '1s' }, /more than one per microsecond/],
      [{ burst: 11 }, /burst must be/],
      [{ burst: 5, algorithm: 'sliding' }, /burst is a word of gcra/],
      [{ algorithm: 'fixed' as never }, /algorithm must be/],
      [{ whenLost: 'maybe' as never }, /whenLost must be/],
    ]
    for (const [part, sentence] of wrong) expect(() => limits.limit({ ...good, ...part })).toThrow(sentence)
    expect(() => limits.concurrency({ name: 'places', limit: 0 })).toThrow(/limit must be/)
    expect(() => limits.concurrency({ name: 'places', limit: 1, lease: '1ms' })).toThrow(/lease must be/)
  })

  it('may be declared twice when it means the same, and not when it does not', () => {
    const { limits } = setup()
    const spec: LimitSpec = { name: 'twice', limit: 10, window: '1m' }
    expect(limits.limit(spec)).toBe(limits.limit({ ...spec, window: 60_000 }))
    expect(() => limits.limit({ ...spec, limit: 11 })).toThrow(/declared otherwise/)
    expect(() => limits.limit({ ...spec, whenLost: 'open' })).toThrow(/declared otherwise/)
    expect(() => limits.concurrency({ name: 'twice', limit: 10 })).toThrow(/declared otherwise/)
  })

  it('refuses a cost that no wait would ever allow', () => {
    const limit = setup().limits.limit({ name: 'cost', limit: 10, burst: 5, window: '1m' })
    for (const cost of [0, -1, 1.5, 6, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => limit.take('ann', { cost })).toThrow(/is not a whole number from 1 to 5/)
    }
    expect(limit.take('ann', { cost: 5 })).toMatchObject({ allowed: true })
  })

  it('tells long keys apart though it does not store them', () => {
    const limit = setup().limits.limit({ name: 'long', limit: 1, window: '1m' })
    const long = 'x'.repeat(100_000)
    expect(limit.take(`${long}a`)).toMatchObject({ allowed: true })
    expect(limit.take(`${long}b`)).toMatchObject({ allowed: true })
    expect(limit.take(`${long}a`)).toMatchObject({ allowed: false })
  })

  it('counts what it decided, and tells of refusals', () => {
    const { limits, metrics } = setup()
    const limit = limits.limit({ name: 'counted', limit: 1, window: '1m' })
    const told: unknown[] = []
    const listen = (event: unknown): void => void told.push(event)
    refusedChannel.subscribe(listen)
    try {
      for (let call = 0; call < 3; call++) void limit.take('ann')
    } finally {
      refusedChannel.unsubscribe(listen)
    }
    expect(metrics.render()).toContain('forge_ratelimit_decisions_total{limit="counted",result="allowed"} 1')
    expect(metrics.render()).toContain('forge_ratelimit_decisions_total{limit="counted",result="refused"} 2')
    expect(told).toEqual(Array(2).fill({ limit: 'counted', key: 'ann', retryAfterMs: 60_000, policy: undefined }))
  })

  it('goes on while the wall clock jumps by hours', async () => {
    const { clock, limits } = setup()
    const limit = limits.limit({ name: 'jump', limit: 1, window: '1s' })
    void limit.take('ann')
    clock.jump(clock.now() + 7_200_000)
    expect(limit.take('ann')).toMatchObject({ allowed: false })
    clock.jump(clock.now() - 14_400_000)
    await clock.advance(1000)
    expect(limit.take('ann')).toMatchObject({ allowed: true })
  })

  it('keeps a bounded number of keys, and among them those that are asked for', async () => {
    const { clock, limits } = setup(1000)
    const limit = limits.limit({ name: 'flood', limit: 1, window: '1h' })
    void limit.take('rare')
    for (let key = 0; key < 20_000; key++) {
      void limit.take(`flood ${key}`)
      if (key % 100 === 0) expect(limit.take('often')).toMatchObject({ allowed: key === 0 })
    }
    // Nothing is remembered of it: that is the bound.
    expect(limit.take('rare')).toMatchObject({ allowed: true })
    await limits.start()
    await clock.advance(3_600_000)
    expect(limit.take('often')).toMatchObject({ allowed: true })
    await limits.close()
    expect(clock.pending).toBe(0)
  })
})

/** Calls from `fromMs` before the edge of a window to `toMs` behind it, ten per millisecond. */
async function hammered(algorithm: 'gcra' | 'sliding'): Promise<{ grants: number; last: Decision }> {
  const { clock, limits } = setup()
  const limit = limits.limit({ name: 'edge', algorithm, limit: 100, window: '2s' })
  await clock.advance(1600)
  let grants = 0
  let last!: Decision
  for (let ms = 0; ms < 800; ms += 10) {
    for (let call = 0; call < 100; call++) {
      last = (await limit.take('ann')) as Decision
      if (last.allowed) grants++
    }
    await clock.advance(10)
  }
  return { grants, last }
}

describe('a limit of 100 per 2 s that is hammered across the edge of a window', () => {
  for (const algorithm of ['gcra', 'sliding'] as const) {
    it(`lets at most 140 through by ${algorithm}`, async () => {
      const { grants, last } = await hammered(algorithm)
      expect(grants).toBeGreaterThanOrEqual(100)
      expect(grants).toBeLessThanOrEqual(140)
      expect(last).toMatchObject({ allowed: false, remaining: 0 })
    })
  }
})
