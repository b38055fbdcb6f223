import { describe, expect, it } from 'vitest'
import { Combiner } from '../combine.ts'

/** Asks that are answered when the test says so, with ten times what was asked. */
function lab(most = 10) {
  const asked: { key: string; asks: readonly number[]; answer(): void; fail(error: Error): void }[] = []
  const combiner = new Combiner<number, number>(
    (key, asks) =>
      new Promise((resolve, reject) =>
        asked.push({ key, asks, answer: () => resolve(asks.map((ask) => ask * 10)), fail: reject }),
      ),
    most,
  )
  return { asked, combiner }
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('asks of one key', () => {
  it('go at once when nothing is under way, and together behind what is', async () => {
    const { asked, combiner } = lab()
    const answers = Promise.all([1, 2, 3].map((ask) => combiner.ask('a', ask)))
    const other = combiner.ask('b', 9)
    expect(asked.map(({ key, asks }) => [key, asks])).toEqual([
      ['a', [1]],
      ['b', [9]],
    ])
    asked[0]!.answer()
    asked[1]!.answer()
    await settled()
    expect(asked[2]!.asks).toEqual([2, 3])
    asked[2]!.answer()
    expect(await answers).toEqual([10, 20, 30])
    expect(await other).toBe(90)
    void combiner.ask('a', 4)
    expect(asked[3]!.asks).toEqual([4])
  })

  it('share a failure, which those behind them do not', async () => {
    const { asked, combiner } = lab(2)
    const answers = Promise.allSettled([1, 2, 3, 4].map((ask) => combiner.ask('a', ask)))
    asked[0]!.answer()
    await settled()
    expect(asked[1]!.asks).toEqual([2, 3])
    asked[1]!.fail(new Error('gone'))
    await settled()
    asked[2]!.answer()
    expect((await answers).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
  })
})
