import { eventsContract } from '../contract.ts'
import { memory } from '../drivers/memory.ts'
import type { EventsDriver, Tx } from '../driver.ts'
import { inMemory } from './tx.ts'

eventsContract({
  name: 'memory',
  create: async () => {
    let now = 1_800_000_000_000
    const tx = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => inMemory(work)
    const open = (): EventsDriver => memory({ clock: { now: () => now }, db: { tx } })
    let driver = open()
    // The contract keeps the driver that it got; each test gets an empty one behind it.
    const front = new Proxy({} as EventsDriver, {
      get: (_, key) => {
        const value: unknown = Reflect.get(driver, key)
        return typeof value === 'function' ? value.bind(driver) : value
      },
    })
    return {
      driver: front,
      tx,
      pass: async (ms) => void (now += ms),
      clear: async () => void (driver = open()),
      close: async () => {},
    }
  },
})
