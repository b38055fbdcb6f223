import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { port } from '../../../kernel/plugin.ts'
import { defineLimit } from '../policies.ts'
import type { LimitPlans, PlanNumbers } from '../policies.ts'
import { asUser, at, distant, lab, tenantA, tenantB, told } from './routes.ts'

describe('several limits on one route', () => {
  const second = defineLimit({ name: 'second', key: 'user', limit: 2, window: '1s' })
  const hour = defineLimit({ name: 'hour', key: 'user', limit: 3, window: '1h' })
  const routes = [at('/a', { rate: ['hour', 'second'], access: 'authenticated', tenant: 'none' })]

  it('are all told, and a call that one refuses costs the others nothing', async () => {
    const { http, clock } = await lab(routes, { limits: [second, hour], api: [] })
    const call = () => http.inject({ url: '/a', headers: asUser('ada') })
    const first = await call()
    expect(first.headers['ratelimit-policy']).toBe('"hour";q=3;w=3600, "second";q=2;w=1')
    expect(first.headers['ratelimit']).toBe('"hour";r=2;t=1200, "second";r=1;t=1')
    await call()
    for (let i = 0; i < 5; i++) expect(told(await call())).toEqual([429, '"second";q=2;w=1', '"second";r=0;t=1', '1'])
    await clock.advance(1000)
    expect((await call()).headers['ratelimit']).toContain('"hour";r=0')
    const refused = await call()
    expect(told(refused)[2]).toMatch(/^"hour";r=0;t=\d+$/)
    expect(refused.headers['retry-after']).toBe(/t=(\d+)/.exec(String(refused.headers['ratelimit']))![1])
  })

  it('on a store behind a network are asked scarcest first', async () => {
    const asked: string[] = []
    const { http } = await lab(routes, {
      limits: [second, hour],
      api: [],
      driver: distant({ take: (name) => asked.push(name) }),
    })
    await http.inject({ url: '/a', headers: asUser('ada') })
    expect(asked).toEqual(['hour', 'second'])
  })
})

describe('a limit of calls at the same time', () => {
  const two = defineLimit({ name: 'exports', key: 'tenant', concurrent: 2 })
  const gate = () => Promise.withResolvers<void>()

  it('frees its place when a call ends, however it ends', async () => {
    let pause = gate()
    let fail = false
    const slow = at('/slow', {
      rate: 'exports',
      access: 'authenticated',
      handler: (async () => {
        await pause.promise
        if (fail) throw new Error('broken')
        return { ok: true }
      }) as never,
    })
    const { http, clock } = await lab([slow], { limits: [two], api: [] }, { http: { requestTimeoutMs: 5000 } })
    const call = (tenant = tenantA) => http.inject({ url: '/slow', headers: asUser('ada', tenant) })
    const first = call()
    const other = call()
    await turn()
    const third = await call()
    expect(told(third)).toEqual([429, '"exports";q=2;qu="concurrent-requests"', '"exports";r=0;t=1', '1'])
    expect(third.json().error.code).toBe('ratelimit.too_many_at_once')
    const elsewhere = call(tenantB)
    pause.resolve()
    expect((await Promise.all([first, other, elsewhere])).map(({ statusCode }) => statusCode)).toEqual([200, 200, 200])
    expect((await first).headers['ratelimit']).toBe('"exports";r=1')

    fail = true
    expect((await call()).statusCode).toBe(500)
    fail = false
    pause = gate()
    const late = [call(), call()]
    await turn()
    await clock.advance(5000)
    expect((await Promise.all(late)).map(({ statusCode }) => statusCode)).toEqual([503, 503])
    pause.resolve()
    expect((await Promise.all([call(), call()])).map(({ statusCode }) => statusCode)).toEqual([200, 200])
  })

  it('frees its place when the caller hangs up', async () => {
    const reached = gate()
    const pause = gate()
    const one = defineLimit({ name: 'one', concurrent: 1 })
    let calls = 0
    const slow = at('/slow', {
      rate: 'one',
      handler: (async ({ signal }: { signal: AbortSignal }) => {
        if (++calls > 1) return { ok: true }
        signal.addEventListener('abort', () => pause.resolve())
        reached.resolve()
        await pause.promise
        return { ok: true }
      }) as never,
    })
    const { http } = await lab([slow], { limits: [one], api: [] })
    const origin = new URL(await http.listen({ host: '127.0.0.1', port: 0 }))
    const socket = connect(Number(origin.port), origin.hostname)
    socket.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
    await reached.promise
    expect((await http.inject('/slow')).statusCode).toBe(429)
    socket.destroy()
    await pause.promise
    await turn()
    expect((await http.inject('/slow')).statusCode).toBe(200)
  })

  it('gives its place back when a rate on the same route refuses', async () => {
    const rate = defineLimit({ name: 'rate', key: 'tenant', limit: 1, window: '1m' })
    const one = defineLimit({ name: 'one', key: 'tenant', concurrent: 1 })
    const { http, clock } = await lab([at('/a', { rate: ['one', 'rate'], access: 'authenticated' })], {
      limits: [one, rate],
      api: [],
    })
    const call = async () => (await http.inject({ url: '/a', headers: asUser('ada', tenantA) })).statusCode
    expect([await call(), await call(), await call()]).toEqual([200, 429, 429])
    await clock.advance(60_000)
    expect(await call()).toBe(200)
  })
})

describe('limits by plan', () => {
  const free: PlanNumbers = { limit: 1, window: '1m' }
  const pro: PlanNumbers = { limit: 3, window: '1m' }
  const planOf = ({ tenantId }: { tenantId: string | null }) => (tenantId === tenantA ? pro : free)
  const routes = [at('/a', { rate: 'api', access: 'authenticated' })]
  const spec = { name: 'api', key: 'tenant', limit: 2, window: '1m' } as const
  const until429 = async (http: Awaited<ReturnType<typeof lab>>['http'], tenant: string) => {
    for (let n = 0; ; n++)
      if ((await http.inject({ url: '/a', headers: asUser('ada', tenant) })).statusCode === 429) return n
  }

  it('take the numbers of the plan, told at once or later, and tell them', async () => {
    for (const perPlan of [planOf, async (call: { tenantId: string | null }) => planOf(call)]) {
      const { http } = await lab(routes, { limits: [defineLimit({ ...spec, perPlan })], api: [] })
      const { headers } = await http.inject({ url: '/a', headers: asUser('ada', tenantA) })
      expect([headers['ratelimit-policy'], headers['ratelimit']]).toEqual(['"api";q=3;w=60', '"api";r=2;t=20'])
      expect(await until429(http, tenantA)).toBe(2)
      expect(await until429(http, tenantB)).toBe(1)
    }
  })

  it('take them from a port', async () => {
    const plans: LimitPlans = { numbersOf: (policy, call) => (policy === 'api' ? planOf(call) : undefined) }
    const given = { limits: [defineLimit({ ...spec, perPlan: true })], api: [], plans: port<LimitPlans>('plans') }
    const { http } = await lab(routes, given, { plans })
    expect(await until429(http, tenantA)).toBe(3)
    await expect(lab(routes, { limits: [defineLimit({ ...spec, perPlan: true })] })).rejects.toThrow('names no port')
  })

  it('follow a change of plan at the next call, and fall back to their own numbers when no plan can be told', async () => {
    let plan: (() => PlanNumbers | undefined) | (() => Promise<PlanNumbers>) = () => free
    const { http, metrics, warned } = await lab(routes, {
      limits: [defineLimit({ ...spec, perPlan: () => plan() })],
      api: [],
    })
    expect(await until429(http, tenantA)).toBe(1)
    plan = () => ({ ...pro })
    expect(await until429(http, tenantA)).toBe(3)
    plan = () => undefined
    expect(await until429(http, tenantB)).toBe(2)
    plan = () => Promise.reject(new Error('down'))
    expect(await until429(http, tenantB)).toBe(0)
    plan = () => ({ limit: -1, window: '1m' })
    expect(await until429(http, tenantB)).toBe(0)
    expect(metrics()).toContain('forge_ratelimit_plan_faults_total{limit="api"} 2')
    expect(warned).toHaveLength(2)
  })
})
