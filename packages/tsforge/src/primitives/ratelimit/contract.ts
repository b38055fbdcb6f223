import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Decision, LeasingDriver, RatelimitDriver, RateRule, SlotRule } from './driver.ts'
import { rateRule, slotRule } from './rules.ts'

/** A store under examination. */
export interface RatelimitContractStore {
  readonly driver: RatelimitDriver
  /** A second driver on the same counts, as another process has it. Only where they are shared. */
  readonly another?: RatelimitDriver
  /** Lets `ms` pass for the store: a fake clock moves, a real server is waited for. */
  pass(ms: number): Promise<void>
  close?(): Promise<void>
}

export interface RatelimitContract {
  readonly name: string
  /** A store without counts. The contract closes the drivers. */
  create(): RatelimitContractStore | Promise<RatelimitContractStore>
  /** What a fresh key may spend at once; default the burst. */
  atOnce?(rule: RateRule): number
}

const hour = '1h'

/** The exam of a driver of rate limits. Call it in a vitest file of your own. */
export function ratelimitContract({ name, create, atOnce = ({ burst }) => burst }: RatelimitContract): void {
  describe(`ratelimit driver ${name}`, () => {
    let store: RatelimitContractStore
    let driver: RatelimitDriver
    beforeAll(async () => {
      store = await create()
      driver = store.driver
      await driver.start?.()
      await store.another?.start?.()
    })
    afterAll(async () => {
      await store.another?.close()
      await driver.close()
      await store.close?.()
    })
    const many = (rule: RateRule, key: string, calls: number, from = driver): Promise<Decision[]> =>
      Promise.all(Array.from({ length: calls }, async () => from.take(rule, key, 1)))
    const allowed = (decisions: readonly Decision[]): number => decisions.filter((one) => one.allowed).length

    for (const algorithm of ['gcra', 'sliding'] as const) {
      describe(`by ${algorithm}`, () => {
        const declare = (rule: string, limit: number, window: string | number = hour): RateRule =>
          rateRule({ name: `${algorithm}-${rule}`, algorithm, limit, window })

        it('lets exactly the limit through of calls that come at once', async () => {
          const rule = declare('burst', 100)
          const decisions = await many(rule, 'ann', 150)
          expect(allowed(decisions)).toBe(atOnce(rule))
          for (const { limit, lost, remaining, resetMs } of decisions) {
            expect({ limit, lost }).toEqual({ limit: 100, lost: false })
            expect(remaining).toBeGreaterThanOrEqual(0)
            expect(resetMs).toBeGreaterThan(0)
          }
        })

        it('tells how much is left, and how long a refused call has to wait', async () => {
          const rule = declare('remaining', 3)
          const [first, second, third, fourth] = [
            await driver.take(rule, 'ann', 1),
            await driver.take(rule, 'ann', 1),
            await driver.take(rule, 'ann', 1),
            await driver.take(rule, 'ann', 1),
          ]
          expect([first, second, third].map((one) => [one.allowed, one.remaining, one.retryAfterMs])).toEqual([
            [true, 2, 0],
            [true, 1, 0],
            [true, 0, 0],
          ])
          expect(fourth).toMatchObject({ allowed: false, remaining: 0 })
          expect(fourth.retryAfterMs).toBeGreaterThan(0)
          expect(fourth.retryAfterMs).toBeLessThanOrEqual(2 * 3_600_000)
        })

        it('counts each key and each limit by itself', async () => {
          const rule = declare('separate', 1)
          expect((await driver.take(rule, 'ann', 1)).allowed).toBe(true)
          expect((await driver.take(rule, 'bob', 1)).allowed).toBe(true)
          expect((await driver.take(declare('other', 1), 'ann', 1)).allowed).toBe(true)
          expect((await driver.take(rule, 'ann', 1)).allowed).toBe(false)
        })

        it('spends the cost of a call, or nothing when it is refused', async () => {
          const rule = declare('cost', 10)
          expect(await driver.take(rule, 'ann', 7)).toMatchObject({ allowed: true, remaining: 3 })
          expect(await driver.take(rule, 'ann', 4)).toMatchObject({ allowed: false, remaining: 3 })
          expect(await driver.take(rule, 'ann', 3)).toMatchObject({ allowed: true, remaining: 0 })
        })

        it('decides calls of different costs that come at once each by itself', async () => {
          const rule = declare('costs', 10)
          // In whatever order they arrive, one call of 4 does not fit.
          const costs = [4, 4, 4, 1, 1]
          const decisions = await Promise.all(costs.map(async (cost) => driver.take(rule, 'ann', cost)))
          const spent = costs.filter((_, index) => decisions[index]!.allowed)
          expect(spent.reduce((sum, cost) => sum + cost, 0)).toBe(10)
        })

        it('lets a call through after the wait that it was told', async () => {
          const rule = declare('wait', 2, 400)
          await many(rule, 'ann', 2)
          let decision = await driver.take(rule, 'ann', 1)
          for (let turn = 0; turn < 4 && !decision.allowed; turn++) {
            await store.pass(decision.retryAfterMs)
            decision = await driver.take(rule, 'ann', 1)
          }
          expect(decision.allowed).toBe(true)
        })

        it('has everything again after the time that it told', async () => {
          const rule = declare('reset', 5, 200)
          const decisions = await many(rule, 'ann', 5)
          await store.pass(Math.max(...decisions.map(({ resetMs }) => resetMs)) + 2)
          expect(await driver.peek(rule, 'ann')).toMatchObject({ allowed: true, remaining: 5 })
        })

        it('spends nothing when it looks', async () => {
          const rule = declare('peek', 2)
          expect(await driver.peek(rule, 'ann')).toMatchObject({ allowed: true, remaining: 2, retryAfterMs: 0 })
          await driver.take(rule, 'ann', 2)
          const empty = await driver.peek(rule, 'ann')
          expect(empty).toMatchObject({ allowed: false, remaining: 0 })
          expect(empty.retryAfterMs).toBeGreaterThan(0)
        })

        it('forgets what was spent on reset', async () => {
          const rule = declare('forget', 1)
          await many(rule, 'ann', 2)
          await driver.reset(rule, 'ann')
          expect((await driver.take(rule, 'ann', 1)).allowed).toBe(true)
          await driver.reset(rule, 'nobody')
        })

        it('takes any key for what it is', async () => {
          const rule = declare('keys', 1)
          const keys = ['', ' ', '__proto__', 'a:b', 'a', "'; drop table users", '\u{1f600}', '\0', 'x'.repeat(128)]
          for (const key of keys) expect((await driver.take(rule, key, 1)).allowed, JSON.stringify(key)).toBe(true)
          for (const key of keys) expect((await driver.take(rule, key, 1)).allowed, JSON.stringify(key)).toBe(false)
        })

        it('counts the calls of two processes together', async () => {
          if (store.another === undefined) return expect(driver.capabilities.shared).toBe(false)
          const rule = declare('shared', 100)
          const both = await Promise.all([many(rule, 'ann', 100), many(rule, 'ann', 100, store.another)])
          expect(allowed(both.flat())).toBe(atOnce(rule))
        })
      })
    }

    it('never lets more through than the limit and what comes back meanwhile', async () => {
      const rule = rateRule({ name: 'hammered', limit: 100, window: 500 })
      let grants = 0
      let passedMs = 0
      const began = performance.now()
      for (let turn = 0; turn < 20; turn++) {
        grants += allowed(await many(rule, 'ann', 30))
        await store.pass(10)
        passedMs += 10
      }
      const elapsedMs = Math.max(passedMs, performance.now() - began)
      expect(grants).toBeGreaterThanOrEqual(atOnce(rule))
      expect(grants).toBeLessThanOrEqual(100 + elapsedMs / 5 + 1)
    })

    it('keeps a burst that is smaller than the limit', async () => {
      const rule = rateRule({ name: 'small-burst', limit: 100, burst: 5, window: hour })
      expect(allowed(await many(rule, 'ann', 20))).toBe(5)
    })

    describe('places', () => {
      const declare = (rule: string, limit: number, leaseMs?: number): SlotRule => {
        const made = slotRule({ name: `places-${rule}`, limit })
        return leaseMs === undefined ? made : { ...made, leaseMs }
      }

      it('gives no more places than there are, and the freed ones again', async () => {
        const rule = declare('bound', 3)
        const holders = ['a', 'b', 'c', 'd', 'e']
        const decisions = await Promise.all(holders.map(async (holder) => driver.acquire(rule, 'ann', holder)))
        expect(allowed(decisions)).toBe(3)
        expect(decisions.find((one) => !one.allowed)).toMatchObject({ limit: 3, remaining: 0 })
        await driver.release(rule, 'ann', holders[decisions.findIndex((one) => one.allowed)]!)
        expect((await driver.acquire(rule, 'ann', 'f')).allowed).toBe(true)
        expect((await driver.acquire(rule, 'ann', 'g')).allowed).toBe(false)
        expect((await driver.acquire(rule, 'bob', 'g')).allowed).toBe(true)
      })

      it('gives one holder one place, however often it asks', async () => {
        const rule = declare('again', 2)
        await driver.acquire(rule, 'ann', 'a')
        expect(await driver.acquire(rule, 'ann', 'a')).toMatchObject({ allowed: true, remaining: 1 })
        expect((await driver.acquire(rule, 'ann', 'b')).allowed).toBe(true)
        expect((await driver.acquire(rule, 'ann', 'a')).allowed).toBe(true)
      })

      it('frees the place of a holder that does not renew, and of no other', async () => {
        const rule = declare('crashed', 2, 300)
        const places = (key: string, ...holders: string[]) => holders.map((holder) => ({ key, holder }))
        const attempt = async (key: string) => {
          const began = performance.now()
          await driver.acquire(rule, key, 'alive')
          await driver.acquire(rule, key, 'dead')
          await store.pass(200)
          const renewed = await driver.renew(rule, places(key, 'alive'))
          const after = performance.now()
          await store.pass(150)
          const late = [await driver.acquire(rule, key, 'new'), await driver.acquire(rule, key, 'more')]
          const rest = await driver.renew(rule, places(key, 'alive', 'dead', 'new'))
          return { inTime: after - began < 300 && performance.now() - after < 300, renewed, late, rest }
        }
        // A machine that stood still meanwhile has shown nothing: again with another key.
        let [shown, turn] = [await attempt('ann'), 0]
        while (!shown.inTime) shown = await attempt(`ann ${++turn}`)
        expect(shown.renewed).toEqual([true])
        expect(shown.late.map((one) => one.allowed)).toEqual([true, false])
        expect(shown.rest).toEqual([true, false, true])
        expect(await driver.renew(rule, [{ key: 'nobody', holder: 'x' }])).toEqual([false])
      })

      it('minds no place that is given back twice', async () => {
        const rule = declare('twice', 1)
        await driver.acquire(rule, 'ann', 'a')
        await driver.release(rule, 'ann', 'a')
        await driver.acquire(rule, 'ann', 'b')
        await driver.release(rule, 'ann', 'a')
        expect((await driver.acquire(rule, 'ann', 'c')).allowed).toBe(false)
      })
    })

    describe('leases', () => {
      const leasing = (): LeasingDriver | undefined => ('lease' in driver ? (driver as LeasingDriver) : undefined)
      const rule = rateRule({ name: 'leases', limit: 1000, window: '10d' })

      it('hands out what is wanted while there is plenty, and what is needed near the limit', async () => {
        const from = leasing()
        if (from === undefined) return
        expect(await from.lease(rule, 'ann', 1, 50)).toMatchObject({ granted: 50, remaining: 950 })
        await from.take(rule, 'ann', 550)
        // 400 left, 200 of them above the fifth.
        expect(await from.lease(rule, 'ann', 1, 50)).toMatchObject({ granted: 25, remaining: 375 })
        await from.take(rule, 'ann', 200)
        expect(await from.lease(rule, 'ann', 1, 50)).toMatchObject({ granted: 1, remaining: 174 })
        expect(await from.lease(rule, 'ann', 200, 200)).toMatchObject({ granted: 174, remaining: 0 })
        const none = await from.lease(rule, 'ann', 1, 50)
        expect(none).toMatchObject({ granted: 0, remaining: 0 })
        expect(none.retryAfterMs).toBeGreaterThan(0)
      })

      it('takes tokens back while the lease is young, and never more than the limit', async () => {
        const from = leasing()
        if (from === undefined) return
        const lease = await from.lease(rule, 'bob', 1, 50)
        await from.giveBack(rule, 'bob', 20, lease.stamp, 60_000)
        expect((await from.peek(rule, 'bob')).remaining).toBe(970)
        await store.pass(5)
        await from.giveBack(rule, 'bob', 20, lease.stamp, 1)
        expect((await from.peek(rule, 'bob')).remaining).toBe(970)
        await from.giveBack(rule, 'bob', 2000, lease.stamp, 60_000)
        expect((await from.peek(rule, 'bob')).remaining).toBe(1000)
        await from.giveBack(rule, 'nobody', 5, lease.stamp, 60_000)
      })
    })
  })
}
