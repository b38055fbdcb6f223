import { createFakeClock } from '../../../testing/clock.ts'
import { cacheContract } from '../contract.ts'
import { memory } from '../drivers/memory.ts'

const clock = createFakeClock()
cacheContract({ name: 'memory', create: () => memory(), clock, pass: (ms) => clock.advance(ms) })
