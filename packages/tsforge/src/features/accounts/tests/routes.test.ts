import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestApp } from '../../../testing/index.ts'
import type { Reply, TestApp } from '../../../testing/index.ts'
import { accounts } from '../index.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ features: [accounts()] })
})
afterAll(() => app[Symbol.asyncDispose]())

const password = 'a quiet river at dawn'
const uuid = /^[0-9a-f-]{36}$/
const bare = ({ status, body }: Reply): unknown => ({ status, body: { ...body, request_id: '' } })

interface Tokens {
  access_token: string
  refresh_token: string
  token_type: string
  expires_at: string
  refresh_expires_at: string
}

test('register, me, refresh, sessions, logout: the whole way', async () => {
  const registered = await app.client.post<{ user: Record<string, unknown>; tokens: Tokens }>('/api/v1/auth/register', {
    email: 'Journey@Example.org',
    password,
    name: 'Ada',
  })
  expect(registered.status).toBe(201)
  expect(registered.headers['cache-control']).toBe('no-store')
  const { user, tokens } = registered.body.data
  expect(user).toEqual({
    id: expect.stringMatching(uuid),
    email: 'Journey@Example.org',
    name: 'Ada',
    role: 'user',
    created_at: expect.any(String),
    updated_at: expect.any(String),
  })
  expect(tokens).toEqual({
    access_token: expect.any(String),
    refresh_token: expect.stringMatching(/^rt_/),
    token_type: 'Bearer',
    expires_at: expect.any(String),
    refresh_expires_at: expect.any(String),
  })
  expect(new Date(tokens.expires_at).getTime()).toBeGreaterThan(app.clock.now())

  const me = app.as(tokens.access_token)
  expect((await me.get('/api/v1/auth/me')).body.data).toEqual(user)

  const refreshed = await app.client.post<Tokens>('/api/v1/auth/refresh', { refresh_token: tokens.refresh_token })
  expect(refreshed.status).toBe(200)
  expect(refreshed.headers['cache-control']).toBe('no-store')
  const newest = app.as(refreshed.body.data.access_token)

  const second = await app.login({ email: 'journey@example.org', password })
  const listed = await newest.get<{ id: string; current: boolean }[]>('/api/v1/me/sessions')
  expect(listed.body.data.map((session) => session.current).sort()).toEqual([false, true])

  const other = listed.body.data.find((session) => !session.current)!
  expect((await newest.delete(`/api/v1/me/sessions/${other.id}`)).status).toBe(204)
  expect((await second.get('/api/v1/auth/me')).body.error.code).toBe('auth.session_revoked')
  expect((await newest.delete(`/api/v1/me/sessions/${other.id}`)).body.error.code).toBe('session.not_found')

  await app.login({ email: 'journey@example.org', password })
  expect((await newest.delete<{ revoked: number }>('/api/v1/me/sessions')).body.data).toEqual({ revoked: 1 })

  expect((await newest.post('/api/v1/auth/logout')).status).toBe(204)
  for (const token of [tokens.access_token, refreshed.body.data.access_token]) {
    const dead = await app.as(token).get('/api/v1/auth/me')
    expect([dead.status, dead.body.error.code]).toEqual([401, 'auth.session_revoked'])
    expect(dead.headers['www-authenticate']).toMatch(/^Bearer/)
  }
  const late = await app.client.post('/api/v1/auth/refresh', { refresh_token: refreshed.body.data.refresh_token })
  expect([late.status, late.body.error.code]).toEqual([401, 'auth.session_revoked'])
})

test('changes the password with the current one, and ends the other sessions', async () => {
  const user = await app.register({ password })
  const thief = await app.login(user)
  const wrong = await user.post('/api/v1/auth/password', {
    current_password: 'a wrong river at dawn',
    new_password: 'another river at dusk',
  })
  expect([wrong.status, wrong.body.error.code]).toEqual([401, 'user.invalid_credentials'])
  const weak = await user.post('/api/v1/auth/password', { current_password: password, new_password: 'password123' })
  expect([weak.status, weak.body.error.code]).toEqual([422, 'user.password_too_common'])
  expect(
    (await user.post('/api/v1/auth/password', { current_password: password, new_password: 'another river at dusk' }))
      .status,
  ).toBe(204)
  expect((await user.get('/api/v1/auth/me')).status).toBe(200)
  expect((await thief.get('/api/v1/auth/me')).status).toBe(401)
  expect((await app.client.post('/api/v1/auth/login', { email: user.email, password })).status).toBe(401)
  expect(
    (await app.client.post('/api/v1/auth/login', { email: user.email, password: 'another river at dusk' })).status,
  ).toBe(200)
})

test('an unknown address and a wrong password are one answer, byte for byte', async () => {
  const user = await app.register({ password })
  const unknown = await app.client.post('/api/v1/auth/login', { email: 'nobody@example.org', password })
  const wrong = await app.client.post('/api/v1/auth/login', { email: user.email, password: 'a wrong river at dawn' })
  expect(unknown.status).toBe(401)
  expect(bare(unknown)).toEqual(bare(wrong))
  expect(unknown.headers['content-length']).toBe(wrong.headers['content-length'])
  expect(Object.keys(unknown.headers).sort()).toEqual(Object.keys(wrong.headers).sort())
})

test('speaks Indonesian when asked', async () => {
  const answer = await app.client.post(
    '/api/v1/auth/login',
    { email: 'nobody@example.org', password },
    { headers: { 'accept-language': 'id' } },
  )
  expect(answer.body.error.message).toBe('Alamat email atau kata sandi salah.')
})

test.each([
  ['id', '01890000-0000-7000-8000-000000000000'],
  ['role', 'admin'],
  ['is_admin', true],
  ['status', 'active'],
  ['tenant_id', '01890000-0000-7000-8000-000000000000'],
  ['created_by', null],
  ['version', 7],
  ['deleted_at', null],
  ['password_hash', 'x'],
  ['email_verified', true],
  ['email_normalized', 'x@y.z'],
])('takes no %s from a registration', async (key, value) => {
  const refused = await app.client.post('/api/v1/auth/register', {
    email: 'mass@example.org',
    password,
    name: 'Ada',
    [key]: value,
  })
  expect(refused.status).toBe(422)
})

test.each([
  '{"email":"proto@example.org","password":"a quiet river at dawn","name":"Ada","__proto__":{"role":"admin"}}',
  '{"email":"proto@example.org","password":"a quiet river at dawn","name":"Ada","constructor":{"prototype":{"role":"admin"}}}',
  '{"email":["proto@example.org"],"password":"a quiet river at dawn","name":"Ada"}',
  '{"email":{"$gt":""},"password":{"$gt":""},"name":"Ada"}',
  '[]',
  'null',
  '"text"',
  '{',
])('refuses the body %s', async (raw) => {
  const { status } = await app.client.send('POST', '/api/v1/auth/register', raw, {
    headers: { 'content-type': 'application/json' },
  })
  expect([400, 422]).toContain(status)
  expect(({} as { role?: string }).role).toBeUndefined()
})

test('nothing of a refused registration has stayed', async () => {
  for (const email of ['mass@example.org', 'proto@example.org']) {
    expect((await app.client.post('/api/v1/auth/login', { email, password })).status).toBe(401)
  }
})

test('a taken address is 409, in whatever case', async () => {
  const user = await app.register({ password })
  const again = await app.client.post('/api/v1/auth/register', {
    email: user.email.toUpperCase(),
    password,
    name: 'Eve',
  })
  expect([again.status, again.body.error.code]).toEqual([409, 'user.email_taken'])
})

test('a refresh token is no access token, and neither is anything else', async () => {
  const user = await app.register()
  for (const token of [
    user.tokens.refresh_token,
    '',
    'x',
    'a.b',
    'a.b.c',
    '....',
    `${user.tokens.access_token}x`,
    'a.b.c'.repeat(2_000),
  ]) {
    expect((await app.client.get('/api/v1/auth/me', { token })).status).toBe(401)
  }
  expect(
    (await app.client.get('/api/v1/auth/me', { headers: { authorization: `Basic ${user.tokens.access_token}` } }))
      .status,
  ).toBe(401)
  expect(
    (await app.client.get('/api/v1/auth/me', { headers: { authorization: `bearer ${user.tokens.access_token}` } }))
      .status,
  ).toBe(200)
  expect((await app.client.get('/api/v1/auth/me')).status).toBe(401)
})

test('a stale access token does not keep anybody from logging in or refreshing', async () => {
  const user = await app.register()
  const stale = app.client.with({ token: 'a.b.c' })
  expect((await stale.post('/api/v1/auth/login', { email: user.email, password: user.password })).status).toBe(200)
  expect((await stale.post('/api/v1/auth/refresh', { refresh_token: user.tokens.refresh_token })).status).toBe(200)
})

test('one user cannot see or end the session of another', async () => {
  const [ada, eve] = [await app.register(), await app.register()]
  const [session] = (await ada.get<{ id: string }[]>('/api/v1/me/sessions')).body.data
  const foreign = await eve.delete(`/api/v1/me/sessions/${session!.id}`)
  const unknown = await eve.delete('/api/v1/me/sessions/01890000-0000-7000-8000-000000000000')
  expect(foreign.status).toBe(404)
  expect(bare(foreign)).toEqual(bare(unknown))
  expect((await eve.delete('/api/v1/me/sessions/not-a-uuid')).status).toBeGreaterThanOrEqual(400)
  expect((await ada.get('/api/v1/auth/me')).status).toBe(200)
})

test('too many guesses get 429 with Retry-After, and the wait is over when it says', async () => {
  const user = await app.register({ password })
  let last: Reply | undefined
  for (let n = 0; n < 12 && last?.status !== 429; n++) {
    last = await app.client.post('/api/v1/auth/login', { email: user.email, password: 'a wrong river at dawn' })
  }
  expect([last!.status, last!.body.error.code]).toEqual([429, 'accounts.too_many_attempts'])
  app.clock.jump(app.clock.now() + Number(last!.headers['retry-after']) * 1_000)
  expect((await app.client.post('/api/v1/auth/login', { email: user.email, password })).status).toBe(200)
})

test('logs no password and no token', async () => {
  const user = await app.register({ password: 'a very secret river' })
  await app.client.post('/api/v1/auth/refresh', { refresh_token: user.tokens.refresh_token })
  const text = JSON.stringify(app.logged)
  for (const secret of ['a very secret river', user.tokens.refresh_token, user.tokens.access_token])
    expect(text).not.toContain(secret)
})
