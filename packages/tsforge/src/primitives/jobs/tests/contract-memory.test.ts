import { jobsContract } from '../contract.ts'
import type { JobsDriver } from '../driver.ts'
import { memory } from '../drivers/memory.ts'

jobsContract({
  name: 'memory',
  create: async () => {
    let now = 1_800_000_000_000
    let driver = memory({ clock: { now: () => now } })
    // The contract keeps the driver that it got; each test gets an empty one behind it.
    const front = new Proxy({} as JobsDriver, {
      get: (_, key) => {
        const value: unknown = Reflect.get(driver, key)
        return typeof value === 'function' ? value.bind(driver) : value
      },
    })
    return {
      driver: front,
      pass: async (ms) => void (now += ms),
      clear: async () => void (driver = memory({ clock: { now: () => now } })),
      close: async () => {},
    }
  },
})
