import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { accountsPort } from 'tsforge/accounts'
import type { Reply, TestApp } from 'tsforge/testing'
import { bytes, sound, target } from './target.ts'

let app: TestApp
beforeEach(async () => {
  app = await target()
})
afterEach(() => app[Symbol.asyncDispose]())

const login = async (email: string, password: string, from = '198.51.100.7'): Promise<Reply> =>
  sound(await app.client.post('/api/v1/auth/login', { email, password }, { headers: { 'x-forwarded-for': from } }))

describe('a failed login', () => {
  it('has the same bytes for unknown, wrong, disabled and deleted, in every language and form', async () => {
    const [ada, off, gone] = [await app.register(), await app.register(), await app.register()]
    expect((await login(off.email, off.password)).status).toBe(200)
    await app.get(accountsPort).disable(off.id)
    await app.db.query('update forge_accounts_users set deleted_at = now() where id = $1', [gone.id])
    for (const headers of [{}, { 'accept-language': 'id' }, { accept: 'application/problem+json' }] as Record<
      string,
      string
    >[]) {
      const failed = async (email: string, password: string): Promise<string> =>
        bytes(
          await app.client.post(
            '/api/v1/auth/login',
            { email, password },
            { headers: { ...headers, 'x-forwarded-for': `198.51.100.${++host}` } },
          ),
        )
      const unknown = await failed(`${randomUUID()}@example.com`, 'a wrong pass phrase')
      expect(unknown).toMatch(/^\[401/)
      expect(await failed(ada.email, 'a wrong pass phrase')).toBe(unknown)
      expect(await failed(off.email, off.password)).toBe(unknown)
      expect(await failed(gone.email, gone.password)).toBe(unknown)
      expect(await failed('no address at all', 'a wrong pass phrase')).toBe(unknown)
      expect(await failed("' or 1=1 --@example.com", "' or '1'='1")).toBe(unknown)
      expect(await failed(ada.email, 'é'.repeat(1000))).toBe(unknown)
    }
  })
  let host = 0

  it('costs the same hashing for unknown, wrong and disabled', async () => {
    const ada = await app.register()
    const off = await app.register()
    await app.get(accountsPort).disable(off.id)
    const { passwords } = app.services['accounts'] as { passwords: { verify(...args: unknown[]): Promise<boolean> } }
    const verify = passwords.verify.bind(passwords)
    let hashes = 0
    passwords.verify = (...args) => (hashes++, verify(...args))
    for (const [email, password] of [
      [`${randomUUID()}@example.com`, 'a wrong pass phrase'],
      [ada.email, 'a wrong pass phrase'],
      [off.email, off.password],
      ['no address at all', 'a wrong pass phrase'],
    ] as const) {
      hashes = 0
      expect([email, (await login(email, password)).status, hashes]).toEqual([email, 401, 1])
    }
  })

  it('counts for the one who sends it: no header buys fresh tries unless a proxy vouches for it', async () => {
    await using direct = await target({ FORGE_HTTP_TRUSTED_PROXIES: '10.0.0.0/8' })
    const ada = await direct.register()
    const statuses = []
    for (let n = 0; n < 15; n++) {
      const headers = {
        'x-forwarded-for': `203.0.113.${n}`,
        'x-real-ip': `203.0.113.${n}`,
        forwarded: `for=203.0.113.${n}`,
        'true-client-ip': `203.0.113.${n}`,
      }
      const reply = await direct.client.post(
        '/api/v1/auth/login',
        { email: ada.email, password: `wrong ${n}` },
        { headers },
      )
      statuses.push(reply.status)
    }
    expect(statuses).toEqual([...Array<number>(10).fill(401), ...Array<number>(5).fill(429)])
  })

  it('behind a proxy counts for the address that the proxy saw, whatever stands before it', async () => {
    const ada = await app.register()
    const statuses = []
    for (let n = 0; n < 15; n++)
      statuses.push((await login(ada.email, `wrong ${n}`, `203.0.113.${n}, 198.51.100.7`)).status)
    expect(statuses.filter((status) => status === 429)).toHaveLength(5)
  })

  it('counts for a whole IPv6 /64, in every spelling of address and account', async () => {
    const { email } = await app.register()
    const statuses = []
    for (let n = 0; n < 15; n++) {
      const spelt = [email, email.toUpperCase(), ` ${email} `][n % 3]!
      const from = [`2001:db8:0:1::${n.toString(16)}`, `2001:DB8::1:0:0:0:${n + 1}`, `[2001:db8:0:1:ffff::${n}]:4711`][
        n % 3
      ]!
      statuses.push((await login(spelt, `wrong ${n}`, from)).status)
    }
    expect(statuses.filter((status) => status === 429)).toHaveLength(5)
    expect((await login(email, 'wrong', '2001:db8:0:2::1')).status).toBe(401)
  })

  it('by others never keeps the owner out where he has signed in before', async () => {
    const ada = await app.register()
    expect((await login(ada.email, ada.password, '192.0.2.1')).status).toBe(200)
    for (let n = 0; n < 60; n++) await login(ada.email, `wrong ${n}`, `203.0.${n}.1`)
    expect((await login(ada.email, 'wrong', '203.0.200.1')).status).toBe(429)
    expect((await login(ada.email, ada.password, '192.0.2.1')).status).toBe(200)
  })
})
