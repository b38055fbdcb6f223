import { describe, expect, it } from 'vitest'
import { reaches } from '../bench.ts'
import { claim, median } from '../statistics.ts'
import { tableOf } from '../table.ts'

describe('claims', () => {
  it('take the middle of the ratios of the rounds, not the ratio of the middles', () => {
    expect(claim('http.healthz.raw', [50, 10, 30], [100, 10, 20])).toEqual({
      claim: 'http.healthz.raw',
      ratio: 1,
      min: 0.5,
      max: 1.5,
      rounds: 3,
    })
  })
  it('refuse a round without a result', () => {
    expect(() => claim('http.me.raw', [1, 2], [1])).toThrow('a round has no result')
    expect(() => claim('http.me.raw', [1], [0])).toThrow('a round has no result')
  })
  it('know the middle of an even number of values', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
  })
  it('reach a bar on the right side of it', () => {
    expect([
      reaches(0.52, { atLeast: 0.52 }),
      reaches(0.51, { atLeast: 0.52 }),
      reaches(1.3, { atMost: 1.3 }),
      reaches(1.31, { atMost: 1.3 }),
    ]).toEqual([true, false, true, false])
  })
  it('become rows that name the rival', () => {
    const claims = [{ claim: 'http.healthz.hono_set', ratio: 4, min: 3.5, max: 4.5, rounds: 7 }]
    expect(tableOf({ http: { date: '2026-01-01', machine: 'm', node: 'v24', generator: 'wrk', claims } })).toContain(
      '| `GET /healthz`, requests per second | Hono, comparable set | **4** | 3.5 – 4.5 |',
    )
  })
})
