import { createFakeClock } from '../../../testing/clock.ts'
import { ratelimitContract } from '../contract.ts'
import { leased } from '../drivers/leased.ts'
import { termsOf } from '../drivers/leased/terms.ts'
import { memory } from '../drivers/memory.ts'

ratelimitContract({
  name: 'leased over memory',
  atOnce: (rule) => termsOf(rule)?.rule.burst ?? rule.burst,
  create: () => {
    const clock = createFakeClock()
    const store = memory({ clock })
    return {
      driver: leased(store, { clock }),
      another: leased(store, { clock }),
      pass: (ms) => clock.advance(ms),
    }
  },
})
