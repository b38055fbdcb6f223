import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cheapHashes, login, password, refresh, register, someone } from './people.ts'
import { appFolder, ask, launch } from './product.ts'
import type { AppFolder, Product } from './product.ts'

let folder: AppFolder
let product: Product
beforeAll(async () => {
  folder = await appFolder()
  product = await launch({ root: folder.root, env: cheapHashes })
})
afterAll(async () => {
  await product[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

describe('a fresh clone, started', () => {
  it('is alive and ready', async () => {
    expect(await product.ask('GET', '/healthz')).toMatchObject({
      status: 200,
      body: { success: true, data: { status: 'ok', service: 'reference' } },
    })
    expect(await product.ask('GET', '/readyz')).toMatchObject({
      status: 200,
      body: { data: { status: 'ready', checks: { db: 'ok' } } },
    })
  })

  it('takes a user from registration to logout', async () => {
    const email = someone()
    const registered = await register(product, email)
    expect(registered).toMatchObject({ status: 201, body: { success: true, data: { user: { email } } } })
    expect(registered.body.request_id).toBe(registered.headers.get('x-request-id'))

    const entered = await login(product, email)
    expect(entered.status).toBe(200)
    const refreshed = await refresh(product, entered.body.data.tokens.refresh_token)
    expect(refreshed.status).toBe(200)
    const token = refreshed.body.data.access_token

    expect(await product.ask('GET', '/api/v1/auth/me', { token })).toMatchObject({
      status: 200,
      body: { data: { email } },
    })
    const sessions = await product.ask<{ id: string; current: boolean }[]>('GET', '/api/v1/me/sessions', { token })
    expect(sessions.body.data.map((session) => session.current).sort()).toEqual([false, true])
    const other = sessions.body.data.find((session) => !session.current)
    expect((await product.ask('DELETE', `/api/v1/me/sessions/${other?.id}`, { token })).status).toBe(204)
    expect(
      (await product.ask('GET', '/api/v1/auth/me', { token: registered.body.data.tokens.access_token })).status,
    ).toBe(401)

    const created = await product.ask<{ id: string }>('POST', '/api/v1/notes', {
      token,
      body: { title: 'Plan', body: 'Sleep' },
    })
    expect(created.status).toBe(201)
    expect((await product.ask('GET', `/api/v1/notes/${created.body.data.id}`, { token })).status).toBe(200)

    expect((await product.ask('POST', '/api/v1/auth/logout', { token })).status).toBe(204)
    expect(await product.ask('GET', '/api/v1/auth/me', { token })).toMatchObject({
      status: 401,
      body: { success: false },
    })
  })

  it('answers an unknown user and a wrong password alike', async () => {
    const email = someone()
    await register(product, email)
    const wrong = await product.ask('POST', '/api/v1/auth/login', { body: { email, password: `${password}!` } })
    const unknown = await product.ask('POST', '/api/v1/auth/login', { body: { email: someone(), password } })
    expect(wrong.status).toBe(401)
    expect({ ...wrong.body, request_id: '' }).toEqual({ ...unknown.body, request_id: '' })
  })

  it('serves its documentation and the document behind it', async () => {
    const docs = await fetch(`${product.url}/docs`)
    expect(docs.status).toBe(200)
    expect(docs.headers.get('content-type')).toMatch(/^text\/html/)
    const document = (await (await fetch(`${product.url}/openapi.json`)).json()) as {
      openapi: string
      paths: Record<string, unknown>
    }
    expect(document.openapi).toMatch(/^3\.1\./)
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/api/v1/auth/register', '/api/v1/notes/{id}', '/readyz']),
    )
  })

  it.each([
    ['an unknown path', 'GET', '/api/v1/nothing', {}, 404],
    ['a wrong method', 'DELETE', '/api/v1/auth/login', {}, 405],
    [
      'a body that is too large',
      'POST',
      '/api/v1/auth/login',
      { body: { email: 'x', password: 'y'.repeat(1_100_000) } },
      413,
    ],
    [
      'another media type',
      'POST',
      '/api/v1/auth/login',
      { body: 'email=a', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
    ],
    ['a broken body', 'POST', '/api/v1/auth/login', { body: '{"email":' }, 400],
    ['an unknown key', 'POST', '/api/v1/auth/login', { body: { email: 'a@example.com', password, admin: true } }, 422],
    ['no credentials', 'GET', '/api/v1/auth/me', {}, 401],
  ])('answers %s in the envelope', async (_, method, path, asking, status) => {
    const answer = await ask(product.url, method, path, asking)
    expect(answer).toMatchObject({
      status,
      body: { success: false, error: { code: expect.stringMatching(/^[a-z_]+(\.[a-z_]+)*$/) } },
    })
    expect(answer.body.request_id).toBe(answer.headers.get('x-request-id'))
  })

  it('names the methods of an address beside a 405', async () => {
    expect((await product.ask('DELETE', '/api/v1/auth/login')).headers.get('allow')).toContain('POST')
  })

  it('lets one of a hundred registrations of an address through', async () => {
    const email = someone()
    const answers = await Promise.all(Array.from({ length: 100 }, () => register(product, email)))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    // Beyond the queue of the password hasher callers are asked to come back.
    expect(statuses.filter((status) => status !== 201 && status !== 409 && status !== 503)).toEqual([])
  })

  it('shows its metrics to this machine', async () => {
    const metrics = await fetch(`${product.url}/metrics`)
    expect(metrics.status).toBe(200)
    expect(await metrics.text()).toMatch(/^# HELP /m)
    expect((await fetch(`${product.url}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9' } })).status).toBe(404)
  })
})
