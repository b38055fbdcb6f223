import { createTestApp } from 'tsforge/testing'
import { describe, expect, it } from 'vitest'
import config from './forge.config.ts'

const limited = (env: Record<string, string> = {}) =>
  createTestApp({ config, env: { FORGE_RATELIMIT_ENFORCED: 'true', FORGE_HTTP_TRUSTED_PROXIES: '127.0.0.1', ...env } })

describe('rate limits of the product', () => {
  it('keep one network from guessing passwords and from registering crowds, and leave others alone', async () => {
    await using app = await limited()
    const login = (ip: string, n: number) =>
      app.fetch('http://app/api/v1/auth/login', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': ip },
        body: JSON.stringify({ email: `nobody${n}@example.com`, password: 'wrong horse battery' }),
      })
    const answers = []
    for (let n = 0; n < 40; n++) answers.push(await login(`2001:db8::${n.toString(16)}`, n))
    const codes = answers.map(({ status }) => status)
    expect(codes.slice(0, 30)).not.toContain(429)
    expect(new Set(codes.slice(30))).toEqual(new Set([429]))
    const last = answers.at(-1)!
    expect(last.headers.get('ratelimit-policy')).toBe('"login";q=30;w=60')
    expect(last.headers.get('ratelimit')).toBe(`"login";r=0;t=${last.headers.get('retry-after')}`)
    expect(await last.json()).toMatchObject({ success: false, error: { code: 'ratelimit.exceeded' } })
    expect((await login('2001:db8:0:1::1', 1)).status).toBe(401)
    await app.clock.advance(Number(last.headers.get('retry-after')) * 1000)
    expect((await login('2001:db8::1', 2)).status).toBe(401)

    const register = (n: number) =>
      app.fetch('http://app/api/v1/auth/register', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': '192.0.2.1' },
        body: JSON.stringify({ email: `user${n}@example.com`, password: 'correct horse battery', name: 'Ada' }),
      })
    const registered = []
    for (let n = 0; n < 21; n++) registered.push((await register(n)).status)
    expect(registered).toEqual([...Array.from({ length: 20 }, () => 201), 429])
  })

  it('count users by themselves, whatever network they come from, and never touch health', async () => {
    await using app = await limited({ FORGE_RATELIMIT_PER_USER: '3' })
    const [ada, bob] = [await app.register(), await app.register()]
    const me = async (token: string, ip: string) => {
      const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': ip }
      return (await app.fetch('http://app/api/v1/auth/me', { headers })).status
    }
    const codes = []
    for (let n = 0; n < 5; n++) codes.push(await me(ada.tokens.access_token, `192.0.2.${n}`))
    expect(codes).toEqual([200, 200, 200, 429, 429])
    expect(await me(bob.tokens.access_token, '192.0.2.1')).toBe(200)
    const health = await app.fetch('http://app/healthz')
    expect([health.status, health.headers.get('ratelimit')]).toEqual([200, null])
  })
})
