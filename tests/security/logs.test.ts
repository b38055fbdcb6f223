import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp } from 'tsforge/testing'
import type { TestApp } from 'tsforge/testing'
import { createApp } from 'tsforge'
import type { App } from 'tsforge'
import config from '../../apps/reference/forge.config.ts'
import { request, statusOf } from './wire.ts'

/** The app as it runs, its lines caught as they leave; the lab brings the database. */
let lab: TestApp
let app: App
let url: string
let lines = ''
beforeAll(async () => {
  const FORGE_SECRET = randomUUID() + randomUUID()
  lab = await createTestApp({ config, env: { FORGE_SECRET } })
  app = await createApp({
    config,
    root: '/nonexistent',
    env: {
      NODE_ENV: 'test',
      PORT: '0',
      FORGE_SECRET,
      // It goes by the machine's clock, and the machine may be busy.
      FORGE_HTTP_SHED_DELAY: '1h',
      DATABASE_POOL_WAIT: '60s',
      FORGE_ACCOUNTS_HASH_INSECURE: 'true',
      FORGE_ACCOUNTS_HASH_MEMORY: '64kb',
      FORGE_ACCOUNTS_HASH_PASSES: '1',
      ...(lab.databaseUrl === undefined
        ? { FORGE_DB_DRIVER: 'pglite', FORGE_DB_DATA_DIR: folder }
        : { DATABASE_URL: lab.databaseUrl }),
    },
    sink: { write: (line) => void (lines += line), flushSync: () => {} },
  })
  url = (await app.start()).url
})
afterAll(async () => {
  await app.stop()
  await lab[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})
const folder = join(tmpdir(), `forge-security-${randomUUID()}`)

function parsed(): Record<string, unknown>[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('the log', () => {
  it('is one line of printable ASCII per request, whatever was sent', async () => {
    // Of a proxy that nobody named the log warns, once.
    await request(url, 'GET /', ['X-Forwarded-For: 192.0.2.1'])
    const before = parsed().length
    const hostile = [
      '/%0a{"level":"info","msg":"forged"}',
      '/%0d%0aSet-Cookie:x=1',
      '/%1b[31mred%1b[0m',
      '/${jndi:ldap://127.0.0.1/a}',
      '/%u2028%e2%80%a8',
      `/${'a'.repeat(9_000)}`,
      '/"}\\u0000',
      '/\u009b2J\u00e9\u00a0',
    ]
    const headers = [
      'User-Agent: ${jndi:ldap://127.0.0.1/a}\u009b31m',
      'X-Request-ID: "}{"level":"fatal"',
      'X-Forwarded-For: "}, 1.1.1.1',
      'Traceparent: 00-"}-x-01',
    ]
    // 400 where the encoding is none, 414 where a part is too long: what matters is that a line with the path is due.
    for (const path of hostile)
      expect([path, [400, 404, 414].includes(statusOf(await request(url, `GET ${path}`, headers)))]).toEqual([
        path,
        true,
      ])
    const { path } = parsed().find((line) => String(line['path']).startsWith('/"}'))!
    expect(path).toBe(hostile[6])
    // Controls never come as far as a path.
    hostile.push('/\u001b[2J')
    expect(statusOf(await request(url, `GET ${hostile.at(-1)!}`, headers))).toBe(400)
    const found = parsed().slice(before)
    expect(found).toHaveLength(hostile.length)
    for (const line of found) {
      expect(JSON.stringify(line).length).toBeLessThan(8_192)
      expect(line).not.toMatchObject({ msg: 'forged' })
    }
    expect(lines).toMatch(/^[\x20-\x7e\n]*$/)
  })

  it('holds no secret of a whole journey, nor of one that fails', async () => {
    const secrets: string[] = []
    const keep = (secret: string): string => {
      secrets.push(secret)
      return secret
    }
    const json = { 'content-type': 'application/json' }
    const post = async (path: string, body: object, token?: string): Promise<{ status: number; data: unknown }> => {
      const headers = { ...json, ...(token !== undefined && { authorization: `Bearer ${token}` }) }
      const reply = await app.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
      const text = await reply.text()
      return { status: reply.status, data: text === '' ? undefined : (JSON.parse(text) as { data: unknown }).data }
    }
    const email = `${randomUUID()}@example.com`
    const password = keep(`Zq-${randomUUID()}`)
    const joined = await post('/api/v1/auth/register', { email, password, name: 'Ada' })
    expect(joined.status).toBe(201)
    const { tokens } = joined.data as { tokens: { access_token: string; refresh_token: string } }
    keep(tokens.access_token)
    keep(tokens.refresh_token)
    const again = await post('/api/v1/auth/refresh', { refresh_token: tokens.refresh_token })
    const { access_token: access, refresh_token: refresh } = again.data as typeof tokens
    keep(access)
    keep(refresh)
    expect((await post('/api/v1/auth/login', { email, password: keep(`wrong-${randomUUID()}`) })).status).toBe(401)
    expect((await post('/api/v1/auth/login', { email, password: [keep(`list-${randomUUID()}`)] })).status).toBe(422)
    expect((await post('/api/v1/auth/register', { email, password, name: 'Ada' })).status).toBe(409)
    const next = keep(`Next-${randomUUID()}`)
    expect(
      (await post('/api/v1/auth/password', { current_password: password, new_password: next }, access)).status,
    ).toBe(204)
    const inQuery = keep(`query-${randomUUID()}`)
    expect((await app.fetch(`/api/v1/auth/me?access_token=${inQuery}`)).status).toBe(401)
    const basic = keep(Buffer.from(`${email}:${password}`).toString('base64'))
    expect(
      (
        await app.fetch('/api/v1/auth/me', {
          headers: { authorization: `Basic ${basic}`, cookie: `sid=${keep(randomUUID())}` },
        })
      ).status,
    ).toBe(401)
    expect(
      (
        await app.fetch('/api/v1/auth/login', {
          method: 'POST',
          headers: json,
          body: `{"password":"${keep(randomUUID())}`,
        })
      ).status,
    ).toBe(400)
    expect((await post('/api/v1/auth/logout', {}, access)).status).toBe(204)
    expect(lines.length).toBeGreaterThan(1000)
    for (const secret of secrets) expect(lines).not.toContain(secret)
    expect(lines).not.toMatch(/argon2id\$|BEGIN [A-Z ]*PRIVATE/)
    expect(lines).not.toContain(email)
  })

  it('says who was refused, where and when', async () => {
    const before = parsed().length
    await request(url, 'GET /api/v1/auth/me', ['Authorization: Bearer nonsense', 'X-Request-ID: seen-1'])
    expect(parsed().slice(before)).toContainEqual(
      expect.objectContaining({ route: '/api/v1/auth/me', status: 401, ip: '127.0.0.1', request_id: 'seen-1' }),
    )
  })
})
