import { describe, expect, it } from 'vitest'
import { planApp } from '../../../host/plan.ts'
import { createTestApp } from '../../../testing/app.ts'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import { memory } from '../drivers/memory.ts'
import { idempotency, idempotencyPort, requestReplayed } from '../index.ts'
import type { IdempotencyEvent } from '../index.ts'
import { notes } from './notes.ts'
import type { Notes } from './notes.ts'

const key = '8e03978e-40d5-43dd-bc93-6894a57f9324'
const fresh = (): Notes => ({ runs: [], gates: new Map(), service: undefined as never })

describe('the plugin', () => {
  it('comes by itself with a part that needs it, and keeps keys in PostgreSQL', async () => {
    const state = fresh()
    await using app = await createTestApp({ features: [notes(state)] })
    for (let n = 0; n < 2; n++) await app.client.post('/public', { text: 'a' }, { headers: { 'idempotency-key': key } })
    expect(state.runs).toEqual(['a'])
    expect(app.get(idempotencyPort)).toBe(state.service)
    const metrics = (await app.http.inject({ method: 'GET', url: '/metrics' })).payload
    for (const line of [
      'forge_idempotency_requests_total{result="executed"} 1',
      'forge_idempotency_requests_total{result="replayed"} 1',
      'forge_idempotency_answers_total{result="stored"} 1',
      'forge_idempotency_running 0',
      'forge_idempotency_waiting 0',
    ])
      expect(metrics).toContain(line)
  })

  it('tells of replays, without the key', async () => {
    const told: IdempotencyEvent[] = []
    const listen = (event: unknown): void => void told.push(event as IdempotencyEvent)
    requestReplayed.subscribe(listen)
    await using app = await createTestApp({ features: [notes(fresh())] })
    for (let n = 0; n < 2; n++) await app.client.post('/public', { text: 'a' }, { headers: { 'idempotency-key': key } })
    requestReplayed.unsubscribe(listen)
    expect(told).toEqual([{ tenantId: null, principal: 'anonymous', operation: 'POST /public' }])
  })

  it('takes a store of the app’s own', async () => {
    const state = fresh()
    const store = memory()
    await using app = await createTestApp({ features: [idempotency(store), notes(state)] })
    await app.client.post('/public', { text: 'a' }, { headers: { 'idempotency-key': key } })
    await app.client.post('/public', { text: 'a' }, { headers: { 'idempotency-key': key } })
    expect(state.runs).toEqual(['a'])
  })

  it('goes on unprotected when the app wants that, and says so', async () => {
    const state = fresh()
    const away = { ...memory(), claim: () => Promise.reject(new Error('away')) }
    const headers = { 'idempotency-key': key }
    await using open = await createTestApp({
      features: [idempotency(away), notes(state)],
      env: { FORGE_IDEMPOTENCY_ON_LOSS: 'open' },
    })
    const answer = await open.client.post('/public', { text: 'a' }, { headers })
    expect([answer.status, answer.headers['idempotency-persisted']]).toEqual([201, 'false'])
    await using closed = await createTestApp({ features: [idempotency(away), notes(state)] })
    const refused = await closed.client.post('/public', { text: 'b' }, { headers })
    expect([refused.status, refused.body.error.code, refused.headers['retry-after']]).toEqual([
      503,
      'idempotency.unavailable',
      '1',
    ])
    expect((await closed.client.post('/public', { text: 'without a key' })).status).toBe(201)
    expect(state.runs).toEqual(['a', 'without a key'])
  })

  it('refuses Redis without an address at start, and memory in production', async () => {
    const start = createTestApp({ features: [idempotency()], env: { FORGE_IDEMPOTENCY_DRIVER: 'redis' } })
    await expect(start).rejects.toMatchObject({ code: 'idempotency.redis_missing' })
    const plan = planApp({
      config: { name: 'app', features: [idempotency()] },
      env: { NODE_ENV: 'production', FORGE_IDEMPOTENCY_DRIVER: 'memory' },
    })
    await expect(plan).rejects.toThrow(/FORGE_IDEMPOTENCY_DRIVER must not be memory/)
  })
})

describe.runIf(hasRedis)('with Redis', () => {
  it('keeps keys there when it is told to, for all replicas', async () => {
    await using server = await startRedis()
    const env = {
      FORGE_IDEMPOTENCY_DRIVER: 'redis',
      REDIS_URL: server.url,
      FORGE_SECRET: 'a-secret-of-two-replicas-0123456789',
    }
    const states = [fresh(), fresh()] as const
    await using one = await createTestApp({ features: [notes(states[0])], env })
    await using two = await createTestApp({ features: [notes(states[1])], env })
    for (const app of [one, two, one]) {
      const answer = await app.client.post('/public', { text: 'a' }, { headers: { 'idempotency-key': key } })
      expect(answer.status).toBe(201)
    }
    expect([...states[0].runs, ...states[1].runs]).toEqual(['a'])
    expect(await server.admin('DBSIZE')).toContain(':1')
  })
})
