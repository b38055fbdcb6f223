import { describe, expect, it } from 'vitest'
import { defineLimit } from '../policies.ts'
import { asUser, at, distant, lab, tenantA, tenantB, told } from './routes.ts'
import type { Words } from './routes.ts'

describe('a limit on a route', () => {
  const burst = defineLimit({ name: 'burst', limit: 3, window: '6s' })

  it('lets its calls through, refuses the next with 429, and lets more through when Retry-After has passed', async () => {
    const { http, clock } = await lab([at('/a', { rate: 'burst' })], { limits: [burst] })
    const policy = '"burst";q=3;w=6'
    expect(told(await http.inject('/a'))).toEqual([200, policy, '"burst";r=2;t=2', undefined])
    expect(told(await http.inject('/a'))).toEqual([200, policy, '"burst";r=1;t=4', undefined])
    expect(told(await http.inject('/a'))).toEqual([200, policy, '"burst";r=0;t=6', undefined])
    const refused = await http.inject('/a')
    expect(told(refused)).toEqual([429, policy, '"burst";r=0;t=2', '2'])
    expect(refused.json()).toMatchObject({
      success: false,
      error: { code: 'ratelimit.exceeded', meta: { violated_policies: ['burst'] } },
    })
    await clock.advance(1999)
    expect((await http.inject('/a')).statusCode).toBe(429)
    await clock.advance(1)
    expect((await http.inject('/a')).statusCode).toBe(200)
    expect((await http.inject('/a')).statusCode).toBe(429)
  })

  it('answers the problem type of the draft to those who ask for problems', async () => {
    const { http } = await lab([at('/a', { rate: 'burst' })], { limits: [burst] })
    for (let i = 0; i < 3; i++) await http.inject('/a')
    const headers = { accept: 'application/problem+json, application/json' }
    const refused = await http.inject({ url: '/a', headers })
    expect(refused.headers['content-type']).toBe('application/problem+json')
    expect(refused.json()).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Quota Exceeded',
      status: 429,
      code: 'ratelimit.exceeded',
      'violated-policies': ['burst'],
    })
    expect(
      http.validateAnswer({ method: 'GET', url: '/a', status: 429, headers: refused.headers, body: refused.body }),
    ).toEqual([])
  })

  it('rounds what it tells so that nobody comes too early', async () => {
    const odd = defineLimit({ name: 'odd', limit: 1, window: 2100 })
    const { http } = await lab([at('/a', { rate: 'odd' })], { limits: [odd] })
    await http.inject('/a')
    expect(told(await http.inject('/a'))).toEqual([429, '"odd";q=1', '"odd";r=0;t=3', '3'])
  })

  it('spends what a call costs, by the route, by the policy or by the call', async () => {
    const byCall = defineLimit({
      name: 'bulk',
      limit: 10,
      window: '10s',
      cost: (call) => Number(call.header('x-rows')),
    })
    const fixed = defineLimit({ name: 'fixed', limit: 10, window: '10s', cost: 4 })
    const { http } = await lab(
      [at('/a', { rate: 'burst', cost: 2 }), at('/b', { rate: 'bulk' }), at('/c', { rate: 'fixed', cost: 9 })],
      { limits: [burst, byCall, fixed] },
    )
    expect((await http.inject('/a')).headers['ratelimit']).toBe('"burst";r=1;t=4')
    expect((await http.inject('/a')).statusCode).toBe(429)
    expect((await http.inject({ url: '/b', headers: { 'x-rows': '7' } })).headers['ratelimit']).toBe('"bulk";r=3;t=7')
    const beyond = await http.inject({ url: '/b', headers: { 'x-rows': '11' } })
    expect([beyond.statusCode, beyond.json().error.code]).toEqual([400, 'ratelimit.cost_invalid'])
    expect((await http.inject({ url: '/b' })).statusCode).toBe(400)
    expect((await http.inject('/c')).headers['ratelimit']).toBe('"fixed";r=6;t=4')
  })

  it('sends the headers of before the draft when told to', async () => {
    const { http } = await lab([at('/a', { rate: 'burst' })], { limits: [burst] }, { options: { legacyHeaders: true } })
    for (let i = 0; i < 3; i++) await http.inject('/a')
    const { headers } = await http.inject('/a')
    expect(headers).toMatchObject({ 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '2' })
    const { http: without } = await lab([at('/a', { rate: 'burst' })], { limits: [burst] })
    expect((await without.inject('/a')).headers).not.toHaveProperty('x-ratelimit-limit')
  })

  it('stands in the document with its code and headers, written once', async () => {
    const routes = [at('/a', { rate: 'burst' }), at('/b'), at('/free', { rate: false })]
    const { http } = await lab(routes, { limits: [burst] })
    const { paths, components } = http.document() as never as {
      paths: Record<string, { get: { responses: Record<string, { headers?: object; $ref?: string }> } }>
      components: { headers: object; responses: Record<string, { headers: object }> }
    }
    const limited = paths['/a']!.get.responses
    const refused = { $ref: '#/components/responses/TooManyRequestsRatelimitExceeded' }
    expect(limited['200']!.headers).toMatchObject({ RateLimit: { $ref: '#/components/headers/RateLimit' } })
    expect([limited['429'], paths['/b']!.get.responses['429']]).toEqual([refused, refused])
    const shared = components.responses['TooManyRequestsRatelimitExceeded']!
    expect(Object.keys(shared.headers)).toEqual(['X-Request-ID', 'RateLimit-Policy', 'RateLimit', 'Retry-After'])
    expect(JSON.stringify(shared)).toContain('ratelimit.exceeded')
    expect(components.headers).toMatchObject({ RateLimitPolicy: {}, RateLimit: {} })
    expect(paths['/free']!.get.responses).not.toHaveProperty('429')
  })
})

describe('the limits of the whole API', () => {
  it('count every route by network before authentication, and by user behind it, but never health routes', async () => {
    const routes = [
      at('/public'),
      at('/private', { access: 'authenticated', tenant: 'none' }),
      at('/healthz', { vital: true }),
      at('/free', { rate: false }),
    ]
    const { http } = await lab(routes, {}, { options: { perIp: 5, perUser: 2 } })
    expect(told(await http.inject('/public'))[2]).toBe('"ip";r=4;t=12')
    const ada = await http.inject({ url: '/private', headers: asUser('ada') })
    expect(told(ada).slice(0, 3)).toEqual([200, '"ip";q=5;w=60, "user";q=2;w=60', '"ip";r=3;t=24, "user";r=1;t=30'])
    await http.inject({ url: '/private', headers: asUser('ada') })
    const over = await http.inject({ url: '/private', headers: asUser('ada') })
    expect(told(over)).toEqual([429, '"ip";q=5;w=60, "user";q=2;w=60', '"user";r=0;t=30', '30'])
    // A stranger with no valid credentials spends of the network all the same, and is refused before anybody looks.
    expect((await http.inject('/private')).statusCode).toBe(401)
    expect((await http.inject('/private')).statusCode).toBe(429)
    expect((await http.inject({ url: '/private', headers: asUser('bob') })).statusCode).toBe(429)
    for (let i = 0; i < 10; i++) {
      expect(told(await http.inject('/healthz'))).toEqual([200, undefined, undefined, undefined])
      expect((await http.inject('/free')).statusCode).toBe(200)
    }
  })

  it('count networks, not addresses, and know each caller behind trusted proxies', async () => {
    const { http } = await lab([at('/a')], {}, { options: { perIp: 1 }, http: { trustedProxies: ['127.0.0.1'] } })
    const from = async (address: string) =>
      (await http.inject({ url: '/a', headers: { 'x-forwarded-for': address } })).statusCode
    expect(await from('2001:db8::1')).toBe(200)
    expect(await from('2001:db8::2')).toBe(429)
    expect(await from('2001:db8:0:1::2')).toBe(200)
    expect(await from('192.0.2.1')).toBe(200)
    expect(await from('::ffff:192.0.2.1')).toBe(429)
    expect(await from('198.51.100.1, 192.0.2.1')).toBe(429)
    expect(await from('192.0.2.2')).toBe(200)
  })

  it('cannot be escaped by headers of the caller', async () => {
    const { http } = await lab([at('/a')], {}, { options: { perIp: 1 } })
    await http.inject('/a')
    for (const name of ['x-forwarded-for', 'x-real-ip', 'forwarded', 'cf-connecting-ip', 'true-client-ip'])
      expect((await http.inject({ url: '/a', headers: { [name]: '192.0.2.9' } })).statusCode).toBe(429)
  })

  it('give way to a named limit that counts by the same key, and stay where it counts by another', async () => {
    const wide = defineLimit({ name: 'wide', limit: 100, window: '1m' })
    const few = defineLimit({ name: 'few', key: 'user', limit: 1, window: '1m' })
    const routes = [at('/wide', { rate: 'wide' }), at('/few', { rate: 'few', access: 'authenticated', tenant: 'none' })]
    const { http } = await lab(routes, { limits: [wide, few] }, { options: { perIp: 5, perUser: 5 } })
    expect((await http.inject('/wide')).headers['ratelimit-policy']).toBe('"wide";q=100;w=60')
    const both = await http.inject({ url: '/few', headers: asUser('ada') })
    expect(both.headers['ratelimit-policy']).toBe('"ip";q=5;w=60, "few";q=1;w=60')
  })

  it('can be chosen, and turned off', async () => {
    const tenant = defineLimit({ name: 'tenant', key: 'tenant', limit: 1, window: '1m' })
    const routes = [at('/a', { access: 'authenticated' })]
    const { http } = await lab(routes, { limits: [tenant], api: ['tenant'] })
    const { headers } = await http.inject({ url: '/a', headers: asUser('ada', tenantA) })
    expect(headers['ratelimit-policy']).toBe('"tenant";q=1;w=60')
    expect((await http.inject({ url: '/a', headers: asUser('bob', tenantA) })).statusCode).toBe(429)
    expect((await http.inject({ url: '/a', headers: asUser('bob', tenantB) })).statusCode).toBe(200)
    expect((await http.inject({ url: '/a', headers: asUser('bob') })).headers).not.toHaveProperty('ratelimit-policy')
    const off = await lab(routes, {}, { options: { enforced: false, perIp: 1 } })
    for (let i = 0; i < 5; i++)
      expect((await off.http.inject({ url: '/a', headers: asUser('a') })).statusCode).toBe(200)
  })
})

describe('while the store is lost', () => {
  const routes = [at('/a', { rate: 'x' })]
  const on = (whenLost: 'open' | 'closed' | 'local') =>
    lab(routes, {
      limits: [defineLimit({ name: 'x', limit: 2, window: '1m', whenLost })],
      driver: distant({ broken: true }),
    })

  it('an open limit lets everything through and claims nothing', async () => {
    const { http, metrics } = await on('open')
    for (let i = 0; i < 5; i++)
      expect(told(await http.inject('/a'))).toEqual([200, '"x";q=2;w=60', undefined, undefined])
    expect(metrics()).toContain('forge_ratelimit_lost_total{limit="x",policy="open"} 5')
  })

  it('a closed one refuses with 503 and the problem type for it', async () => {
    const { http } = await on('closed')
    const refused = await http.inject({ url: '/a', headers: { accept: 'application/problem+json' } })
    expect(told(refused)).toEqual([503, '"x";q=2;w=60', '"x";r=0;t=1', '1'])
    expect(refused.json()).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
      code: 'ratelimit.unavailable',
      'violated-policies': ['x'],
    })
    expect(refused.body).not.toContain('10.0.0.7')
  })

  it('a local one counts in this process', async () => {
    const { http } = await on('local')
    const codes = []
    for (let i = 0; i < 4; i++) codes.push((await http.inject('/a')).statusCode)
    expect(codes).toEqual([200, 200, 429, 429])
  })
})

describe('limits that make no sense', () => {
  const refuses = (words: Words, message: RegExp, given: Parameters<typeof lab>[1] = {}) =>
    expect(lab([at('/a', words)], given)).rejects.toThrow(message)

  it('stop the start, with the name and the fault', async () => {
    await refuses({ rate: 'nobody' }, /GET \/a: .*"nobody".*no limit has this name; there are .*login/s)
    await refuses({ rate: 'u' }, /the route is public/, {
      limits: [defineLimit({ name: 'u', key: 'user', limit: 1, window: '1s' })],
    })
    await refuses({ rate: 'x', cost: 3 }, /a call costs 3/, {
      limits: [defineLimit({ name: 'x', limit: 2, window: '1s' })],
    })
    const x = defineLimit({ name: 'x', limit: 2, window: '1s' })
    await refuses({}, /two limits have this name/, { limits: [x, defineLimit({ name: 'x', limit: 3, window: '1s' })] })
    await refuses({}, /nobody declares it/, { api: ['nobody'] })
    const bad = [
      { name: 'Bad', limit: 1, window: '1s' },
      { name: 'x', limit: 0, window: '1s' },
      { name: 'x', limit: 1, window: 'soon' },
      { name: 'x', limit: 1, window: '1s', cost: 2 },
      { name: 'x', limit: 1, window: '1s', key: 'cookie' },
      { name: 'x', limit: 1, window: '1s', key: 'ip', phase: 'admitted' },
      { name: 'x', concurrent: 0 },
    ]
    for (const spec of bad) expect(() => defineLimit(spec as never)).toThrow(/limit "/)
  })

  it('a limit of the name of a standard one takes its place', async () => {
    const { http } = await lab([at('/a', { rate: 'login' }), at('/b')], {
      limits: [
        defineLimit({ name: 'login', limit: 1, window: '1m' }),
        defineLimit({ name: 'ip', limit: 7, window: '1m' }),
      ],
    })
    expect((await http.inject('/a')).headers['ratelimit-policy']).toBe('"login";q=1;w=60')
    expect((await http.inject('/b')).headers['ratelimit-policy']).toBe('"ip";q=7;w=60')
  })
})
