import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/clock.ts'
import { clientAddress, parseTrustedProxies } from '../client-address.ts'
import { currentContext } from '../../kernel/context.ts'
import type { RequestContext } from '../../kernel/context.ts'
import { httpOptions, route } from '../index.ts'
import { Pressure } from '../pressure.ts'
import { Type } from '../schema.ts'
import { parseTraceparent } from '../trace.ts'
import { closeLabs, defaults, lab } from './fixture.ts'

afterEach(closeLabs)

const ping = route({
  method: 'GET',
  url: '/ping',
  id: 'ping',
  summary: 'Ping',
  access: 'public',
  data: Type.Object({}),
  handler: () => ({}),
})
const write = route({
  method: 'POST',
  url: '/ping',
  id: 'write',
  summary: 'Write',
  access: 'public',
  data: Type.Object({}),
  handler: () => ({}),
})

describe('security headers', () => {
  it('are on every answer, errors included', async () => {
    const { http } = await lab([ping])
    for (const answer of [
      await http.inject('/ping'),
      await http.inject('/nowhere'),
      await http.inject({ method: 'PUT', url: '/ping' }),
      await http.inject('/ping/%zz'),
    ]) {
      expect(answer.headers).toMatchObject({
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'cache-control': 'no-store',
      })
      expect(answer.headers['permissions-policy']).toContain('camera=()')
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/)
      expect([
        answer.headers['server'],
        answer.headers['x-powered-by'],
        answer.headers['strict-transport-security'],
      ]).toEqual([undefined, undefined, undefined])
    }
  })

  it('force https in production', async () => {
    const { http } = await lab([ping], { app: { name: 'x', version: '1', environment: 'production', root: '/' } })
    expect((await http.inject('/ping')).headers['strict-transport-security']).toBe(
      'max-age=31536000; includeSubDomains',
    )
  })
})

describe('CORS', () => {
  const options = { corsOrigins: ['https://app.example.com'] }
  const preflight = (origin: string) => ({
    method: 'OPTIONS' as const,
    url: '/ping',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-tenant-id' },
  })

  it('allows exactly the listed origins, on answers and errors', async () => {
    const { http } = await lab([ping], { options })
    const allowed = await http.inject({ url: '/ping', headers: { origin: 'https://app.example.com' } })
    expect(allowed.headers['access-control-allow-origin']).toBe('https://app.example.com')
    expect(allowed.headers['access-control-expose-headers']).toContain('X-Request-ID, ETag')
    expect(allowed.headers.vary).toBe('origin')
    expect(
      (await http.inject({ url: '/nowhere', headers: { origin: 'https://app.example.com' } })).headers[
        'access-control-allow-origin'
      ],
    ).toBe('https://app.example.com')
    for (const origin of [
      'null',
      'https://app.example.com.evil.example',
      'https://evil-app.example.com',
      'https://x.app.example.com',
      'http://app.example.com',
      'https://app.example.com:444',
      'HTTPS://APP.EXAMPLE.COM',
      '*',
    ]) {
      const refused = await http.inject({ url: '/ping', headers: { origin } })
      expect([origin, refused.headers['access-control-allow-origin'], refused.headers.vary]).toEqual([
        origin,
        undefined,
        'origin',
      ])
      expect((await http.inject(preflight(origin))).headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  it('answers preflights with the methods of the address', async () => {
    const { http } = await lab([ping, write], { options })
    const answer = await http.inject(preflight('https://app.example.com'))
    expect(answer.statusCode).toBe(204)
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-allow-methods': 'GET, HEAD, OPTIONS, POST',
      'access-control-max-age': '7200',
    })
    for (const name of ['Authorization', 'Idempotency-Key', 'X-Tenant-ID', 'If-Match', 'If-None-Match', 'traceparent'])
      expect(answer.headers['access-control-allow-headers']).toContain(name)
    expect(answer.headers.vary).toMatch(/^origin, .*access-control-request-method/)
  })

  it('is silent by default, and never lets any origin use credentials', async () => {
    const { http } = await lab([ping])
    const answer = await http.inject({ url: '/ping', headers: { origin: 'https://app.example.com' } })
    expect([answer.headers['access-control-allow-origin'], answer.headers.vary]).toEqual([undefined, undefined])
    await expect(lab([ping], { options: { corsOrigins: ['*'], corsCredentials: true } })).rejects.toThrow(
      /every page on the web/,
    )
    const open = await lab([ping], { options: { corsOrigins: ['*'] } })
    const any = await open.http.inject({ url: '/ping', headers: { origin: 'https://whoever.example' } })
    expect([any.headers['access-control-allow-origin'], any.headers['access-control-allow-credentials']]).toEqual([
      '*',
      undefined,
    ])
  })

  it('refuses origins that are none when options are read', () => {
    for (const origin of ['app.example.com', 'https://app.example.com/', 'null', 'https://*.example.com', 'file:///x'])
      expect([origin, httpOptions.corsOrigins.check?.([origin], {})]).not.toEqual([origin, undefined])
    expect(
      httpOptions.corsOrigins.check?.(['https://app.example.com:8443', 'http://localhost:5173'], {}),
    ).toBeUndefined()
  })
})

describe('time limits', () => {
  it("answer 503 at the route's limit, abort the signal, and ignore what comes later", async () => {
    const clock = createFakeClock()
    let seen: AbortSignal | undefined
    let release = (): void => {}
    const slow = route({
      method: 'GET',
      url: '/slow',
      id: 'slow',
      summary: 'Slow',
      access: 'public',
      data: Type.Object({}),
      limits: { timeoutMs: 5000 },
      handler: ({ signal, context }) => {
        seen = signal
        expect(context.signal).toBe(signal)
        return new Promise<object>((resolve) => (release = () => resolve({})))
      },
    })
    const { http, lines } = await lab([slow], { clock })
    const answer = http.inject('/slow')
    await clock.advance(4999)
    expect([seen?.aborted, lines.length]).toEqual([false, 0])
    await clock.advance(1)
    expect((await answer).json().error.code).toBe('http.timeout')
    expect((await answer).headers['retry-after']).toBe('1')
    expect(seen?.aborted).toBe(true)
    release()
    await clock.advance(60_000)
    expect(lines.map((line) => [line['status'], line['duration_ms']])).toEqual([[503, 5000]])
    await http.close()
    expect(clock.pending).toBe(0)
  })

  it('do not touch requests that end in time, one limit beside the other', async () => {
    const clock = createFakeClock()
    const wait = (id: string, ms: number, timeoutMs: number) =>
      route({
        method: 'GET',
        url: `/${id}`,
        id,
        summary: id,
        access: 'public',
        data: Type.Object({}),
        limits: { timeoutMs },
        handler: async () => {
          await clock.sleep(ms)
          return {}
        },
      })
    const { http } = await lab([wait('a', 10, 100), wait('b', 150, 100), wait('c', 150, 1000)], { clock })
    const answers = Promise.all(['/a', '/b', '/c', '/a'].map((url) => http.inject(url)))
    await clock.advance(200)
    expect((await answers).map((answer) => answer.statusCode)).toEqual([200, 503, 200, 200])
  })
})

describe('the context', () => {
  it('stays with work that goes on after the answer, its signal aborted', async () => {
    let kept: RequestContext | undefined
    const { http } = await lab([
      route({
        method: 'GET',
        url: '/kept',
        id: 'kept',
        summary: 'Kept',
        access: 'public',
        data: Type.Object({}),
        handler: ({ context }) => {
          kept = context
          return {}
        },
      }),
    ])
    const { headers } = await http.inject('/kept')
    expect(kept).toMatchObject({ requestId: headers['x-request-id'], locale: 'en', actor: { kind: 'anonymous' } })
    expect(kept?.signal?.aborted).toBe(true)
    expect(kept?.signal).toBe(kept?.signal)
  })
})

describe('overload', () => {
  it('is judged by delay, heap and resident memory', () => {
    const pressure = new Pressure({ ...defaults, shedDelayMs: 1000, shedHeapPercent: 90, shedRssBytes: 1000 })
    const calm = { delayMs: 0, heapPercent: 10, rssBytes: 10 }
    const high = [
      calm,
      { ...calm, delayMs: 1000 },
      { ...calm, heapPercent: 91 },
      { ...calm, rssBytes: 1000 },
      calm,
    ].map((load) => {
      pressure.judge(load)
      return pressure.high
    })
    expect(high).toEqual([false, true, true, true, false])
  })

  it('answers 503 with Retry-After to all but vital routes, and counts them', async () => {
    const clock = createFakeClock()
    const vital = route({
      method: 'GET',
      url: '/healthz',
      id: 'health',
      summary: 'Health',
      access: 'public',
      vital: true,
      data: Type.Object({}),
      handler: () => ({}),
    })
    // One byte of memory is always exceeded: overloaded from the first sample on.
    const { http, metrics } = await lab([ping, vital], { clock, options: { shedding: true, shedRssBytes: 1 } })
    await http.listen({ host: '127.0.0.1', port: 0 })
    expect((await http.inject('/ping')).statusCode).toBe(200)
    await clock.advance(1000)
    const shed = await http.inject('/ping')
    expect([shed.statusCode, shed.json().error.code]).toEqual([503, 'http.overloaded'])
    expect(Number(shed.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect((await http.inject('/healthz')).statusCode).toBe(200)
    expect(metrics.render()).toContain('http_requests_shed_total 1')
  })
})

describe('metrics', () => {
  it('count by method, template and class, and forget no request in flight', async () => {
    const item = route({
      method: 'GET',
      url: '/items/:id',
      id: 'item',
      summary: 'Item',
      access: 'public',
      data: Type.Object({}),
      handler: () => ({}),
    })
    const { http, metrics } = await lab([item])
    for (const id of ['1', '2', '3']) await http.inject(`/items/${id}`)
    await http.inject('/random/1')
    await http.inject('/random/2')
    const text = metrics.render()
    expect(text).toContain('http_requests_total{method="GET",route="/items/:id",status="2xx"} 3')
    expect(text).toContain('http_requests_total{method="",route="",status="4xx"} 2')
    expect(text).toContain('http_requests_in_flight 0')
    expect(text).not.toContain('random')
  })
})

describe('where a request comes from', () => {
  const from = (peer: string, forwarded: string | undefined, trusted: string[]): string =>
    clientAddress(
      {
        socket: { remoteAddress: peer },
        headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
      } as never,
      parseTrustedProxies(trusted),
    )

  it('is the peer, whatever it claims, unless the peer is trusted', () => {
    expect(from('9.9.9.9', '1.1.1.1', [])).toBe('9.9.9.9')
    expect(from('9.9.9.9', '1.1.1.1', ['10.0.0.0/8'])).toBe('9.9.9.9')
    expect(from('::ffff:10.0.0.1', '1.1.1.1', ['10.0.0.0/8'])).toBe('1.1.1.1')
    expect(from('10.0.0.1', '6.6.6.6, 1.1.1.1', ['10.0.0.0/8'])).toBe('1.1.1.1')
    expect(from('10.0.0.1', '6.6.6.6, 1.1.1.1, 10.2.3.4', ['10.0.0.0/8'])).toBe('1.1.1.1')
    expect(from('10.0.0.1', 'garbage', ['10.0.0.0/8'])).toBe('10.0.0.1')
    expect(from('10.0.0.1', '6.6.6.6, <script>', ['10.0.0.0/8'])).toBe('10.0.0.1')
    expect(from('::1', '[2001:db8::1]:443', ['::1'])).toBe('2001:db8::1')
    expect(from('10.0.0.1', '1.1.1.1:1234', ['10.0.0.1'])).toBe('1.1.1.1')
  })

  it('counts hops when told a number', () => {
    expect(from('9.9.9.9', '6.6.6.6, 1.1.1.1', ['1'])).toBe('1.1.1.1')
    expect(from('9.9.9.9', '6.6.6.6, 1.1.1.1', ['2'])).toBe('6.6.6.6')
    expect(from('9.9.9.9', undefined, ['2'])).toBe('9.9.9.9')
  })

  it('refuses nonsense as proxies', () => {
    for (const bad of ['proxy.local', '10.0.0.0/33', '10.0.0.0/-1', '999.1.1.1'])
      expect(() => parseTrustedProxies([bad])).toThrow(/is not an address/)
  })
})

describe('traceparent', () => {
  it('is taken when well-formed and ignored otherwise', () => {
    const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    expect(parseTraceparent(good)).toEqual({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      sampled: true,
    })
    expect(parseTraceparent(`01${good.slice(2)}-extra`)?.sampled).toBe(true)
    for (const bad of [
      good.toUpperCase(),
      `${good}-x`,
      `ff${good.slice(2)}`,
      good.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)),
      good.replace('b7ad6b7169203331', '0'.repeat(16)),
      '',
      good.repeat(1000),
    ]) {
      expect(parseTraceparent(bad)).toBeUndefined()
    }
  })
})

it('gives every request a context of its own, also while others run', async () => {
  const look = route({
    method: 'POST',
    url: '/look',
    id: 'look',
    summary: 'Look',
    access: 'public',
    body: Type.Object({ n: Type.Integer() }),
    data: Type.Object({ id: Type.String(), n: Type.Integer() }),
    handler: async ({ body }) => {
      await new Promise((resolve) => setImmediate(resolve))
      return { id: currentContext()?.requestId ?? 'none', n: body.n }
    },
  })
  const { http } = await lab([look])
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      http.inject({ method: 'POST', url: '/look', payload: { n }, headers: { 'x-request-id': `r${n}` } }),
    ),
  )
  expect(answers.map((answer) => answer.json().data)).toEqual(
    Array.from({ length: 20 }, (_, n) => ({ id: `r${n}`, n })),
  )
  expect(currentContext()).toBeUndefined()
})
