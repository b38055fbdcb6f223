import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BoundedMap } from '../bounded-map.ts'

test('keeps what is asked for and drops what is not', () => {
  const map = new BoundedMap<number>({ entries: 100 })
  for (let i = 0; i < 100; i++) map.set(`k${i}`, i)
  for (let round = 0; round < 50; round++) {
    map.get('k7')
    for (let i = 0; i < 20; i++) map.set(`scan${round}.${i}`, i)
  }
  expect(map.get('k7')).toBe(7)
  expect(map.get('k8')).toBeUndefined()
  expect(map.size).toBe(100)
})

test('holds nothing when it may not, nor what is too heavy alone', () => {
  const none = new BoundedMap<number>({ entries: 0 })
  none.set('a', 1)
  expect(none.size).toBe(0)
  const light = new BoundedMap<number>({ entries: 10, weight: 5 })
  light.set('a', 1, 3)
  light.set('b', 2, 6)
  expect([light.get('a'), light.get('b'), light.weight]).toEqual([1, undefined, 3])
  light.set('a', 3, 6)
  expect([light.get('a'), light.size, light.weight]).toEqual([undefined, 0, 0])
})

test('stays within its bounds and tells of every entry that leaves, whatever is done to it', () => {
  const action = fc.oneof(
    fc.record({ do: fc.constant('set' as const), key: fc.nat({ max: 12 }), weight: fc.nat({ max: 9 }) }),
    fc.record({ do: fc.constantFrom('get' as const, 'delete' as const), key: fc.nat({ max: 12 }) }),
    fc.record({ do: fc.constant('clear' as const), key: fc.constant(0) }),
  )
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const held = new Map<object, string>()
      const map = new BoundedMap<object>({
        entries: 6,
        weight: 20,
        onRemove: (key, value) => {
          expect(held.get(value)).toBe(key)
          held.delete(value)
        },
      })
      const weights = new Map<object, number>()
      for (const a of actions) {
        const key = `k${a.key}`
        if (a.do === 'set') {
          const value = {}
          weights.set(value, a.weight)
          held.set(value, key)
          if (!map.set(key, value, a.weight)) held.delete(value)
        } else if (a.do === 'clear') map.clear()
        else map[a.do](key)
        expect([...map]).toEqual([...map].filter(([k, value]) => held.get(value) === k))
        expect(map.size).toBeLessThanOrEqual(6)
        expect(map.weight).toBe([...map].reduce((sum, [, value]) => sum + weights.get(value)!, 0))
        expect(map.weight).toBeLessThanOrEqual(20)
        expect(held.size).toBe(map.size)
      }
    }),
  )
})

test('a hit changes no order, so that one hot key costs no more than many', () => {
  const map = new BoundedMap<number>({ entries: 3 })
  for (const key of ['a', 'b', 'c']) map.set(key, 1)
  for (let i = 0; i < 10; i++) map.get('a')
  expect([...map].map(([key]) => key)).toEqual(['a', 'b', 'c'])
})
