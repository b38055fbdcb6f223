import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../testing/clock.ts'
import { createLifecycle, inOrder } from '../lifecycle.ts'
import type { Part } from '../lifecycle.ts'
import { silentLog } from '../log.ts'

const never = (): Promise<void> => new Promise(() => {})

function setup(parts: readonly Part[], stopTimeoutMs = 1000) {
  const clock = createFakeClock()
  return { clock, life: createLifecycle(parts, { clock, log: silentLog, stopTimeoutMs }) }
}

/** A part that notes what happens to it. */
function noting(seen: string[], name: string, needs: readonly string[] = [], own: Partial<Part> = {}): Part {
  const note = (phase: string) => (): void => void seen.push(`${phase} ${name}`)
  return { name, needs, start: note('start'), drain: note('drain'), stop: note('stop'), ...own }
}

test('parts start behind their needs, drain and then stop in reverse', async () => {
  const seen: string[] = []
  const { life } = setup([noting(seen, 'http', ['jobs', 'db']), noting(seen, 'jobs', ['db']), noting(seen, 'db')])
  await life.start()
  expect(await life.stop()).toEqual({ late: [], failed: [] })
  expect(seen).toEqual([
    'start db',
    'start jobs',
    'start http',
    'drain http',
    'drain jobs',
    'drain db',
    'stop http',
    'stop jobs',
    'stop db',
  ])
})

test('parts without needs keep their order', () => {
  expect(inOrder([{ name: 'b' }, { name: 'a', needs: ['c'] }, { name: 'c' }]).map((part) => part.name)).toEqual([
    'b',
    'c',
    'a',
  ])
})

describe('at boot', () => {
  test.each([
    [[{ name: 'a', needs: ['x'] }], '"a" needs "x", which the app does not have.'],
    [
      [
        { name: 'a', needs: ['b'] },
        { name: 'b', needs: ['c'] },
        { name: 'c', needs: ['b'] },
      ],
      'Parts need each other in a circle: b → c → b.',
    ],
    [[{ name: 'a', needs: ['a'] }], 'Parts need each other in a circle: a → a.'],
    [[{ name: 'a' }, { name: 'a' }], 'Two parts are called "a".'],
  ])('%j is refused', (parts, message) => {
    expect(() => setup(parts)).toThrow(message)
  })
})

test('when a part fails to start, those that run are stopped in reverse and the failure is thrown', async () => {
  const seen: string[] = []
  const failing = noting(seen, 'c', [], { start: () => Promise.reject(new Error('no port')) })
  const { life } = setup([noting(seen, 'a'), noting(seen, 'b'), failing, noting(seen, 'd')])
  await expect(life.start()).rejects.toThrow('no port')
  expect(seen).toEqual(['start a', 'start b', 'stop b', 'stop a'])
})

test('stopping twice stops once', async () => {
  const seen: string[] = []
  const { life } = setup([noting(seen, 'a')])
  await life.start()
  const [first, second] = [life.stop(), life.stop()]
  expect(first).toBe(second)
  await first
  expect(seen).toEqual(['start a', 'drain a', 'stop a'])
})

test('parts that hang are named and left behind, the others get their turn, and the total is kept', async () => {
  const seen: string[] = []
  const aborted: string[] = []
  const hang = (phase: string) => (signal: AbortSignal) => {
    signal.addEventListener('abort', () => aborted.push(phase))
    return never()
  }
  const { life, clock } = setup([
    noting(seen, 'a'),
    noting(seen, 'stuck', [], { drain: hang('drain'), stop: hang('stop') }),
    noting(seen, 'c'),
  ])
  await life.start()
  let report: unknown
  const stopping = life.stop().then((value) => (report = value))
  await clock.advance(1000)
  expect(report).toEqual({ late: ['stuck: drain', 'stuck: stop'], failed: [] })
  expect(seen).toContain('stop a')
  expect(aborted).toEqual(['drain', 'stop'])
  await stopping
  expect(clock.pending).toBe(0)
})

test('even when every part hangs the total is kept', async () => {
  const parts = Array.from({ length: 20 }, (_, i) => ({ name: `p${i}`, drain: never, stop: never }))
  const { life, clock } = setup(parts)
  await life.start()
  let done = false
  void life.stop().then(() => (done = true))
  await clock.advance(999)
  await clock.advance(1)
  expect(done).toBe(true)
})

test('a part that fails to stop is reported and does not keep the others from stopping', async () => {
  const seen: string[] = []
  const { life } = setup([
    noting(seen, 'a'),
    noting(seen, 'b', [], {
      stop: () => {
        throw new Error('no')
      },
    }),
  ])
  await life.start()
  expect(await life.stop()).toEqual({ late: [], failed: ['b: stop'] })
  expect(seen.at(-1)).toBe('stop a')
})

test('a stop during the start waits for the part that is starting, and nothing further starts', async () => {
  const seen: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const slow = noting(seen, 'slow', [], {
    start: async () => {
      await promise
      seen.push('start slow')
    },
  })
  const { life, clock } = setup([slow, noting(seen, 'next')])
  const starting = life.start()
  const refused = expect(starting).rejects.toMatchObject({ code: 'lifecycle.stopping' })
  const stopping = life.stop()
  await clock.advance(100)
  resolve()
  await stopping
  await refused
  expect(seen).toEqual(['start slow', 'drain slow', 'stop slow'])
})

test('a start that hangs does not keep the rest from stopping, and is undone when it comes back', async () => {
  const seen: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const { life, clock } = setup([noting(seen, 'a'), noting(seen, 'hung', [], { start: () => promise })])
  const refused = expect(life.start()).rejects.toMatchObject({ code: 'lifecycle.stopping' })
  await clock.advance(0)
  const stopping = life.stop()
  await clock.advance(1000)
  expect(await stopping).toEqual({ late: [], failed: [], interrupted: 'hung' })
  expect(seen).toEqual(['start a', 'drain a', 'stop a'])
  resolve()
  await refused
  expect(seen.at(-1)).toBe('stop hung')
})
