import { expect, test } from 'vitest'
import { createFakeClock } from '../clock.ts'

test('timers run at their moment and in order, also those that timers start', async () => {
  const clock = createFakeClock(1000)
  const seen: string[] = []
  const note = (name: string) => () => void seen.push(`${name}@${clock.now()}`)
  clock.after(30, note('c'))
  clock.after(10, () => {
    note('a')()
    clock.after(10, note('b'))
  })
  clock.after(30, note('d'))
  await clock.advance(29)
  expect(seen).toEqual(['a@1010', 'b@1020'])
  await clock.advance(1)
  expect(seen).toEqual(['a@1010', 'b@1020', 'c@1030', 'd@1030'])
  expect(clock.monotonic()).toBe(30)
})

test('what a sleep wakes settles before time goes on', async () => {
  const clock = createFakeClock()
  const times: number[] = []
  void (async () => {
    for (let i = 0; i < 3; i++) {
      await clock.sleep(10)
      times.push(clock.monotonic())
    }
  })()
  await clock.advance(100)
  expect(times).toEqual([10, 20, 30])
})

test('time passes until a promise settles, and no longer', async () => {
  const clock = createFakeClock()
  const inTurn = (async () => {
    await clock.sleep(15)
    await new Promise((resolve) => setTimeout(resolve, 5))
    await clock.sleep(15)
    return 'done'
  })()
  expect(await clock.advanceUntil(inTurn)).toBe('done')
  const after = clock.monotonic()
  expect(after).toBeGreaterThanOrEqual(30)
  await expect(clock.advanceUntil(Promise.reject(new Error('no')))).rejects.toThrow('no')
  await new Promise((resolve) => setImmediate(resolve))
  expect(clock.monotonic() - after).toBeLessThanOrEqual(10)
})

test('an interval repeats until it is cancelled', async () => {
  const clock = createFakeClock()
  let runs = 0
  const timer = clock.every(10, () => {
    if (++runs === 3) timer.cancel()
  })
  await clock.advance(1000)
  expect([runs, clock.pending]).toEqual([3, 0])
})

test('an aborted sleep rejects with the reason and leaves nothing behind', async () => {
  const clock = createFakeClock()
  const controller = new AbortController()
  const sleep = clock.sleep(10, controller.signal)
  controller.abort(new Error('enough'))
  await expect(sleep).rejects.toThrow('enough')
  await expect(clock.sleep(10, controller.signal)).rejects.toThrow('enough')
  expect(clock.pending).toBe(0)
})

test('a jump of the wall clock moves no timer', async () => {
  const clock = createFakeClock(0)
  let ran = false
  clock.after(10, () => (ran = true))
  clock.jump(1e12)
  await clock.advance(9)
  expect([clock.now(), ran]).toEqual([1e12 + 9, false])
})

test('what a timer throws reaches the test', async () => {
  const clock = createFakeClock()
  clock.after(1, () => {
    throw new Error('broken timer')
  })
  await expect(clock.advance(1)).rejects.toThrow('broken timer')
})
