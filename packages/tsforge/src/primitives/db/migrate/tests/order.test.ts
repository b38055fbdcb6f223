import { describe, expect, it } from 'vitest'
import { orderSources } from '../order.ts'

const source = (module: string, ...after: string[]) => ({ module, directory: '/', after })
const names = (...sources: ReturnType<typeof source>[]) => orderSources(sources).map(({ module }) => module)

describe('orderSources', () => {
  it('puts a module behind those that it comes after, and leaves the rest where it was', () => {
    expect(names(source('d', 'b'), source('c'), source('b', 'a'), source('a'))).toEqual(['a', 'b', 'd', 'c'])
    expect(names(source('z'), source('y'), source('x'))).toEqual(['z', 'y', 'x'])
  })

  it('names the circle', () => {
    expect(() => names(source('a', 'b'), source('b', 'c'), source('c', 'b'))).toThrow('b → c → b')
  })

  it('refuses twins and unknown names', () => {
    expect(() => names(source('a'), source('a'))).toThrow('listed twice')
    expect(() => names(source('a', 'ghost'))).toThrow('"ghost"')
  })
})
