import { expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { idempotencyContract } from '../contract.ts'
import { memory } from '../drivers/memory.ts'

idempotencyContract({
  name: 'memory',
  create: () => {
    const clock = createFakeClock()
    const driver = memory({ clock })
    return { driver, elapse: (ms) => clock.advance(ms), close: () => driver.close() }
  },
})

it('refuses new keys when it is full of living ones, and takes them again when those have had their time', async () => {
  const clock = createFakeClock()
  const driver = memory({ clock, maxKeys: 2 })
  const claim = { token: 't', request: 'r', leaseMs: 1_000, ttlMs: 10_000 }
  await driver.claim('a', claim)
  await driver.claim('b', claim)
  await expect(driver.claim('c', claim)).rejects.toMatchObject({ code: 'idempotency.full' })
  expect(await driver.claim('a', claim)).toMatchObject({ state: 'running' })
  await clock.advance(10_001)
  expect(await driver.claim('c', claim)).toEqual({ state: 'claimed' })
})
