import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Db } from '../../primitives/db/index.ts'
import type { Claim, IdempotencyDriver, NewClaim } from './driver.ts'
import { digest } from './key.ts'

export interface IdempotencyBench {
  readonly driver: IdempotencyDriver
  /** The same store through another connection, as a second process would see it; only where `shared`. */
  readonly second?: IdempotencyDriver
  /** Lets `ms` pass in the store, for all keys. */
  elapse(ms: number): void | Promise<void>
  /** The database of a `transactional` driver. */
  readonly db?: Db
  close(): Promise<void>
}

export interface IdempotencyContract {
  readonly name: string
  create(): IdempotencyBench | Promise<IdempotencyBench>
}

// Real time goes on beside `elapse`: whatever counts leaves it half a minute.
const leaseMs = 60_000
const ttlMs = 3_600_000

/** The exam of a store of idempotency keys. Call it in a vitest file of your own. */
export function idempotencyContract({ name, create }: IdempotencyContract): void {
  describe(`idempotency contract: ${name}`, () => {
    let bench: IdempotencyBench
    let driver: IdempotencyDriver
    let second: IdempotencyDriver

    beforeAll(async () => {
      bench = await create()
      driver = bench.driver
      second = bench.second ?? driver
    }, 60_000)
    afterAll(() => bench.close())

    const newId = (): string => digest(randomUUID())
    const newClaim = (over: Partial<NewClaim> = {}): NewClaim => ({
      token: randomUUID(),
      request: `request ${randomUUID()}`,
      leaseMs,
      ttlMs,
      ...over,
    })
    const claimed = async (over: Partial<NewClaim> = {}): Promise<NewClaim & { readonly id: string }> => {
      const id = newId()
      const claim = newClaim(over)
      expect(await driver.claim(id, claim)).toEqual({ state: 'claimed' })
      return { id, ...claim }
    }
    const found = (id: string, by = second): Promise<Claim> => by.claim(id, newClaim())
    const count = (all: readonly boolean[]): number => all.filter(Boolean).length

    it('gives an id to one of many who want it at once', async () => {
      const id = newId()
      const claims = await Promise.all(
        Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? driver : second).claim(id, newClaim())),
      )
      expect(count(claims.map(({ state }) => state === 'claimed'))).toBe(1)
      expect(count(claims.map(({ state }) => state === 'running'))).toBe(39)
    })

    it('tells who comes later what the first request was, who holds it and for how long', async () => {
      const { id, request, token } = await claimed()
      const seen = await found(id)
      expect(seen).toMatchObject({ state: 'running', request, token })
      if (seen.state !== 'running') return
      expect(seen.leaseLeftMs).toBeGreaterThan(leaseMs / 2)
      expect(seen.leaseLeftMs).toBeLessThanOrEqual(leaseMs)
    })

    it('gives the answer back to the letter, whatever it is made of and however large', async () => {
      for (const answer of ['', '{"a":1}', 'ünï \u{1F600} \r\n "', 'x'.repeat(300_000)]) {
        const { id, request, token } = await claimed()
        expect(await driver.settle(id, token, answer, ttlMs)).toBe(true)
        expect(await found(id)).toMatchObject({ state: 'settled', request, answer })
      }
    })

    it('lets a holder replace its answer, and nobody else', async () => {
      const { id, token } = await claimed()
      expect(await driver.settle(id, token, 'first', ttlMs)).toBe(true)
      expect(await second.settle(id, token, 'second', ttlMs)).toBe(true)
      expect(await driver.settle(id, randomUUID(), 'forged', ttlMs)).toBe(false)
      expect(await found(id)).toMatchObject({ state: 'settled', answer: 'second' })
    })

    it('stores nothing under an id that nobody has claimed', async () => {
      const id = newId()
      expect(await driver.settle(id, randomUUID(), 'answer', ttlMs)).toBe(false)
      expect(await driver.extend(id, randomUUID(), leaseMs)).toBe(false)
      expect(await driver.takeOver(id, randomUUID(), newClaim())).toBe(false)
      await driver.release(id, randomUUID())
      expect(await found(id)).toEqual({ state: 'claimed' })
    })

    it('keeps work from being taken over as long as its lease lasts', async () => {
      const long = 10 * leaseMs
      const { id, token } = await claimed({ leaseMs: long })
      await bench.elapse(long - leaseMs)
      expect(await driver.extend(id, token, long)).toBe(true)
      await bench.elapse(long - leaseMs)
      expect(await found(id)).toMatchObject({ state: 'running', token })
      expect(await second.takeOver(id, token, newClaim())).toBe(false)
      expect(await driver.extend(id, randomUUID(), leaseMs)).toBe(false)
    })

    it('lets one of many take orphaned work over, after which the first holder can do nothing', async () => {
      const { id, token, request } = await claimed()
      await bench.elapse(leaseMs + 1_000)
      const orphan = await found(id)
      expect(orphan).toMatchObject({ state: 'running', token, request })
      expect(orphan.state === 'running' && orphan.leaseLeftMs <= 0).toBe(true)
      const heirs = Array.from({ length: 20 }, () => newClaim({ request }))
      const taken = await Promise.all(heirs.map((heir, i) => (i % 2 === 0 ? driver : second).takeOver(id, token, heir)))
      expect(count(taken)).toBe(1)
      const heir = heirs[taken.indexOf(true)]!
      expect(await driver.extend(id, token, leaseMs)).toBe(false)
      expect(await driver.settle(id, token, 'too late', ttlMs)).toBe(false)
      await driver.release(id, token)
      expect(await found(id)).toMatchObject({ state: 'running', token: heir.token })
      expect(await second.settle(id, heir.token, 'in time', ttlMs)).toBe(true)
      expect(await found(id)).toMatchObject({ state: 'settled', answer: 'in time' })
    })

    it('takes the answer of a holder whose lease has run out while nobody has taken over', async () => {
      const { id, token } = await claimed()
      await bench.elapse(leaseMs + 1_000)
      expect(await driver.settle(id, token, 'late', ttlMs)).toBe(true)
      expect(await second.takeOver(id, token, newClaim())).toBe(false)
      expect(await found(id)).toMatchObject({ state: 'settled', answer: 'late' })
    })

    it('frees an id whose work came to nothing, and never what is settled', async () => {
      const nothing = await claimed()
      await driver.release(nothing.id, nothing.token)
      expect(await found(nothing.id)).toEqual({ state: 'claimed' })
      const done = await claimed()
      await driver.settle(done.id, done.token, 'answer', ttlMs)
      await driver.release(done.id, done.token)
      expect(await found(done.id)).toMatchObject({ state: 'settled', answer: 'answer' })
    })

    it('protects an id anew when its time is over, also before anything was swept', async () => {
      const done = await claimed()
      await driver.settle(done.id, done.token, 'old', ttlMs)
      const abandoned = await claimed()
      await bench.elapse(ttlMs + 1_000)
      for (const { id, token } of [done, abandoned]) {
        const heirs = Array.from({ length: 10 }, () => newClaim())
        const claims = await Promise.all(heirs.map((heir, i) => (i % 2 === 0 ? driver : second).claim(id, heir)))
        const winners = claims.flatMap(({ state }, i) => (state === 'claimed' ? [heirs[i]!] : []))
        expect(winners).toHaveLength(1)
        expect(await driver.settle(id, token, 'of the former', ttlMs)).toBe(false)
        expect(await driver.settle(id, winners[0]!.token, 'new', ttlMs)).toBe(true)
        expect(await found(id)).toMatchObject({ state: 'settled', answer: 'new' })
      }
    })

    it('keeps an answer for its whole time, counted from when it was stored', async () => {
      const short = 600_000
      const { id, token } = await claimed({ ttlMs: short })
      await bench.elapse(500_000)
      await driver.settle(id, token, 'answer', short)
      await bench.elapse(500_000)
      expect(await found(id)).toMatchObject({ state: 'settled', answer: 'answer' })
      await bench.elapse(200_000)
      expect(await found(id)).toEqual({ state: 'claimed' })
    })

    it('never forgets work that is being done, however long it takes', async () => {
      const lease = 300_000
      const { id, token } = await claimed({ ttlMs: 2 * lease, leaseMs: lease })
      for (let beat = 0; beat < 5; beat++) {
        await bench.elapse(lease - 60_000)
        expect(await driver.extend(id, token, lease)).toBe(true)
        await driver.sweep(1_000)
      }
      expect(await found(id)).toMatchObject({ state: 'running', token })
    })

    it('sweeps what has had its time and nothing else, a bounded number at once', async () => {
      await bench.elapse(ttlMs + 1_000)
      while ((await driver.sweep(1_000)) > 0);
      const old = await Promise.all(Array.from({ length: 5 }, () => claimed()))
      await bench.elapse(ttlMs + 1_000)
      const fresh = await claimed()
      const first = await driver.sweep(3)
      const rest = await driver.sweep(1_000)
      // A store that forgets by itself has nothing left to sweep.
      expect([
        [3, 2],
        [0, 0],
      ]).toContainEqual([first, rest])
      expect(await found(fresh.id)).toMatchObject({ state: 'running' })
      expect(await found(old[0]!.id)).toEqual({ state: 'claimed' })
    })

    it('answers pings', async () => {
      await driver.ping()
      expect(driver.name).not.toBe('')
    })

    it('commits an answer with the transaction that it belongs to, or not at all', async () => {
      if (!driver.capabilities.transactional) return
      const db = bench.db!
      const { id, token } = await claimed()
      const undone = db.tx(async (tx) => {
        expect(await driver.settle(id, token, 'undone', ttlMs, tx)).toBe(true)
        throw new Error('rolled back')
      })
      await expect(undone).rejects.toThrow('rolled back')
      expect(await found(id)).toMatchObject({ state: 'running', token })
      await db.tx((tx) => driver.settle(id, token, 'committed', ttlMs, tx))
      expect(await found(id)).toMatchObject({ state: 'settled', answer: 'committed' })
    })

    it('waits for no open transaction: it can be asked, extended and not taken over meanwhile', async () => {
      if (!driver.capabilities.transactional || !bench.db!.capabilities.concurrent) return
      const { id, token } = await claimed()
      await bench.elapse(leaseMs + 1_000)
      await bench.db!.tx(async (tx) => {
        expect(await driver.settle(id, token, 'answer', ttlMs, tx)).toBe(true)
        expect(await found(id)).toMatchObject({ state: 'running', token })
        expect(await second.takeOver(id, token, newClaim())).toBe(false)
        expect(await driver.extend(id, token, leaseMs)).toBe(true)
      })
      expect(await found(id)).toMatchObject({ state: 'settled', answer: 'answer' })
    })

    it('refuses the transaction of a holder that was overtaken while it worked', async () => {
      if (!driver.capabilities.transactional) return
      const { id, token } = await claimed()
      await bench.elapse(leaseMs + 1_000)
      const heir = newClaim()
      expect(await second.takeOver(id, token, heir)).toBe(true)
      expect(await bench.db!.tx((tx) => driver.settle(id, token, 'overtaken', ttlMs, tx))).toBe(false)
      expect(await found(id)).toMatchObject({ state: 'running', token: heir.token })
    })
  })
}
