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

it('what waits beside the log is handled once, also when its holder was killed before its place had passed it', async () => {
  await using store = lab()
  await store.emit(1, 2, [3, 'a'], [4, 'a'], 5, [6, 'a'])
  await store.driver.declare([{ name: 's', from: 'start' }])
  const [killed] = await store.driver.claim(['s'], 'killed process', leaseMs)
  const { cursor } = killed!
  const { events } = await store.driver.read({ after: cursor, limit: 10 })
  const [, two, three, four, five] = events
  // It was at 1 when it was killed.
  const park = [
    { event: two!, attempt: 1, delayMs: 0, dead: false },
    { event: three!, attempt: 1, delayMs: 3 * leaseMs, dead: false },
    { event: four!, attempt: 0, delayMs: 0, dead: false },
    { event: five!, attempt: 1, delayMs: 3 * leaseMs, dead: false },
  ]
  await store.driver.settle(killed!, { cursor, park, retried: [] })
  const seen: string[] = []
  const handler = (
    { data }: { readonly data: { readonly n: number } },
    { attempt }: { readonly attempt: number },
  ): void => void seen.push(`${data.n}.${attempt}`)
  store.dispatch([subscribe({ name: 's', to: happened, handler })], { options: { leaseMs } })
  for (let beat = 0; beat < 6; beat++) await store.clock.advance(leaseMs / 3)
  expect(seen.toSorted()).toEqual(['1.1', '2.2'])
  for (let beat = 0; beat < 9; beat++) await store.clock.advance(leaseMs / 3)
  expect(seen.toSorted()).toEqual(['1.1', '2.2', '3.2', '4.1', '5.2', '6.1'])
  expect(seen.filter((each) => /^[346]/.test(each))).toEqual(['3.2', '4.1', '6.1'])
  expect(await store.events.subscriptions()).toMatchObject([{ waiting: 0, dead: 0, lag: 0 }])
})
