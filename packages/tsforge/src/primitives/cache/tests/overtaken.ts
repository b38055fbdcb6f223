import { expect } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { createCodec } from '../codec.ts'
import type { CacheDriver } from '../driver.ts'

/** Asserts that `far`, whose way to the store takes long, keeps nothing whose tag `near` invalidated during the load. */
export async function keepsNothingOvertaken(far: CacheDriver, near: CacheDriver): Promise<void> {
  const parts = { clock: systemClock, codec: createCodec({ maxBytes: 1000 }), invalidated: () => {}, failed: () => {} }
  await Promise.all([far.start?.(parts), near.start?.(parts)])
  const entry = { value: 'old', freshMs: 60_000, staleMs: 0, eagerMs: 0, tags: ['on its way'] }
  const began = systemClock.monotonic()
  await near.invalidateTags('way::', ['on its way'])
  expect(await far.set('way::', 'a', entry, { loadedForMs: systemClock.monotonic() - began })).toBe(false)
  expect(await near.get('way::', 'a')).toBeUndefined()
}
