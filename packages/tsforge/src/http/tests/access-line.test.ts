import { expect, test } from 'vitest'
import { accessLine } from '../access-line.ts'

const facts = {
  now: 1_764_000_000_007,
  method: 'GET',
  route: '/notes/:id',
  path: '/notes/1',
  status: 200,
  durationMs: 1,
  bytes: 2,
  ip: '127.0.0.1',
  requestId: 'r1',
  actorId: null,
  tenantId: null,
  traceId: undefined,
  aborted: false,
}

test.each([0, 0.0004, 0.0005, 0.25, 1, 1.2345, 9.9996, 999.9996, 5000, 1_234_567.891])(
  'a duration of %d ms is told to the microsecond',
  (durationMs) => {
    const line = JSON.parse(accessLine({ ...facts, durationMs })) as { readonly duration_ms: number }
    expect(line.duration_ms).toBe(Math.round(durationMs * 1000) / 1000)
  },
)

test('hostile text leaves no mark on the line, whether the path is the route or not', () => {
  const hostile = '/\u001b[2J"\n\u2028'
  for (const route of ['/notes/:id', hostile]) {
    const line = accessLine({ ...facts, route, path: hostile })
    expect(line).toMatch(/^[\x20-\x7e]+\n$/)
    expect(JSON.parse(line)).toMatchObject({ route, path: hostile })
  }
})
