import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { NearCacheDriver } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
import { sizeOf } from '../drivers/memory/size-of.ts'

const prefix = 'bounds::'

function put(driver: NearCacheDriver, key: string, value: unknown = key, freshMs = 3_600_000, at = prefix): boolean {
  return driver.set(at, key, { value, freshMs, staleMs: 0, eagerMs: 0, tags: [] }, { loadedForMs: 0 })
}

function has(driver: NearCacheDriver, key: string): boolean {
  return driver.get(prefix, key) !== undefined
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heap(): number {
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('the memory of a process', () => {
  it('never holds more entries than it may', () => {
    const driver = memory({ maxEntries: 100 })
    for (let at = 0; at < 1000; at++) {
      put(driver, `k${at}`)
      expect(driver.stats().entries).toBeLessThanOrEqual(100)
    }
    expect(driver.stats()).toMatchObject({ entries: 100, evictions: 900 })
  })

  it.each([1, 2, 3, 10, 11])('keeps what was stored last when it may hold %i', (maxEntries) => {
    const driver = memory({ maxEntries })
    for (let at = 0; at < 500; at++) {
      put(driver, `k${at}`)
      expect(has(driver, `k${at}`)).toBe(true)
      if (at % 3 === 0) driver.get(prefix, `k${at}`)
      expect(driver.stats().entries).toBeLessThanOrEqual(maxEntries)
    }
  })

  it('never estimates more bytes than it may, whatever is stored, replaced and deleted', () => {
    const maxBytes = 200_000
    const driver = memory({ maxBytes })
    let seed = 1
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (let at = 0; at < 20_000; at++) {
      const key = `k${random(500)}`
      const tenant = `bounds:t${random(5)}:`
      if (random(5) === 0) driver.delete(tenant, [key])
      else put(driver, key, 'x'.repeat(random(4) === 0 ? 20_000 : 200), 1e6, tenant)
      expect(driver.stats().bytes).toBeLessThanOrEqual(maxBytes)
    }
    expect(driver.stats().entries).toBeGreaterThan(10)
    driver.clear()
    const empty = driver.stats()
    expect(empty.entries).toBe(0)
    // The table of those who left is all that stays.
    expect(empty.bytes).toBe(memory({ maxBytes }).stats().bytes)
  })

  it.each([
    ['small objects', (at: number) => ({ id: at, name: `name ${at}`, active: at % 2 === 0 })],
    ['long texts', (at: number) => `${at}:${'x'.repeat(3000)}`],
    ['wide texts', (at: number) => `${at}:${'界'.repeat(1000)}`],
    ['buffers', (at: number) => Buffer.alloc(5000, at % 256)],
    [
      'lists of rows with dates',
      (at: number) => Array.from({ length: 10 }, (_, n) => ({ id: `${at}-${n}`, at: new Date(at) })),
    ],
    ['fractions', (at: number) => Array.from({ length: 50 }, (_, n) => at + n / 7)],
    ['maps', (at: number) => new Map(Array.from({ length: 20 }, (_, n) => [`${at}-${n}`, n]))],
  ])('really takes less than its bytes at 10 times the keys that fit: %s', (_, valueOf) => {
    const maxBytes = 4 * 2 ** 20
    const fitting = maxBytes / (sizeOf(valueOf(12_345)) + 300)
    const driver = memory({ maxBytes })
    for (let at = 0; at < fitting * 10; at++) put(driver, `key of a usual length ${at}`, valueOf(at))
    const full = heap()
    const { evictions } = driver.stats()
    driver.clear()
    const taken = full - heap()
    expect(evictions).toBeGreaterThan(fitting * 8)
    expect(taken).toBeLessThan(maxBytes)
    // The estimate is of use: most of what it promises is there.
    expect(taken).toBeGreaterThan(maxBytes / 4)
  })

  it('refuses what is larger than all of it, and drops what the key held before', () => {
    const driver = memory({ maxBytes: 100_000 })
    put(driver, 'a', 'small')
    put(driver, 'b', 'small')
    expect(put(driver, 'a', 'x'.repeat(200_000))).toBe(false)
    expect(has(driver, 'a')).toBe(false)
    expect(has(driver, 'b')).toBe(true)
  })

  it('keeps what is asked for through a scan of ten times its size', () => {
    const driver = memory({ maxEntries: 1000 })
    const hot = Array.from({ length: 500 }, (_, at) => `hot${at}`)
    for (let round = 0; round < 3; round++) for (const key of hot) if (!has(driver, key)) put(driver, key)
    for (let at = 0; at < 10_000; at++) {
      put(driver, `scan${at}`)
      // Work goes on meanwhile, much more slowly than the scan.
      if (at % 20 === 0) driver.get(prefix, hot[(at / 20) % hot.length]!)
    }
    expect(hot.filter((key) => has(driver, key)).length).toBeGreaterThan(490)
  })

  it('lets in by the main door who comes back soon after leaving', () => {
    const driver = memory({ maxEntries: 100 })
    for (let at = 0; at < 100; at++) put(driver, `k${at}`)
    put(driver, 'comes back')
    for (let at = 100; at < 250; at++) put(driver, `k${at}`)
    expect(has(driver, 'comes back')).toBe(false)
    put(driver, 'comes back')
    // In the small queue nothing would be left of it after these.
    for (let at = 1000; at < 1150; at++) put(driver, `k${at}`)
    expect(driver.get(prefix, 'comes back')?.value).toBe('comes back')
  })

  it('lets the dead leave before the living', () => {
    const driver = memory({ maxEntries: 100 })
    for (let at = 0; at < 50; at++) put(driver, `dead${at}`, 1, 0.000_001)
    for (let at = 0; at < 50; at++) put(driver, `alive${at}`)
    for (let at = 0; at < 50; at++) put(driver, `next${at}`)
    expect(Array.from({ length: 50 }, (_, at) => has(driver, `alive${at}`))).not.toContain(false)
  })

  it('keeps neither tags nor tenants without entries', () => {
    const driver = memory({ maxEntries: 10 })
    const empty = heap()
    for (let at = 0; at < 50_000; at++) {
      const entry = { value: at, freshMs: 1e6, staleMs: 0, eagerMs: 0, tags: [`tag ${at}`] }
      driver.set(`bounds:tenant${at}:`, 'k', entry, { loadedForMs: 0 })
      driver.shelf(`bounds:tenant${at}:`).fresh('k')
      driver.shelf(`bounds:never${at}:`).fresh('k')
      if (at % 3 === 0) driver.invalidateTags(`bounds:tenant${at}:`, [`tag ${at}`])
    }
    expect(heap() - empty).toBeLessThan(500_000)
    expect(driver.stats().entries).toBe(10)
  })
})

describe('the estimate', () => {
  it('follows shared parts and cycles once', () => {
    const shared = { text: 'x'.repeat(10_000) }
    const cyclic: Record<string, unknown> = { a: shared, b: shared }
    cyclic.self = cyclic
    expect(sizeOf(cyclic)).toBeGreaterThan(10_000)
    expect(sizeOf(cyclic)).toBeLessThan(11_000)
  })

  it('stops at its limit', () => {
    let read = 0
    const endless = Array.from({ length: 10_000 }, () =>
      Object.defineProperty({}, 'x', { enumerable: true, get: () => (read++, 'x'.repeat(100)) }),
    )
    expect(sizeOf(endless, 200_000)).toBeGreaterThan(200_000)
    expect(read).toBeLessThan(3000)
  })

  it('does not follow a chain of objects by recursion', () => {
    let chain: object = {}
    for (let at = 0; at < 100_000; at++) chain = { chain }
    expect(sizeOf(chain)).toBeGreaterThan(100_000)
  })
})
