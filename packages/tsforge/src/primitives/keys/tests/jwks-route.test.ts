import { createLocalJWKSet, jwtVerify } from 'jose'
import type { JSONWebKeySet } from 'jose'
import { expect, test } from 'vitest'
import { createTestApp } from '../../../testing/app.ts'
import { keys, keysPort } from '../index.ts'

const path = '/.well-known/jwks.json'

test('the key set is public, cacheable, plain, and verifies our tokens', async () => {
  await using app = await createTestApp({ features: [keys()] })
  const answer = await app.http.inject({ method: 'GET', url: path })
  expect(answer.statusCode).toBe(200)
  expect(answer.headers).toMatchObject({
    'cache-control': 'public, max-age=300, must-revalidate',
    'content-type': expect.stringMatching(/^application\/jwk-set\+json/),
    etag: expect.stringMatching(/^"/),
  })
  const set = answer.json<JSONWebKeySet>()
  expect(Object.keys(set)).toEqual(['keys'])
  expect(set.keys.map((key) => Object.keys(key).sort())).toEqual(
    Array(2).fill(['alg', 'crv', 'kid', 'kty', 'use', 'x']),
  )
  const token = await app.get(keysPort).sign({ sub: 'u' }, { type: 'at+jwt', ttlMs: 60_000 })
  const { payload } = await jwtVerify(token, createLocalJWKSet(set), { currentDate: new Date(app.clock.now()) })
  expect(payload.sub).toBe('u')
})

test('a cache that has the key set gets 304 until it changes', async () => {
  await using app = await createTestApp({ features: [keys()] })
  const { headers } = await app.http.inject({ method: 'GET', url: path })
  const again = () => app.http.inject({ method: 'GET', url: path, headers: { 'if-none-match': String(headers.etag) } })
  expect((await again()).statusCode).toBe(304)
  await app.get(keysPort).rotate({ now: true })
  expect((await again()).statusCode).toBe(200)
})

test('an installation with symmetric keys publishes none', async () => {
  await using app = await createTestApp({ features: [keys()], env: { FORGE_KEYS_ALGORITHM: 'HS256' } })
  const answer = await app.http.inject({ method: 'GET', url: path })
  expect(answer.json()).toEqual({ keys: [] })
  expect(answer.body).not.toContain('"k"')
})

test('production refuses the sample issuer', async () => {
  const { keysOptions } = await import('../options.ts')
  expect(keysOptions.issuer.production?.('tsforge', {})).toMatch(/must name this service/)
  expect(keysOptions.issuer.production?.('https://api.example.com', {})).toBeUndefined()
})
