import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestApp } from 'tsforge/testing'
import { ask, operationsOf, sampleOf, sound, target, urlOf } from './target.ts'

let app: TestApp
beforeAll(async () => {
  app = await target()
})
afterAll(() => app[Symbol.asyncDispose]())

const foreign = '01890000-0000-7000-8000-00000000dead'
const injected: Readonly<Record<string, unknown>> = {
  id: foreign,
  tenant_id: foreign,
  tenantId: foreign,
  user_id: foreign,
  owner_id: foreign,
  ownerId: foreign,
  personal_of: foreign,
  role: 'admin',
  is_admin: true,
  scopes: ['*'],
  permissions: ['*'],
  status: 'active',
  version: 99,
  kind: 'personal',
  created_at: '2001-01-01T00:00:00Z',
  created_by: foreign,
  updated_by: foreign,
  deleted_at: null,
  deleted_by: null,
  password_hash: '$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$x',
  email_verified: true,
  email_normalized: 'root@example.com',
  constructor: { name: 'x' },
  toString: 'x',
  hasOwnProperty: 'x',
  user: { role: 'admin' },
  data: { role: 'admin' },
}

describe('a body', () => {
  it('names only what the route declares: every other key is refused, wherever it would lead', async () => {
    const operations = (await operationsOf(app)).filter(({ body }) => body !== undefined)
    expect(operations.length).toBeGreaterThan(8)
    for (const operation of operations) {
      for (const [key, value] of Object.entries(injected)) {
        if (Object.hasOwn(operation.body!.properties, key)) continue
        const owner = await app.register()
        const sample = await sampleOf(operation, owner, app)
        const reply = await ask(owner, operation, { ...sample, body: { ...sample.body, [key]: value } })
        expect([operation.id, key, reply.status, reply.body.error.code]).toEqual([
          operation.id,
          key,
          422,
          'http.validation_failed',
        ])
      }
    }
  })

  it('cannot reach a prototype', async () => {
    for (const operation of (await operationsOf(app)).filter(({ body }) => body !== undefined)) {
      const owner = await app.register()
      const sample = await sampleOf(operation, owner, app)
      const rest = JSON.stringify(sample.body).slice(1)
      for (const [attack, status] of [
        ['"__proto__":{"role":"admin"},', 400],
        ['"\\u005f_proto__":{"role":"admin"},', 400],
        ['"constructor":{"prototype":{"role":"admin"}},', 400],
        ['"prototype":{"role":"admin"},', 422],
      ] as const) {
        const reply = sound(await owner.send(operation.method, urlOf(operation, sample), `{${attack}${rest}`))
        expect([operation.id, attack, reply.status]).toEqual([operation.id, attack, status])
      }
    }
    expect(({} as { role?: string }).role).toBeUndefined()
  })

  it('leaves what the server decides to the server', async () => {
    const ada = await app.register()
    const { body } = await ada.get<{ id: string; role: string }>('/api/v1/auth/me')
    expect(body.data).toMatchObject({ id: ada.id, role: 'user' })
    const made = await ada.post<{ id: string; version: number }>('/api/v1/notes', { title: 'x', body: '' })
    expect(made.body.data).toMatchObject({ version: 1 })
    for (const role of ['admin', 'OWNER', 'owner ', '', null, ['owner'], { owner: 1 }]) {
      const { id } = (await ada.post<{ id: string }>('/api/v1/tenants', { name: 'Team' })).body.data
      const eve = await app.register()
      const reply = sound(await ada.post(`/api/v1/tenants/${id}/members`, { user_id: eve.id, role }))
      expect([role, reply.status]).toEqual([role, 422])
      expect((await eve.get(`/api/v1/tenants/${id}`)).status).toBe(403)
    }
  })

  it('of a member changes nobody’s role, his own least of all', async () => {
    const ada = await app.register()
    const bob = await app.register()
    const { id } = (await ada.post<{ id: string }>('/api/v1/tenants', { name: 'Team' })).body.data
    await ada.post(`/api/v1/tenants/${id}/members`, { user_id: bob.id, role: 'member' })
    for (const reply of [
      await bob.patch(`/api/v1/tenants/${id}/members/${bob.id}`, { role: 'owner' }),
      await bob.patch(`/api/v1/tenants/${id}/members/${ada.id}`, { role: 'member' }),
      await bob.post(`/api/v1/tenants/${id}/members`, { user_id: bob.id, role: 'owner' }),
      await bob.delete(`/api/v1/tenants/${id}/members/${ada.id}`),
      await bob.patch(`/api/v1/tenants/${id}`, { name: 'Mine' }),
      await bob.delete(`/api/v1/tenants/${id}`),
      // Owner elsewhere is nobody here.
      await bob.with({ tenant: id }).post('/api/v1/notes', { title: 'x', body: '' }),
    ])
      expect(sound(reply)).toMatchObject({ status: 403, body: { error: { code: 'access.denied' } } })
    expect((await bob.get(`/api/v1/tenants/${id}`)).status).toBe(200)
  })
})
