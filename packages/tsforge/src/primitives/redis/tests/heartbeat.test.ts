import { expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { keepAwake } from '../heartbeat.ts'
import { toldWire } from './told-wire.ts'

/** A connection that answers when it is told to, on a clock whose timers a busy process runs late. */
function fixture() {
  const clock = createFakeClock()
  let turn = (): void => {}
  let deaths = 0
  const { wire, waiting } = toldWire()
  const every: typeof clock.every = (ms, fn) => clock.every(ms, (turn = fn))
  const stop = keepAwake(wire, { ...clock, every }, 500, () => void deaths++)
  return {
    clock,
    stop,
    asked: () => waiting.length,
    answer: () => waiting.at(-1)?.resolve('PONG'),
    late: () => turn(),
    deaths: () => deaths,
  }
}

it('a connection that does not answer before it would be asked again is dead, which is told once', async () => {
  const { clock, asked, answer, deaths } = fixture()
  await clock.advance(1000)
  expect([asked(), deaths()]).toEqual([1, 0])
  answer()
  await clock.advance(1999)
  expect([asked(), deaths()]).toEqual([2, 0])
  await clock.advance(1)
  expect([asked(), deaths()]).toEqual([2, 1])
  expect(clock.pending).toBe(0)
})

it('the time in which this process stood still is not the server’s: its answer lies in the socket', async () => {
  const { clock, stop, asked, answer, late, deaths } = fixture()
  await clock.advance(1000)
  expect(asked()).toBe(1)
  // However long it stood, it finds one timer that is due, before it has read anything.
  late()
  expect(deaths()).toBe(0)
  answer()
  await clock.advance(1000)
  expect([asked(), deaths()]).toEqual([2, 0])
  stop()
  expect(clock.pending).toBe(0)
})
