import { closeSync, openSync, readSync } from 'node:fs'
import { personId } from './database.ts'
import { order } from './requests.ts'
import { sign } from './tokens.ts'
import type { Server } from './processes.ts'

/** What a server claims to do: `bare` answers right, `set` has the whole production set on. */
export type Extent = 'bare' | 'set'

const origin = 'https://app.example.com'
/** Headers that every answer of a whole set has, in one form or another. */
const policy = ['content-security-policy', 'x-content-type-options', 'referrer-policy', 'x-frame-options']

/**
 * A server that does less is no rival: throws with everything that it does not do. Checked before anything is measured.
 */
export async function checkAnswers(server: Server, extent: Extent, token: string, metricsToken: string): Promise<void> {
  const faults: string[] = []
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${server.port}${path}`, init)
  const expect = (what: string, holds: boolean): void => void (holds || faults.push(what))
  const authorization = { authorization: `Bearer ${token}` }
  const json = { 'content-type': 'application/json' }

  const health = await ask('/healthz', { headers: { origin, 'x-request-id': 'bench-check-1' } })
  expect(
    '/healthz answers 200 with its status',
    health.status === 200 && dataOf(await health.json())['status'] === 'ok',
  )
  const me = await ask('/me', { headers: authorization })
  const person = dataOf(await me.json())
  expect(
    '/me answers the row of the token',
    me.status === 200 &&
      /^Person \d+$/.test(String(person['name'])) &&
      Number.isFinite(Date.parse(String(person['created_at']))),
  )
  expect('/me is the row of its key', String(person['id']).startsWith(personId(0).slice(0, 24)))
  expect('/me without a token answers 401', (await ask('/me')).status === 401)
  const forged = `Bearer ${sign(personId(1), 'another-key-0123456789abcdef0123456789')}`
  expect(
    '/me with a forged token answers 401',
    (await ask('/me', { headers: { authorization: forged } })).status === 401,
  )
  const echo = await ask('/echo', { method: 'POST', headers: json, body: JSON.stringify(order) })
  expect('/echo answers the order', echo.status === 200 && sameJson(dataOf(await echo.json()), order))
  for (const [what, bad] of badOrders()) {
    const { status } = await ask('/echo', { method: 'POST', headers: json, body: JSON.stringify(bad) })
    expect(`/echo with ${what} answers 400 or 422, not ${status}`, status === 400 || status === 422)
  }
  if (extent === 'set') {
    for (const name of policy) expect(`/healthz has ${name}`, health.headers.has(name))
    expect('the request id comes back', health.headers.get('x-request-id') === 'bench-check-1')
    expect('a request id is made', ((await ask('/healthz')).headers.get('x-request-id')?.length ?? 0) >= 16)
    expect('CORS admits the origin', health.headers.get('access-control-allow-origin') === origin)
    const metrics = await (await ask('/metrics', { headers: { authorization: `Bearer ${metricsToken}` } })).text()
    expect('/metrics counts requests in a histogram', /_count(?:\{[^}]*\})? [1-9]/.test(metrics))
  }
  // Last, since a server may close the connection in the middle of it.
  const huge = await ask('/echo', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ ...order, note: 'x'.repeat(2 << 20) }),
  }).catch(() => undefined)
  expect('/echo with 2 MiB answers 413', huge === undefined || huge.status === 413)
  if (faults.length > 0) throw new Error(`${server.name} is no rival:\n  ${faults.join('\n  ')}`)
}

/** After the server was stopped: every request that was counted has its line, and a line has id, status and time. */
export async function checkLog(
  server: Server,
  answered: number,
  lines: (file: string) => Promise<number>,
): Promise<void> {
  const written = await lines(server.logFile)
  if (written < answered) throw new Error(`${server.name} is no rival: ${written} log lines for ${answered} requests`)
  const line = firstLines(server.logFile).find((candidate) => candidate.includes('"bench-check-1"'))
  const facts = line === undefined ? {} : (JSON.parse(line) as Record<string, unknown>)
  if (facts['status'] !== 200 || facts['time'] === undefined || facts['method'] !== 'GET')
    throw new Error(`${server.name} is no rival: its log line lacks facts: ${line}`)
}

function firstLines(file: string): string[] {
  const handle = openSync(file, 'r')
  const start = Buffer.alloc(64 * 1024)
  const size = readSync(handle, start)
  closeSync(handle)
  return start.toString('utf8', 0, size).split('\n')
}

function badOrders(): [string, unknown][] {
  return [
    ['a missing field', { ...order, title: undefined }],
    ['an unknown field', { ...order, surprise: 1 }],
    ['a string for a number', { ...order, items: [{ ...order.items[0], quantity: '2' }] }],
    ['a value out of range', { ...order, items: [{ ...order.items[0], quantity: 0 }] }],
  ]
}

/** Ours wraps what it answers; the rivals may. */
function dataOf(body: unknown): Record<string, unknown> {
  const value = body as Record<string, unknown>
  return value['success'] === true ? (value['data'] as Record<string, unknown>) : value
}

function sameJson(a: unknown, b: unknown): boolean {
  const sorted = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .toSorted()
              .map(([key, inner]) => [key, sorted(inner)]),
          )
        : value
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}
