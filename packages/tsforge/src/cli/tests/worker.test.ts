import { expect, it } from 'vitest'
import { working } from '../commands/worker.ts'

it('runs jobs and delivers events where the environment says that servers leave both to workers', () => {
  const options = {
    host: { secret: 's' },
    jobs: { worker: 'off', pollMs: 5 },
    events: { dispatcher: 'off', leaseMs: 7 },
  }
  expect(working(options)).toEqual({
    host: { secret: 's' },
    jobs: { worker: 'on', pollMs: 5 },
    events: { dispatcher: 'on', leaseMs: 7 },
  })
  expect(working({ host: {} })).toEqual({ host: {} })
})
