import { createFakeClock } from '../../../testing/clock.ts'
import { ratelimitContract } from '../contract.ts'
import { memory } from '../drivers/memory.ts'

ratelimitContract({
  name: 'memory',
  create: () => {
    const clock = createFakeClock()
    return { driver: memory({ clock }), pass: (ms) => clock.advance(ms) }
  },
})
