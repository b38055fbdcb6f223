import { expect, test } from 'vitest'
import { createMetrics } from '../metrics.ts'

/** The lines of one metric. */
function linesOf(text: string, name: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(name))
}

test('reads a collected counter at scrape time, and leaves it out when the reader throws', () => {
  const metrics = createMetrics()
  let count = 1
  const counter = metrics.counter('asked_total', { help: 'Asked', labelNames: ['result'] })
  counter.collect({ result: 'hit' }, () => count)
  counter.collect({ result: 'broken' }, () => {
    throw new Error('no')
  })
  expect(metrics.render()).toContain('asked_total{result="hit"} 1\n')
  count = 7
  expect(metrics.render()).toContain('asked_total{result="hit"} 7\n')
  expect(metrics.render()).not.toContain('broken')
})

test('a counter counts by labels, bound beforehand or not', () => {
  const metrics = createMetrics()
  const hits = metrics.counter('hits_total', { help: 'Hits.', labelNames: ['route', 'status'] })
  const bound = hits.labels({ route: '/a', status: '200' })
  bound.add()
  bound.add(2)
  hits.add(1, { status: '200', route: '/a' })
  hits.add(1, { route: '/b' })
  expect(linesOf(metrics.render(), 'hits_total')).toEqual([
    'hits_total{route="/a",status="200"} 4',
    'hits_total{route="/b",status=""} 1',
  ])
})

test('help, type and awkward label values are escaped as version 0.0.4 asks', () => {
  const metrics = createMetrics()
  metrics.counter('x_total', { help: 'a\\b\nc "d"', labelNames: ['v'] }).add(1, { v: 'a\\b\n"c"' })
  expect(metrics.render()).toContain(
    '# HELP x_total a\\\\b\\nc "d"\n# TYPE x_total counter\nx_total{v="a\\\\b\\n\\"c\\""} 1\n',
  )
})

test('a histogram is cumulative, ends in +Inf and counts a value on its bound', () => {
  const metrics = createMetrics()
  const sizes = metrics.histogram('size_bytes', { help: 'Sizes.', buckets: [1, 10] })
  for (const size of [0.5, 1, 2, 100]) sizes.observe(size)
  expect(linesOf(metrics.render(), 'size_bytes')).toEqual([
    'size_bytes_bucket{le="1"} 2',
    'size_bytes_bucket{le="10"} 3',
    'size_bytes_bucket{le="+Inf"} 4',
    'size_bytes_sum 103.5',
    'size_bytes_count 4',
  ])
})

test('a gauge is set, moved or read at scrape time, and a broken one costs only itself', () => {
  const metrics = createMetrics()
  const open = metrics.gauge('open', { help: 'Open.' })
  open.set(3)
  open.add(-1)
  metrics.gauge('read', { help: 'Read.', collect: () => Number.POSITIVE_INFINITY })
  metrics.gauge('broken', {
    help: 'Broken.',
    collect: () => {
      throw new Error('no')
    },
  })
  expect(metrics.render()).toContain('open 2\n')
  expect(metrics.render()).toContain('read +Inf\n')
  expect(linesOf(metrics.render(), 'broken')).toEqual([])
})

test('sets of labels beyond the bound share one series and are counted', () => {
  const metrics = createMetrics({ maxSeries: 2 })
  const hits = metrics.counter('hits_total', { help: 'Hits.', labelNames: ['path'] })
  for (const path of ['a', 'b', 'c', 'd', 'a']) hits.add(1, { path })
  const text = metrics.render()
  expect(linesOf(text, 'hits_total')).toEqual([
    'hits_total{path="a"} 2',
    'hits_total{path="b"} 1',
    'hits_total{path="other"} 2',
  ])
  expect(linesOf(text, 'forge_metrics_folded_total')).toEqual(['forge_metrics_folded_total{metric="hits_total"} 2'])
})

test('label values that look alike on the wire share a series', () => {
  const metrics = createMetrics()
  const hits = metrics.counter('hits_total', { help: 'Hits.', labelNames: ['v', 'w'] })
  hits.add(1, { v: '\ud800', w: '' })
  hits.add(1, { v: '\ud801', w: '' })
  hits.add(1, { v: 'other', w: 'other' })
  hits.add(1, { v: 'a', w: 'bc' })
  hits.add(1, { v: 'ab', w: 'c' })
  expect(linesOf(metrics.render(), 'hits_total')).toEqual([
    'hits_total{v="\ufffd",w=""} 2',
    'hits_total{v="a",w="bc"} 1',
    'hits_total{v="ab",w="c"} 1',
    'hits_total{v="other",w="other"} 1',
  ])
})

test('a bad value is dropped and counted, never thrown', () => {
  const metrics = createMetrics()
  metrics.counter('a_total', { help: 'A.' }).add(-1)
  metrics.counter('a_total', { help: 'A.' }).add(Number.NaN)
  metrics.histogram('b', { help: 'B.' }).observe(Number.NaN)
  const text = metrics.render()
  expect(text).toContain('\na_total 0\n')
  expect(text).toContain('b_count 0\n')
  expect(text).toContain('forge_metrics_rejected_total{metric="a_total"} 2\n')
})

test('the same name is the same metric, and cannot change its kind, labels or collide', () => {
  const metrics = createMetrics()
  metrics.counter('a_total', { help: 'A.' }).add()
  metrics.counter('a_total', { help: 'A.' }).add()
  expect(metrics.render()).toContain('\na_total 2\n')
  expect(() => metrics.gauge('a_total', { help: 'A.' })).toThrow(/exists already/)
  expect(() => metrics.counter('a_total', { help: 'A.', labelNames: ['x'] })).toThrow(/exists already/)
  metrics.histogram('h', { help: 'H.' })
  expect(() => metrics.counter('h_count', { help: 'H.' })).toThrow(/second time/)
})

test.each(['', '1a', 'a-b', 'a b', 'ä'])('%j is no metric name', (name) => {
  expect(() => createMetrics().counter(name, { help: '' })).toThrow(/no metric name/)
})

test('labels are checked by name', () => {
  const metrics = createMetrics()
  expect(() => metrics.counter('a_total', { help: '', labelNames: ['__name__'] })).toThrow(/cannot be a label/)
  expect(() => metrics.histogram('b', { help: '', labelNames: ['le'] })).toThrow(/cannot be a label/)
  expect(() => metrics.counter('c_total', { help: '', labelNames: ['x', 'x'] })).toThrow(/twice/)
  expect(() => metrics.counter('d_total', { help: '', labelNames: ['x'] }).labels({ y: '1' })).toThrow(/no label "y"/)
  expect(() => metrics.counter('e_total', { help: '' }).add(1, { y: '1' })).toThrow(/no label "y"/)
  expect(() => metrics.histogram('f', { help: '', buckets: [2, 1] })).toThrow(/ascending/)
})
