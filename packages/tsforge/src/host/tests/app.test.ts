import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import { reply } from '../../http/answer.ts'
import { route } from '../../http/route.ts'
import type { Health, Plugin, Ports } from '../../kernel/plugin.ts'
import { port } from '../../kernel/plugin.ts'
import { Type } from '../../http/schema.ts'
import { createTestApp } from '../../testing/index.ts'
import { createApp } from '../create-app.ts'
import { defineConfig } from '../config.ts'

const production = {
  NODE_ENV: 'production',
  FORGE_SECRET: 'pL3x9-Qw7Zt2-vB8nM4-rK6jH1-sD5fG0',
  FORGE_LOG_LEVEL: 'silent',
}
const config = defineConfig({ name: 'app', features: [] })

function feature(name: string, more: Partial<Feature> = {}): Feature {
  return defineFeature<object, Ports>({
    name,
    setup: () => undefined,
    ...(more as Partial<Plugin<object, Ports, void>>),
  })
}

describe('readiness', () => {
  it('names the part that is down, says what it wants to be public, and no more', async () => {
    const down = feature('mail', { health: async (): Promise<Health> => ({ ok: false, detail: 'no route' }) })
    const broken = feature('search', { health: () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3:9200')) })
    await using app = await createTestApp({ features: [down, broken, feature('silent')] })
    const { status, body, text } = await app.client.get('/readyz')
    expect(status).toBe(503)
    expect(body.error).toMatchObject({ code: 'host.not_ready', meta: { checks: { mail: 'no route', search: 'down' } } })
    expect(text).not.toContain('10.1.2.3')
    expect(app.logged).toContainEqual(expect.objectContaining({ part: 'search', msg: 'a health check failed' }))
    expect((await app.client.get('/healthz')).status).toBe(200)
  })

  it('takes silence within the budget for an answer', async () => {
    let asked = 0
    const hanging = feature('slow', { health: () => (asked++, new Promise<Health>(() => {})) })
    await using app = await createTestApp({ features: [hanging], env: { FORGE_HEALTH_BUDGET: '3s' } })
    const probes = Promise.all([app.client.get('/readyz'), app.client.get('/readyz')])
    await expect.poll(() => asked).toBe(1)
    await app.clock.advance(2999)
    await app.clock.advance(1)
    for (const { status, body } of await probes) {
      expect(status).toBe(503)
      expect(body.error.meta).toEqual({ checks: { slow: 'down' } })
    }
    expect(asked).toBe(1)
  })

  it('ends when a stop is asked for, and life does not; the grace period comes before the end', async () => {
    const stopped: string[] = []
    const part = feature('part', { drain: () => void stopped.push('drain'), stop: () => void stopped.push('stop') })
    await using app = await createTestApp({ features: [part], env: { PORT: '0', FORGE_DRAIN_GRACE: '5s' } })
    const { url } = await app.start()
    expect((await app.client.get('/readyz')).status).toBe(200)
    const stopping = app.stop()
    expect((await app.client.get('/readyz')).body.error.code).toBe('host.draining')
    expect((await app.client.get('/healthz')).status).toBe(200)
    await app.clock.advance(4999)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect(stopped).toEqual([])
    await app.clock.advance(1)
    await stopping
    expect(stopped).toEqual(['drain', 'stop'])
    await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
  })
})

describe('metrics', () => {
  const from = (remoteAddress: string, headers: Record<string, string> = {}) =>
    ({ method: 'GET', url: '/metrics', remoteAddress, headers }) as const

  it('without a token are for direct callers on this machine', async () => {
    await using app = await createTestApp({ features: [] })
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      const answer = await app.http.inject(from(address))
      expect(answer.statusCode).toBe(200)
      expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    }
    expect((await app.http.inject(from('10.0.0.9'))).statusCode).toBe(404)
    for (const host of ['localhost:8080', 'app.localhost', '127.0.0.1:8080', '[::1]']) {
      expect((await app.http.inject(from('127.0.0.1', { host }))).statusCode).toBe(200)
    }
    // A page whose name its owner has pointed to this machine, and one that CORS lets in.
    for (const host of ['evil.example', 'localhost.evil.example:8080', '127.0.0.1.evil.example']) {
      expect((await app.http.inject(from('127.0.0.1', { host }))).statusCode).toBe(404)
    }
    expect((await app.http.inject(from('127.0.0.1', { origin: 'https://evil.example' }))).statusCode).toBe(404)
    for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
      expect((await app.http.inject(from('127.0.0.1', { [name]: '127.0.0.1' }))).statusCode).toBe(404)
    }
  })

  it('with a token are for its bearer, wherever he is', async () => {
    const token = 'Zq8-metrics-7vKx2-4'
    await using app = await createTestApp({ features: [], env: { FORGE_METRICS_TOKEN: token } })
    expect((await app.http.inject(from('10.0.0.9', { authorization: `Bearer ${token}` }))).statusCode).toBe(200)
    for (const authorization of ['', `Bearer ${token}x`, `Basic ${token}`, token]) {
      const answer = await app.http.inject(from('127.0.0.1', { authorization }))
      expect(answer.statusCode).toBe(401)
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="metrics"')
    }
  })

  it('are absent in production without a token', async () => {
    await using app = await createApp({
      config,
      env: production,
      root: '/nonexistent',
      sink: { write: () => {}, flushSync: () => {} },
    })
    expect((await app.fetch('/metrics')).status).toBe(404)
  })
})

describe('booting', () => {
  it('tells every fault of the settings of all parts at once, and no secret', async () => {
    const secret = 'changeme-changeme-changeme-changeme'
    const env = {
      ...production,
      FORGE_SECRET: secret,
      PORT: 'eighty',
      FORGE_DRAIN_GRACE: '5 apples',
      FORGE_SHUTDWN_TIMEOUT: '5s',
      FORGE_CORS_ORIGINS: '*',
      FORGE_CORS_CREDENTIALS: 'true',
    }
    const error = await createApp({ config, env, root: '/nonexistent' }).catch((thrown: Error) => thrown)
    expect(error).toBeInstanceOf(Error)
    const { message } = error as Error
    for (const name of [
      'PORT',
      'FORGE_DRAIN_GRACE',
      'did you mean FORGE_SHUTDOWN_TIMEOUT?',
      'FORGE_SECRET',
      'FORGE_CORS_CREDENTIALS',
    ])
      expect(message).toContain(name)
    expect(message).not.toContain(secret)
  })

  it('in production needs a strong secret of its own', async () => {
    for (const FORGE_SECRET of [undefined, 'short', 'a'.repeat(64), 'secret'.repeat(8)]) {
      await expect(createApp({ config, env: { ...production, FORGE_SECRET }, root: '/nonexistent' })).rejects.toThrow(
        'FORGE_SECRET',
      )
    }
  })

  it('refuses an environment that it does not know', async () => {
    await expect(createApp({ config, env: { NODE_ENV: 'staging' } })).rejects.toMatchObject({
      code: 'boot.environment',
    })
  })

  it('refuses settings in code for a part that is not there', async () => {
    await expect(
      createApp({ config: { ...config, options: { htpp: {} } }, env: { NODE_ENV: 'test' } }),
    ).rejects.toThrow('did you mean "http"?')
  })

  it('refuses a route that asks for a permission which nobody declares', async () => {
    const routes = () => [
      route({
        method: 'GET',
        url: '/x',
        id: 'x',
        summary: 'x',
        access: 'x.read',
        data: Type.Object({}),
        handler: () => ({}),
      }),
    ]
    const stopped: string[] = []
    const x = feature('x', { routes, stop: () => void stopped.push('x') })
    await expect(createApp({ config, features: [x], env: { NODE_ENV: 'test' } })).rejects.toThrow('x.read')
    expect(stopped).toEqual(['x'])
  })

  it('refuses two authorizers', async () => {
    const features = ['casbin', 'openfga'].map((name) => feature(name, { authorizer: () => () => true }))
    await expect(createApp({ config, features, env: { NODE_ENV: 'test' } })).rejects.toMatchObject({
      code: 'boot.duplicate_role',
      meta: { first: 'casbin', second: 'openfga' },
    })
  })
})

describe('an app', () => {
  it('stops its parts also when the server does not close', async () => {
    const stopped: string[] = []
    const app = await createTestApp({ features: [feature('part', { stop: () => void stopped.push('part') })] })
    const close = app.http.close
    Object.assign(app.http, { close: () => Promise.reject(new Error('a hook of the server failed')) })
    await expect(app.stop()).rejects.toThrow('a hook of the server failed')
    expect(stopped).toEqual(['part'])
    await close()
  })

  it('hands out its services by port', async () => {
    const clockPort = port<{ tick(): number }>('ticker')
    const ticker = defineFeature<object, Ports, { tick(): number }>({
      name: 'ticker',
      provides: clockPort,
      setup: ({ clock }) => ({ tick: () => clock.now() }),
    })
    await using app = await createTestApp({ features: [ticker] })
    expect(app.get(clockPort).tick()).toBe(app.clock.now())
    expect(() => app.get(port('nothing'))).toThrow('nothing')
    expect(() => app.db).toThrow('db')
  })

  it('answers web requests without a socket', async () => {
    const echo = feature('echo', {
      routes: () => [
        route({
          method: 'POST',
          url: '/echo',
          id: 'echo',
          summary: 'Says it again',
          access: 'public',
          body: Type.Object({ text: Type.String() }),
          data: Type.Object({ text: Type.String() }),
          handler: ({ body }) => body,
        }),
      ],
    })
    await using app = await createTestApp({ features: [echo] })
    const answer = await app.fetch('/echo', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"text":"é"}',
    })
    expect(answer.status).toBe(200)
    expect(((await answer.json()) as { data: unknown }).data).toEqual({ text: 'é' })
  })

  it('rejects an answer of a test that does not fit the OpenAPI document', async () => {
    const lies = feature('lies', {
      routes: () => [
        route({
          method: 'GET',
          url: '/lies',
          id: 'lies',
          summary: 'Answers a status that it does not declare',
          access: 'public',
          data: Type.Object({}),
          handler: () => reply({}, { status: 202 }),
        }),
      ],
    })
    await using app = await createTestApp({ features: [lies] })
    await expect(app.client.get('/lies')).rejects.toThrow('does not fit the OpenAPI document')
  })
})
