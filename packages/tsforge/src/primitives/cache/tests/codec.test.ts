import { describe, expect, it } from 'vitest'
import { createCodec } from '../codec.ts'
import type { CacheEntry } from '../driver.ts'

const entry = (value: unknown, more: Partial<CacheEntry> = {}): CacheEntry => {
  return { value, freshMs: 1000, staleMs: 0, eagerMs: 0, tags: [], ...more }
}
let corrupt = 0
const codec = createCodec({ maxBytes: 10_000, onCorrupt: () => corrupt++ })
const back = (value: unknown): unknown => codec.decode(codec.encode(entry(value)), 1000)?.value

describe('the codec', () => {
  it('keeps times, tags and versions', () => {
    const bytes = codec.encode(entry('v', { staleMs: 5000, eagerMs: 200, tags: ['a', 'ü"\\'] }), ['1', '2'])
    expect(codec.decode(bytes, 6000)).toStrictEqual({
      value: 'v',
      freshMs: 1000,
      staleMs: 5000,
      eagerMs: 200,
      tags: ['a', 'ü"\\'],
      versions: ['1', '2'],
    })
  })

  it('writes whole numbers as text, so that a server can count', () => {
    expect(codec.encode(entry(-42)).toString()).toBe('-42')
    expect(codec.decode(Buffer.from('43'), 7)).toMatchObject({ value: 43, freshMs: 7 })
    for (const other of [entry(1.5), entry(-0), entry(1, { tags: ['t'] }), entry(1, { staleMs: 1 }), entry(2 ** 60)])
      expect(codec.encode(other).toString('latin1')).toMatch(/^FC/)
    expect(back(-0)).toBe(-0)
    expect(back('42')).toBe('42')
  })

  it('gives back what JSON would lose', () => {
    const cyclic: Record<string, unknown> = { date: new Date(5), none: undefined, map: new Map([[{}, 1n]]), re: /x/g }
    cyclic.self = cyclic
    const found = back(cyclic) as typeof cyclic
    expect(found).toStrictEqual(cyclic)
    expect(found.self).toBe(found)
    expect(back(undefined)).toBeUndefined()
    const sparse: unknown[] = []
    sparse[1] = 1
    expect(back(sparse)).toStrictEqual(sparse)
    expect(back(JSON.parse('{"__proto__":{"admin":true}}'))).toStrictEqual(JSON.parse('{"__proto__":{"admin":true}}'))
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
    expect(Buffer.isBuffer(back(Buffer.from('x')))).toBe(true)
  })

  it.each([
    ['a function', () => {}],
    ['a symbol', Symbol('x')],
    [
      'a class instance',
      new (class Money {
        amount = 1
      })(),
    ],
    ['one within a map', new Map([['a', new URL('http://localhost')]])],
    ['one within a set', new Set([[new Error('x')]])],
    ['a promise', Promise.resolve(1)],
    ['a date with methods of its own', new (class extends Date {})()],
    [
      'an object whose toJSON throws',
      {
        date: new Date(),
        toJSON: () => {
          throw new Error('no')
        },
      },
    ],
  ])('refuses %s, which would come back as something else', (_, value) => {
    expect(() => codec.encode(entry(value))).toThrow(expect.objectContaining({ code: 'cache.not_serializable' }))
  })

  it('refuses what is too large', () => {
    expect(() => codec.encode(entry('x'.repeat(10_001)))).toThrow(
      expect.objectContaining({ code: 'cache.value_too_large' }),
    )
  })

  it('takes damaged bytes for a miss, whichever one is damaged', () => {
    for (const value of [{ plain: 'text' }, { at: new Date(5) }]) {
      const good = codec.encode(entry(value, { tags: ['t'], staleMs: 70 }), ['v1'])
      for (let at = 0; at < good.length; at++) {
        for (const bit of [1, 16, 128]) {
          const bad = Buffer.from(good)
          bad[at]! ^= bit
          const before = corrupt
          expect(codec.decode(bad, 1000)?.value ?? 'miss').toBe('miss')
          expect(corrupt).toBe(before + 1)
        }
        expect(codec.decode(good.subarray(0, at), 1000)).toBeUndefined()
      }
      expect(codec.decode(Buffer.concat([good, Buffer.from('x')]), 1000)).toBeUndefined()
    }
  })

  it.each(['', '{}', 'null', 'FC', '-', '1.5', '99999999999999999', '12abc', 'FC\u0002........................'])(
    'takes foreign bytes for a miss: %j',
    (text) => {
      expect(codec.decode(Buffer.from(text), 1000)).toBeUndefined()
    },
  )
})
