import { expect, it } from 'vitest'
import { createFakeClock } from '../../testing/clock.ts'
import { silentLog } from '../log.ts'
import { startPeriodic } from '../periodic.ts'

it('runs one at a time, goes on after a failure, and stops behind the run under way', async () => {
  const clock = createFakeClock()
  const gates: PromiseWithResolvers<void>[] = []
  const signals: AbortSignal[] = []
  const stop = startPeriodic(
    (signal) => {
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      signals.push(signal)
      return gate.promise
    },
    { clock, log: silentLog, everyMs: 1000, failure: 'failed' },
  )
  await clock.advance(999)
  expect(gates).toHaveLength(0)
  await clock.advance(5000)
  expect(gates).toHaveLength(1)
  gates[0]!.reject(new Error('no'))
  await clock.advance(1000)
  expect(gates).toHaveLength(2)
  let stopped = false
  const stopping = stop().then(() => (stopped = true))
  await clock.advance(5000)
  expect(stopped).toBe(false)
  expect(signals[1]!.aborted).toBe(true)
  gates[1]!.resolve()
  await stopping
  await clock.advance(5000)
  expect(gates).toHaveLength(2)
})
