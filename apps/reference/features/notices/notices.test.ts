import { createTestApp } from 'tsforge/testing'
import type { TestApp } from 'tsforge/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import config from '../../forge.config.ts'

let app: TestApp
beforeEach(async () => {
  app = await createTestApp({ config, env: { FORGE_HTTP_TRUSTED_PROXIES: '127.0.0.1' } })
})
afterEach(() => app[Symbol.asyncDispose]())

describe('notices', () => {
  it('welcome whoever registers, once, in their language', async () => {
    const values = { email: 'ada@example.com', name: 'Ada <b>', password: 'correct horse battery staple 9' }
    const indonesian = app.client.with({ headers: { 'accept-language': 'id' } })
    expect((await indonesian.post('/api/v1/auth/register', values)).status).toBe(201)
    expect((await indonesian.post('/api/v1/auth/register', values)).status).toBe(409)
    await app.jobs.drain()
    const mail = app.mail.expectSent({ to: 'ada@example.com', subject: 'Selamat datang, Ada <b>', times: 1 })
    expect(mail.message.html).toContain('Ada &lt;b&gt;')
  })

  it('tell of a new password, and of a sign-in from a network that is new', async () => {
    const ada = await app.register()
    const password = 'another long pass phrase 7'
    const change = { current_password: ada.password, new_password: password }
    expect((await ada.post('/api/v1/auth/password', change)).status).toBeLessThan(300)
    const from = (ip: string): Promise<unknown> =>
      app.client.post('/api/v1/auth/login', { email: ada.email, password }, { headers: { 'x-forwarded-for': ip } })
    await from('203.0.113.7')
    await from('203.0.113.7')
    await app.jobs.drain()
    app.mail.expectSent({ to: ada.email, subject: 'Your password was changed', times: 1 })
    app.mail.expectSent({ to: ada.email, subject: 'New sign-in to your account', text: /203\.0\.113\.7/, times: 1 })
    app.mail.expectNone({ subject: /Reset/ })
  })

  it('keep nobody out whose address or name no mail can carry', async () => {
    const password = 'correct horse battery staple 9'
    const strange = [
      { email: 'ädä@example.com', name: 'Ada' },
      { email: 'bob@example.com', name: 'Bob\u{feff}by' },
    ]
    for (const { email, name } of strange)
      expect([email, (await app.client.post('/api/v1/auth/register', { email, name, password })).status]).toEqual([
        email,
        201,
      ])
    await app.jobs.drain()
    app.mail.expectNone({})
  })
})
