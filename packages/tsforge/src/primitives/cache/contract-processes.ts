import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Cache, RootCache } from './cache.ts'
import type { CacheDriver } from './driver.ts'

/** What the questions work with; driver and namespace are those of the test that runs. */
export interface CacheExam {
  readonly driver: CacheDriver
  readonly cache: RootCache
  readonly namespace: string
  /** The cache of another process on the same store. */
  another(): Promise<RootCache>
  /** Does it with new keys until it was done within that time. */
  within<T>(ms: number, work: (key: string) => Promise<T>): Promise<T>
  /** Lets time go by. */
  pass(ms: number): Promise<void>
}

/** A load that has begun, of a value whose tag is told only when it is there. */
export async function begunLoad(
  cache: Cache,
  key: string,
  tag: string,
): Promise<{ readonly loading: Promise<string>; finish(value: string): void }> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const begun = Promise.withResolvers<void>()
  const loading = Promise.resolve(
    cache.getOrSet(key, async (context) => {
      begun.resolve()
      const loaded = await promise
      context.tags(tag)
      return loaded
    }),
  )
  await Promise.race([begun.promise, loading])
  return { loading, finish: resolve }
}

/** Of the contract of caches: what several processes have from one store. */
export function processQuestions(exam: CacheExam): void {
  const prefix = (): string => `${exam.namespace}::`

  describe('locks', () => {
    it('gives a lock to one token until it is given back', async () => {
      if (!exam.driver.capabilities.lock) return expect(exam.driver.lock).toBeUndefined()
      expect(await exam.driver.lock!(prefix(), 'a', 'one', 60_000)).toBe(true)
      expect(await exam.driver.lock!(prefix(), 'a', 'two', 60_000)).toBe(false)
      expect(await exam.driver.lock!(prefix(), 'a', 'one', 60_000)).toBe(true)
      expect(await exam.driver.lock!(prefix(), 'b', 'two', 60_000)).toBe(true)
      await exam.driver.unlock!(prefix(), 'a', 'two')
      expect(await exam.driver.lock!(prefix(), 'a', 'two', 60_000)).toBe(false)
      await exam.driver.unlock!(prefix(), 'a', 'one')
      expect(await exam.driver.lock!(prefix(), 'a', 'two', 60_000)).toBe(true)
      await exam.driver.unlock!(prefix(), 'a', 'two')
      await exam.driver.unlock!(prefix(), 'b', 'two')
    })

    it('gives a lock to somebody else after its lease, as prolonged', async () => {
      if (!exam.driver.capabilities.lock) return expect(exam.driver.unlock).toBeUndefined()
      const [key, ...taken] = await exam.within(600, async (at) => {
        const first = await exam.driver.lock!(prefix(), at, 'one', 100)
        const prolonged = await exam.driver.lock!(prefix(), at, 'one', 600)
        await exam.pass(200)
        return [at, first, prolonged, await exam.driver.lock!(prefix(), at, 'two', 100)]
      })
      expect(taken).toEqual([true, true, false])
      await exam.pass(500)
      expect(await exam.driver.lock!(prefix(), key as string, 'two', 100)).toBe(true)
    })
  })

  describe('between processes', () => {
    let others: RootCache[] = []
    beforeAll(async () => {
      if (exam.driver.capabilities.shared) others = await Promise.all(Array.from({ length: 3 }, exam.another))
    })
    afterAll(async () => {
      for (const each of others) await each.close()
    })
    const everywhere = (): RootCache[] => [exam.cache, ...others]

    it('shows in each what another one wrote, deleted and invalidated', async () => {
      for (const other of others) {
        const [here, there] = [exam.cache.namespace(exam.namespace), other.namespace(exam.namespace)]
        await here.set('a', 'first', { tags: ['t'] })
        expect(await there.get('a')).toBe('first')
        await there.set('a', 'second', { tags: ['t'] })
        await expect.poll(() => here.get('a')).toBe('second')
        await there.invalidateTags(['t'])
        await expect.poll(() => here.get('a')).toBeUndefined()
        await there.set('b', 'third')
        await expect.poll(() => here.get('b')).toBe('third')
        await there.delete('b')
        await expect.poll(() => here.get('b')).toBeUndefined()
      }
      expect(others.length).toBe(exam.driver.capabilities.shared ? 3 : 0)
    })

    it('keeps nothing that was loaded before another one invalidated its tag', async () => {
      for (const other of others) {
        const [here, there] = [exam.cache.namespace(exam.namespace), other.namespace(exam.namespace)]
        const { loading, finish } = await begunLoad(here, 'late', 't')
        await exam.pass(20)
        await there.invalidateTags(['t'])
        finish('old')
        expect(await loading).toBe('old')
        expect(await there.get('late')).toBeUndefined()
        expect(await here.get('late')).toBeUndefined()
        await exam.pass(20)
      }
      expect(others.length).toBe(exam.driver.capabilities.shared ? 3 : 0)
    })

    it('runs one loader for cold readers in all of them, with the lock', async () => {
      if (!exam.driver.capabilities.lock) return expect(exam.driver.lock).toBeUndefined()
      let loads = 0
      const gate = Promise.withResolvers<void>()
      const load = async (): Promise<number> => {
        loads++
        await gate.promise
        return loads
      }
      const readers = everywhere().flatMap((each) => {
        const space = each.namespace(exam.namespace)
        return Array.from({ length: 100 }, async () => space.getOrSet('cold', load, { lock: true }))
      })
      await expect.poll(() => loads).toBe(1)
      await exam.pass(100)
      gate.resolve()
      expect(new Set(await Promise.all(readers))).toStrictEqual(new Set([1]))
      expect(loads).toBe(1)
    })
  })
}
