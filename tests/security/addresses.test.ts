import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestApp, TestUser } from 'tsforge/testing'
import { note, target, team } from './target.ts'
import { request, statusOf, wire } from './wire.ts'

let app: TestApp
let url: string
let ada: TestUser
let eve: TestUser
beforeAll(async () => {
  app = await target()
  url = (await app.start()).url
  ada = await app.register()
  eve = await app.register()
})
afterAll(() => app[Symbol.asyncDispose]())

const bearer = (user: TestUser): string => `Authorization: Bearer ${user.tokens.access_token}`

describe('an address', () => {
  it('has one spelling: no other leads to a route, with or without a token', async () => {
    expect(statusOf(await request(url, 'GET /api/v1/auth/me', [bearer(ada)]))).toBe(200)
    for (const path of [
      '/api/v1/auth/me/',
      '/api/v1/auth//me',
      '//api/v1/auth/me',
      '/API/v1/auth/me',
      '/api/v1/auth/ME',
      '/api/v1/auth/./me',
      '/api/v1/x/../auth/me',
      '/api/v1/auth/%2e/me',
      '/api/v1/x/%2e%2e/auth/me',
      '/api/v1/auth%2fme',
      '/api/v1/auth%5cme',
      '/api/v1/auth/me;x=1',
      '/api/v1/auth/me%20',
      '/api/v1/auth/me%00',
      '/api/v1/auth/me.json',
      '/healthz/../api/v1/auth/me',
      '/docs/..%2fapi%2fv1%2fauth%2fme',
      '/docs/%2e%2e%2fpackage.json',
      '/docs/__proto__',
      '/docs/constructor',
    ])
      for (const headers of [[], [bearer(ada)]])
        expect([path, statusOf(await request(url, `GET ${path}`, headers))]).toEqual([path, 404])
  })

  it('may be percent-encoded, and is guarded all the same', async () => {
    expect(statusOf(await request(url, 'GET /api/v1/auth/%6d%65'))).toBe(401)
    expect(statusOf(await request(url, 'GET /api/v1/auth/%6d%65', [bearer(ada)]))).toBe(200)
  })

  it('is not changed by headers that some servers obey', async () => {
    const id = await team(ada)
    for (const header of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', '_method']) {
      const answer = await request(url, `GET /api/v1/tenants/${id}?_method=DELETE`, [bearer(ada), `${header}: DELETE`])
      expect(statusOf(answer)).toBe(422)
      expect(statusOf(await request(url, `GET /api/v1/tenants/${id}`, [bearer(ada), `${header}: DELETE`]))).toBe(200)
    }
    for (const header of ['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Prefix', 'X-Forwarded-Path'])
      expect(statusOf(await request(url, 'GET /api/v1/auth/me', [`${header}: /healthz`]))).toBe(401)
    expect(statusOf(await request(url, `GET /api/v1/tenants/${id}`, [bearer(ada)]))).toBe(200)
  })

  it('is guarded for HEAD as for GET, and OPTIONS does nothing but name the methods', async () => {
    const id = await note(ada)
    expect(statusOf(await request(url, `HEAD /api/v1/notes/${id}`))).toBe(401)
    expect(statusOf(await request(url, `HEAD /api/v1/notes/${id}`, [bearer(eve)]))).toBe(404)
    const own = await request(url, `HEAD /api/v1/notes/${id}`, [bearer(ada)])
    expect(statusOf(own)).toBe(200)
    expect(own.split('\r\n\r\n')[1]).toBe('')
    const options = await request(url, `OPTIONS /api/v1/notes/${id}`, [bearer(eve)])
    expect(statusOf(options)).toBe(204)
    const allowed = /\r\nallow: (.*)\r\n/.exec(options)?.[1]?.split(', ')
    expect(allowed?.toSorted()).toEqual(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH'])
    expect(statusOf(await request(url, `HEAD /api/v1/auth/login`))).toBe(405)
  })

  it('neither echoes a request nor opens a tunnel', async () => {
    const traced = await request(url, 'TRACE /api/v1/auth/me', [bearer(ada)])
    expect(statusOf(traced)).toBe(405)
    expect(traced).not.toContain(ada.tokens.access_token)
    expect(statusOf(await request(url, 'CONNECT 127.0.0.1:22'))).toBe(405)
    expect(statusOf(await request(url, 'GET http://127.0.0.1:22/'))).toBe(400)
    expect(statusOf(await request(url, 'GET healthz'))).toBe(400)
    expect(statusOf(await request(url, `GET /api/v1/notes?cursor=%E0%80`, [bearer(ada)]))).toBe(400)
  })

  it('is reached by headers of at most 16 KiB', async () => {
    const oversized = await request(url, 'GET /healthz', [`X-Tenant-ID: ${'a'.repeat(17_000)}`])
    expect(statusOf(oversized)).toBe(431)
    expect(oversized).toMatch(/"success":false,"error":\{"code":"http.headers_too_large"/)
    expect(oversized).toMatch(/x-content-type-options: nosniff/)
    expect(statusOf(await request(url, 'GET /api/v1/notes', [bearer(ada), `X-Tenant-ID: ${'a'.repeat(10_000)}`]))).toBe(
      400,
    )
    expect(statusOf(await request(url, `GET /${'a'.repeat(17_000)}`))).toBe(431)
  })

  it('is asked once: what hides behind an ambiguous body never runs', async () => {
    const id = await team(ada)
    const smuggled = `DELETE /api/v1/tenants/${id} HTTP/1.1\r\nHost: localhost\r\n${bearer(ada)}\r\n\r\n`
    const body = '{"email":"a@b.cd","password":"x"}'
    for (const framing of [
      [`Content-Length: ${body.length}`, `Content-Length: ${body.length + smuggled.length}`],
      [`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'],
      [`Content-Length: ${body.length}`, 'Transfer-Encoding : chunked'],
      ['Transfer-Encoding: xchunked', `Content-Length: ${body.length}`],
      ['Transfer-Encoding: chunked, identity'],
      [`Content-Length: +${body.length}`],
      [`Content-Length: 0x${body.length.toString(16)}`],
    ]) {
      const head = ['POST /api/v1/auth/login HTTP/1.1', 'Host: localhost', 'Content-Type: application/json', ...framing]
      const answer = await wire(url, `${head.join('\r\n')}\r\n\r\n${body}${smuggled}`)
      expect([framing, statusOf(answer), answer.match(/HTTP\/1\.1 \d/g)?.length]).toEqual([framing, 400, 1])
    }
    expect((await ada.get(`/api/v1/tenants/${id}`)).status).toBe(200)
  })
})
