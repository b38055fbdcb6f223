import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { Lane } from '../lane.ts'
import { toldWire } from './told-wire.ts'

/** A server that answers when it is told to. */
function fixture(deadlineMs = 500) {
  const clock = createFakeClock()
  const { wire, waiting } = toldWire()
  let stalls = 0
  const lane = new Lane(wire, { clock, deadlineMs, onFault: () => {}, onStall: () => void stalls++ })
  const codes: string[] = []
  const send = (ms?: number): void =>
    void lane.send(['GET', 'a'], false, ms).then(
      () => codes.push('ok'),
      (error: { code: string }) => codes.push(error.code),
    )
  return { clock, lane, send, codes, answer: () => waiting.shift()?.resolve('x'), stalls: () => stalls }
}

describe('a lane', () => {
  it('cuts the connection when one answer is overdue, and fails all that is in flight', async () => {
    const { clock, send, codes, stalls, lane } = fixture()
    send()
    await clock.advance(300)
    send()
    expect(codes).toEqual([])
    await clock.advance(240)
    expect(codes).toEqual(['redis.timeout', 'redis.timeout'])
    expect(stalls()).toBe(1)
    expect(lane.inFlight).toBe(0)
    expect(clock.pending).toBe(0)
  })

  it('asks nothing of the clock while nothing is in flight', async () => {
    const { clock, send, codes, answer } = fixture()
    expect(clock.pending).toBe(0)
    send()
    answer()
    await clock.advance(100)
    expect(codes).toEqual(['ok'])
    expect(clock.pending).toBe(0)
  })

  it('lets a server that answers slowly but steadily be', async () => {
    const { clock, send, codes, answer, stalls } = fixture()
    for (let n = 0; n < 20; n++) {
      send()
      await clock.advance(200)
      if (n > 0) answer()
    }
    await clock.advance(20)
    expect(stalls()).toBe(0)
    expect(codes).toEqual(Array.from({ length: 19 }, () => 'ok'))
  })

  it('fails a command with a shorter deadline alone', async () => {
    const { clock, send, codes, answer, stalls } = fixture()
    send(50)
    send()
    await clock.advance(80)
    expect(codes).toEqual(['redis.timeout'])
    answer()
    answer()
    await clock.advance(20)
    expect(codes).toEqual(['redis.timeout', 'ok'])
    expect(stalls()).toBe(0)
  })

  it('gives a command its longer deadline, and that one only while it is in flight', async () => {
    const { clock, send, codes, answer, stalls } = fixture()
    send(2000)
    await clock.advance(1500)
    expect(codes).toEqual([])
    answer()
    await clock.advance(50)
    send()
    await clock.advance(540)
    expect(codes).toEqual(['ok', 'redis.timeout'])
    expect(stalls()).toBe(1)
  })

  it('does not blame the server for the time in which this process was busy', async () => {
    const { clock, send, codes, answer } = fixture()
    const real = clock.monotonic
    let busyMs = 0
    clock.monotonic = () => real() + busyMs
    send()
    await clock.advance(20)
    // Ten seconds without a turn of the loop: the answer may lie in the socket.
    busyMs = 10_000
    await clock.advance(20)
    expect(codes).toEqual([])
    answer()
    await clock.advance(20)
    expect(codes).toEqual(['ok'])
  })
})
