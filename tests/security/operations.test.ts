import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dbPort } from 'tsforge/db'
import type { Db } from 'tsforge/db'
import type { TestApp } from 'tsforge/testing'
import { target } from './target.ts'
import { request, statusOf } from './wire.ts'

let app: TestApp
let url: string
beforeAll(async () => {
  app = await target()
  url = (await app.start()).url
})
afterAll(() => app[Symbol.asyncDispose]())

const asking = new AsyncLocalStorage<string[]>()

/** Statements that the app sends for what `work` asks, and none of what else goes on in it. */
async function statements(db: Db, work: () => Promise<void>): Promise<string[]> {
  const seen: string[] = []
  const original = db.query
  Object.assign(db, {
    query: (...args: Parameters<Db['query']>) => {
      asking.getStore()?.push(args[0])
      return original.apply(db, args)
    },
  })
  try {
    await asking.run(seen, work)
  } finally {
    Reflect.deleteProperty(db, 'query')
  }
  return seen
}

describe('metrics', () => {
  it('are for direct callers on this machine: no proxy brings anybody in', async () => {
    expect(statusOf(await request(url, 'GET /metrics'))).toBe(200)
    for (const header of [
      'X-Forwarded-For: 203.0.113.9',
      'X-Forwarded-For: 127.0.0.1',
      'x-forwarded-for: ::1',
      'Forwarded: for=127.0.0.1',
      'X-Real-IP: 127.0.0.1',
      'X-Forwarded-Host: localhost',
      'X-Forwarded-Proto: https',
      'Via: 1.1 proxy',
      'CF-Connecting-IP: 127.0.0.1',
      'True-Client-IP: 127.0.0.1',
    ])
      expect([header, statusOf(await request(url, 'GET /metrics', [header]))]).toEqual([header, 404])
  })

  it('name templates and no ids, users or addresses, so that callers cannot grow them', async () => {
    const ada = await app.register()
    for (let n = 0; n < 50; n++) {
      await ada.get(`/api/v1/notes/${randomUUID()}`)
      await app.client.get(`/made-up/${randomUUID()}`)
      await app.client.send('PROPFIND', `/api/v1/notes/${randomUUID()}`)
    }
    const text = await request(url, 'GET /metrics')
    expect(text).toContain('/api/v1/notes/:id')
    expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-|made-up|@example/)
  })
})

describe('readiness', () => {
  it('says which part and how it is: no version, address, name or reason', async () => {
    const { body, text } = await app.client.get<{ checks: Record<string, string> }>('/readyz')
    for (const state of Object.values(body.data.checks)) expect(['ok', 'not used', 'degraded']).toContain(state)
    expect(text).not.toMatch(/\d+\.\d+|postgres|localhost|\//i)
  })
})

describe('the key set', () => {
  it('is public halves only, and costs no query, as often as it is asked for', async () => {
    const seen = await statements(app.get(dbPort), async () => {
      for (let n = 0; n < 100; n++) {
        const { text, headers, status } = await app.client.get('/.well-known/jwks.json')
        expect(status).toBe(200)
        expect(headers['cache-control']).toMatch(/public, max-age=\d+/)
        expect(text).not.toMatch(/"(d|p|q|dp|dq|qi|k|oth)"/)
      }
    })
    expect(seen).toEqual([])
  })

  it('is looked up at most once for a flood of tokens with unknown kids, all refused', async () => {
    const ada = await app.register()
    const [, payload, signature] = ada.tokens.access_token.split('.')
    const seen = await statements(app.get(dbPort), async () => {
      for (let n = 0; n < 200; n++) {
        const header = Buffer.from(`{"alg":"EdDSA","kid":"${randomUUID()}","typ":"at+jwt"}`).toString('base64url')
        expect((await app.as(`${header}.${payload}.${signature}`).get('/api/v1/auth/me')).status).toBe(401)
      }
    })
    expect(seen.length).toBeLessThanOrEqual(1)
    const counted = await statements(app.get(dbPort), async () => {
      expect((await ada.get('/api/v1/auth/me')).status).toBe(200)
    })
    expect(counted.length).toBeGreaterThan(0)
  })
})
