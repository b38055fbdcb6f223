import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestApp } from 'tsforge/testing'
import { target } from './target.ts'

let app: TestApp
beforeAll(async () => {
  app = await target({
    FORGE_CORS_ORIGINS: 'https://app.acme.test,https://admin.acme.test:8443',
    FORGE_CORS_CREDENTIALS: 'true',
  })
})
afterAll(() => app[Symbol.asyncDispose]())

const strangers = [
  'null',
  'https://acme.test',
  'https://app.acme.test.evil.test',
  'https://evil-app.acme.test',
  'https://x.app.acme.test',
  'https://app.acme.test:443',
  'https://app.acme.test:8443',
  'https://admin.acme.test',
  'http://app.acme.test',
  'HTTPS://APP.ACME.TEST',
  'https://app.acme.test/',
  'https://app.acme.test@evil.test',
  'https://app.acme.test%00.evil.test',
  'https://app_acme.test',
  'https://app.acme.test, https://evil.test',
  'file://',
  '*',
  '',
]

describe('a page of another origin', () => {
  it('reads answers, errors included, when it is listed, and only then', async () => {
    const paths: readonly (readonly [string, number])[] = [
      ['/healthz', 200],
      ['/api/v1/auth/me', 401],
      ['/api/v1/nothing', 404],
    ]
    for (const [path, status] of paths) {
      const friend = await app.client.get(path, { headers: { origin: 'https://app.acme.test' } })
      expect(friend).toMatchObject({
        status,
        headers: {
          'access-control-allow-origin': 'https://app.acme.test',
          vary: expect.stringMatching(/\borigin\b/i) as string,
        },
      })
      for (const origin of strangers) {
        const { headers } = await app.client.get(path, { headers: { origin } })
        expect([origin, Object.keys(headers).filter((name) => name.startsWith('access-control-'))]).toEqual([
          origin,
          [],
        ])
        // A shared cache must not hand one origin's answer to another.
        expect(headers['vary']).toMatch(/\borigin\b/i)
      }
    }
  })

  it('gets no preflight through unless it is listed', async () => {
    const preflight = (origin: string) =>
      app.client.send('OPTIONS', '/api/v1/auth/login', undefined, {
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
      })
    expect((await preflight('https://app.acme.test')).headers).toMatchObject({
      'access-control-allow-origin': 'https://app.acme.test',
      'access-control-allow-methods': expect.stringContaining('POST') as string,
    })
    for (const origin of strangers) {
      const { headers } = await preflight(origin)
      expect([origin, Object.keys(headers).filter((name) => name.startsWith('access-control-'))]).toEqual([origin, []])
    }
  })

  it('cannot post a form: what needs no preflight is no JSON', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
      expect(
        (await app.client.send('POST', '/api/v1/auth/login', '{}', { headers: { 'content-type': type } })).status,
      ).toBe(415)
  })
})

describe('an answer with tokens', () => {
  it('is stored by nobody, and sets no cookie', async () => {
    const user = await app.register()
    const body = { email: user.email, password: user.password }
    for (const reply of [
      await app.client.post('/api/v1/auth/login', body),
      await app.client.post('/api/v1/auth/refresh', { refresh_token: user.tokens.refresh_token }),
      await app.client.post('/api/v1/auth/register', { ...body, email: 'x@example.org', name: 'X' }),
    ]) {
      expect(reply.status).toBeLessThan(300)
      expect(reply.headers).toMatchObject({ 'cache-control': 'no-store' })
      expect(reply.headers).not.toHaveProperty('etag')
      expect(reply.headers).not.toHaveProperty('set-cookie')
    }
  })
})

describe('an answer to somebody', () => {
  it('is not cached for anybody else', async () => {
    const ada = await app.register()
    for (const path of ['/api/v1/auth/me', '/api/v1/me/sessions', '/api/v1/tenants', '/api/v1/notes']) {
      const { headers, status } = await ada.get(path)
      expect([path, status, headers['cache-control']]).toEqual([path, 200, 'no-store'])
      expect(headers['vary']).toMatch(/\bauthorization\b/i)
      const eve = await app.register()
      // The tag of somebody else's data proves nothing.
      const foreign = await eve.get(path, { headers: { 'if-none-match': headers['etag']! } })
      if (path !== '/api/v1/notes') expect([path, foreign.status]).toEqual([path, 200])
    }
    expect((await ada.get('/api/v1/notes')).headers['vary']).toMatch(/\bx-tenant-id\b/i)
  })
})

describe('the documentation', () => {
  it('runs scripts of its own files only, and cannot be framed', async () => {
    const { headers, text } = await app.client.get('/docs')
    const policy = headers['content-security-policy']!
    expect(policy).toMatch(/default-src 'none'/)
    expect(policy).toMatch(/script-src 'self'(;|$)/)
    expect(policy).toMatch(/frame-ancestors 'none'/)
    expect(policy).not.toMatch(/unsafe|\*|https?:/)
    expect(text).not.toMatch(/<script(?![^>]*\bsrc=)|\bon\w+=|style=|https?:\/\//)
    for (const [, source] of text.matchAll(/(?:src|href)="([^"]+)"/g))
      expect([source, (await app.client.get(`/${source}`)).status]).toEqual([source, 200])
  })
})
