import { expect, it } from 'vitest'
import type { EventsDriver } from '../../driver.ts'
import { subscribe } from '../../subscribe.ts'
import { happened, lab } from './lab.ts'

const leaseMs = 9000

it('a subscription that is claimed while leases are renewed is handled all the same, once', async () => {
  const asked = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  await using store = lab((driver) => {
    const renew = driver.renew.bind(driver)
    let first = true
    return Object.assign(driver, {
      renew: async (...args: Parameters<EventsDriver['renew']>) => {
        const held = await renew(...args)
        if (!first) return held
        first = false
        asked.resolve()
        // On its way back the answer grows old.
        await gate.promise
        return held
      },
    })
  })
  const seen: number[] = []
  await store.driver.declare([{ name: 's', from: 'start' }])
  const [theirs] = await store.driver.claim(['s'], 'another process', 60_000)
  const handler = ({ data }: { readonly data: { readonly n: number } }): void => void seen.push(data.n)
  const dispatcher = store.dispatch([subscribe({ name: 's', to: happened, handler })], { options: { leaseMs } })
  await store.emit(1)
  await store.clock.advance(leaseMs / 3)
  await asked.promise
  await store.driver.release([theirs!])
  await store.settle()
  gate.resolve()
  await store.settle()
  expect(dispatcher.status.held).toEqual(['s'])
  await store.emit(2)
  await store.settle()
  for (let beat = 0; beat < 6; beat++) await store.clock.advance(leaseMs / 3)
  expect(seen).toEqual([1, 2])
})

it('a subscription whose claim was never heard of is not kept from everybody', async () => {
  await using store = lab((driver) => {
    const claim = driver.claim.bind(driver)
    let first = true
    return Object.assign(driver, {
      claim: async (...args: Parameters<EventsDriver['claim']>) => {
        const leases = await claim(...args)
        if (!first) return leases
        first = false
        throw new Error('the connection is gone')
      },
    })
  })
  const seen: number[] = []
  const handler = ({ data }: { readonly data: { readonly n: number } }): void => void seen.push(data.n)
  store.dispatch([subscribe({ name: 's', to: happened, from: 'start', handler })], { options: { leaseMs } })
  await store.emit(1)
  for (let beat = 0; beat < 3; beat++) await store.clock.advance(leaseMs / 3)
  expect(seen).toEqual([1])
})
