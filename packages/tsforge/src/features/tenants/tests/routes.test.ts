import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineFeature } from '../../../http/feature.ts'
import type { Feature } from '../../../http/feature.ts'
import { route } from '../../../http/route.ts'
import { Type } from '../../../http/schema.ts'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import type { Client, Reply } from '../../../testing/client.ts'
import { tenants } from '../index.ts'
import { someone } from './setup.ts'

/** Signs in whoever says so: `Authorization: Test <user id> [scope,scope]`. And a route that asks in the current tenant. */
function lab(): Feature {
  return defineFeature({
    name: 'lab',
    permissions: {
      'notes.read': { description: 'Read', grantedTo: 'member' },
      'notes.write': { description: 'Write' },
    },
    setup: () => ({}),
    authenticator: () => ({
      name: 'test',
      scheme: { type: 'http', scheme: 'test' },
      authenticate: ({ authorization }) => {
        if (authorization?.scheme !== 'test') return undefined
        const [id = '', scopes] = authorization.value.split(' ')
        return {
          kind: 'user' as const,
          id,
          ...(scopes !== undefined && { scopes: scopes.split(',').filter((scope) => scope !== '') }),
        }
      },
    }),
    routes: () =>
      (['notes.read', 'notes.write'] as const).map((access) =>
        route({
          method: 'GET',
          url: `/${access}`,
          id: access.replace('.', ''),
          summary: access,
          access,
          data: Type.Object({ tenant_id: Type.String() }),
          handler: ({ tenantId }) => ({ tenant_id: String(tenantId) }),
        }),
      ),
  })
}

interface TenantBody {
  readonly id: string
  readonly name: string
  readonly version: number
}

interface ListOf<Item> {
  readonly items: readonly Item[]
  readonly page: { readonly next_cursor: string | null; readonly total?: number }
}

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ features: [lab(), tenants()] })
})
afterAll(() => app[Symbol.asyncDispose]())

const as = (id: string, scopes?: string): Client =>
  app.client.with({ headers: { authorization: `Test ${id}${scopes === undefined ? '' : ` ${scopes}`}` } })
const withoutId = (reply: Reply) => reply.text.replace(/"request_id":"[^"]*"/, '')

async function team(client: Client): Promise<TenantBody> {
  const reply = await client.post<TenantBody>('/api/v1/tenants', { name: 'Team' })
  expect(reply.status).toBe(201)
  expect(reply.headers['location']).toBe(`/api/v1/tenants/${reply.body.data.id}`)
  return reply.body.data
}

test('an owner makes, reads, renames and deletes a team', async () => {
  const owner = as(someone())
  const { id } = await team(owner)
  const list = await owner.get<ListOf<{ id: string; role: string }>>('/api/v1/tenants')
  expect(list.body.data.items).toEqual([expect.objectContaining({ id, role: 'owner', kind: 'team' })])
  const read = await owner.get<TenantBody>(`/api/v1/tenants/${id}`)
  expect(read.headers['etag']).toBe('"v1"')
  expect((await owner.get(`/api/v1/tenants/${id}`, { headers: { 'if-none-match': '"v1"' } })).status).toBe(304)
  const renamed = await owner.patch<TenantBody>(
    `/api/v1/tenants/${id}`,
    { name: 'New' },
    { headers: { 'if-match': '"v1"' } },
  )
  expect(renamed.body.data).toMatchObject({ name: 'New', version: 2 })
  expect(renamed.headers['etag']).toBe('"v2"')
  for (const stale of ['"v1"', 'W/"v2"', '"v3", "v4"', '"2"', '"v99999999999"']) {
    const reply = await owner.patch(`/api/v1/tenants/${id}`, { name: 'Lost' }, { headers: { 'if-match': stale } })
    expect([stale, reply.status]).toEqual([stale, 412])
  }
  expect((await owner.delete(`/api/v1/tenants/${id}`, { headers: { 'if-match': '"v1"' } })).status).toBe(412)
  expect((await owner.delete(`/api/v1/tenants/${id}`, { headers: { 'if-match': '*' } })).status).toBe(204)
  expect((await owner.get(`/api/v1/tenants/${id}`)).status).toBe(403)
})

test('members are added, promoted and removed; the last owner stays', async () => {
  const ownerId = someone()
  const memberId = someone()
  const owner = as(ownerId)
  const { id } = await team(owner)
  const members = `/api/v1/tenants/${id}/members`
  expect((await owner.post(members, { user_id: memberId })).body.data).toMatchObject({
    user_id: memberId,
    role: 'member',
  })
  expect((await owner.post(members, { user_id: memberId })).status).toBe(409)
  expect((await owner.delete(`${members}/${ownerId}`)).body.error.code).toBe('tenant.last_owner')
  expect((await owner.patch(`${members}/${memberId}`, { role: 'owner' })).status).toBe(200)
  expect((await owner.delete(`${members}/${ownerId}`)).status).toBe(204)
  expect((await owner.get(members)).status).toBe(403)
  expect((await as(memberId).get<ListOf<unknown>>(members)).body.data.items).toHaveLength(1)
})

test('a member reads and may leave, and manages nothing', async () => {
  const ownerId = someone()
  const memberId = someone()
  const { id } = await team(as(ownerId))
  const members = `/api/v1/tenants/${id}/members`
  await as(ownerId).post(members, { user_id: memberId })
  const member = as(memberId)
  expect((await member.get(`/api/v1/tenants/${id}`)).status).toBe(200)
  expect((await member.get(members)).status).toBe(200)
  for (const attempt of [
    member.patch(`/api/v1/tenants/${id}`, { name: 'Mine' }),
    member.delete(`/api/v1/tenants/${id}`),
    member.post(members, { user_id: someone() }),
    member.patch(`${members}/${memberId}`, { role: 'owner' }),
    member.delete(`${members}/${ownerId}`),
  ]) {
    const { status, body } = await attempt
    expect([status, body.error.code]).toEqual([403, 'access.denied'])
  }
  expect((await member.delete(`${members}/${memberId}`)).status).toBe(204)
  expect((await member.get(members)).status).toBe(403)
})

describe('the wall between tenants', () => {
  test('every route answers a foreign tenant with the very bytes of an unknown one', async () => {
    const ownerId = someone()
    const stranger = as(someone())
    const mine = (await team(stranger)).id
    const foreign = (await team(as(ownerId))).id
    const deleted = (await team(as(ownerId))).id
    await as(ownerId).delete(`/api/v1/tenants/${deleted}`)
    const attempts: ((id: string) => Promise<Reply>)[] = [
      (id) => stranger.get(`/api/v1/tenants/${id}`),
      (id) => stranger.patch(`/api/v1/tenants/${id}`, { name: 'x' }),
      (id) => stranger.patch(`/api/v1/tenants/${id}`, { name: 'x' }, { headers: { 'if-match': '"v9"' } }),
      (id) => stranger.delete(`/api/v1/tenants/${id}`),
      (id) => stranger.get(`/api/v1/tenants/${id}/members`),
      (id) => stranger.post(`/api/v1/tenants/${id}/members`, { user_id: someone() }),
      (id) => stranger.patch(`/api/v1/tenants/${id}/members/${ownerId}`, { role: 'member' }),
      (id) => stranger.delete(`/api/v1/tenants/${id}/members/${ownerId}`),
      // Checked in one tenant, written in another: the header of a tenant of one's own opens nothing.
      (id) => stranger.patch(`/api/v1/tenants/${id}`, { name: 'x' }, { tenant: mine }),
      (id) => stranger.post(`/api/v1/tenants/${id}/members`, { user_id: someone() }, { tenant: mine }),
      (id) => stranger.get('/notes.read', { tenant: id }),
    ]
    for (const attempt of attempts) {
      const unknown = await attempt(someone())
      expect([unknown.status, unknown.body.error.code]).toEqual([403, 'tenant.forbidden'])
      for (const id of [foreign, deleted, foreign.toUpperCase()])
        expect(withoutId(await attempt(id))).toBe(withoutId(unknown))
    }
    expect((await as(ownerId).get<TenantBody>(`/api/v1/tenants/${foreign}`)).body.data).toMatchObject({
      name: 'Team',
      version: 1,
    })
    expect((await as(ownerId).get<ListOf<unknown>>(`/api/v1/tenants/${foreign}/members`)).body.data.items).toHaveLength(
      1,
    )
    expect((await stranger.get<ListOf<{ id: string }>>('/api/v1/tenants')).body.data.items.map(({ id }) => id)).toEqual(
      [mine],
    )
  })

  test('bodies cannot name what is not theirs to name', async () => {
    const ownerId = someone()
    const owner = as(ownerId)
    const { id } = await team(owner)
    for (const extra of [
      { id: someone() },
      { kind: 'personal' },
      { personal_of: ownerId },
      { created_by: someone() },
      { version: 7 },
      { deleted_at: null },
      { role: 'owner' },
      { owner_id: someone() },
    ]) {
      expect((await owner.patch(`/api/v1/tenants/${id}`, { name: 'x', ...extra })).status).toBe(422)
      expect((await owner.post('/api/v1/tenants', { name: 'x', ...extra })).status).toBe(422)
    }
    for (const raw of ['{"name":"x","__proto__":{"role":"owner"}}', '{"name":"x","constructor":{"prototype":{}}}']) {
      expect(
        (await owner.send('PATCH', `/api/v1/tenants/${id}`, raw, { headers: { 'content-type': 'application/json' } }))
          .status,
      ).toBeGreaterThanOrEqual(400)
    }
    expect((await owner.get<TenantBody>(`/api/v1/tenants/${id}`)).body.data.version).toBe(1)
  })

  test('nonsense gets 4xx and never 5xx', async () => {
    const owner = as(someone())
    const { id } = await team(owner)
    for (const odd of ['x', '0', `${id}'`, '%00', '..%2f', '__proto__', 'a'.repeat(300)]) {
      const { status } = await owner.get(`/api/v1/tenants/${odd}`)
      expect([odd, status >= 400 && status < 500]).toEqual([odd, true])
    }
    for (const body of [
      {},
      { name: '' },
      { name: 1 },
      { name: 'x'.repeat(101) },
      { name: 'a\u0000b' },
      { name: '\uD800' },
      { slug: 'A' },
      { slug: '' },
      { slug: 5 },
    ]) {
      const { status } = await owner.patch(`/api/v1/tenants/${id}`, body)
      expect([body, status]).toEqual([body, expect.toSatisfy((s: number) => s === 400 || s === 422)])
    }
  })
})

test('the current tenant is a matter of membership, and malformed or absent is never "all"', async () => {
  const ownerId = someone()
  const memberId = someone()
  const { id } = await team(as(ownerId))
  await as(ownerId).post(`/api/v1/tenants/${id}/members`, { user_id: memberId })
  expect((await as(memberId).get<{ tenant_id: string }>('/notes.read', { tenant: id })).body.data.tenant_id).toBe(id)
  expect((await as(memberId).get('/notes.write', { tenant: id })).body.error.code).toBe('access.denied')
  expect((await as(ownerId).get('/notes.write', { tenant: id })).status).toBe(200)
  expect((await as(ownerId).get('/notes.read')).body.error.code).toBe('tenant.required')
  expect((await as(ownerId).get('/notes.read', { tenant: 'all' })).body.error.code).toBe('tenant.invalid')
  expect((await as(someone()).get('/notes.read', { tenant: id })).body.error.code).toBe('tenant.forbidden')
  await as(ownerId).delete(`/api/v1/tenants/${id}/members/${memberId}`)
  expect((await as(memberId).get('/notes.read', { tenant: id })).status).toBe(403)
})

test('scopes bound what a credential does, on every route', async () => {
  const ownerId = someone()
  const { id } = await team(as(ownerId))
  const reader = as(ownerId, 'tenants.read')
  expect((await reader.get('/api/v1/tenants')).status).toBe(200)
  expect((await reader.get(`/api/v1/tenants/${id}`)).status).toBe(200)
  for (const attempt of [
    reader.post('/api/v1/tenants', { name: 'x' }),
    reader.patch(`/api/v1/tenants/${id}`, { name: 'x' }),
    reader.get(`/api/v1/tenants/${id}/members`),
    reader.post(`/api/v1/tenants/${id}/members`, { user_id: someone() }),
    reader.delete(`/api/v1/tenants/${id}/members/${ownerId}`),
    reader.get('/notes.read', { tenant: id }),
    as(ownerId, 'notes.read').get('/api/v1/tenants'),
  ])
    expect((await attempt).body.error.code).toBe('access.denied')
  expect((await as(ownerId, '*').get(`/api/v1/tenants/${id}/members`)).status).toBe(200)
})

test('nobody gets in without signing in', async () => {
  for (const [method, url] of [
    ['GET', ''],
    ['POST', ''],
    ['GET', `/${someone()}`],
    ['PATCH', `/${someone()}`],
    ['DELETE', `/${someone()}`],
    ['GET', `/${someone()}/members`],
  ]) {
    expect((await app.client.send(method!, `/api/v1/tenants${url!}`)).status).toBe(401)
  }
})

/** All items of a list, and how many were on each page. */
async function walk(client: Client, url: string): Promise<{ readonly sizes: number[]; readonly ids: string[] }> {
  const sizes: number[] = []
  const ids: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { status, body }: Reply<ListOf<{ id?: string; user_id?: string }>> = await client.get(
      `${url}?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`,
    )
    expect(status).toBe(200)
    sizes.push(body.data.items.length)
    ids.push(...body.data.items.map((item) => String(item.id ?? item.user_id)))
    cursor = body.data.page.next_cursor
  }
  return { sizes, ids }
}

test('tenants and members come in pages, oldest first, none twice and none left out', async () => {
  const ownerId = someone()
  const owner = as(ownerId)
  const teams: string[] = []
  for (let i = 0; i < 5; i++) teams.push((await team(owner)).id)
  expect(await walk(owner, '/api/v1/tenants')).toEqual({ sizes: [2, 2, 1], ids: teams })

  const people = [ownerId]
  const members = `/api/v1/tenants/${teams[0]}/members`
  for (let i = 0; i < 4; i++) {
    people.push(someone())
    await app.clock.advance(1)
    await owner.post(members, { user_id: people.at(-1) })
  }
  expect(await walk(owner, members)).toEqual({ sizes: [2, 2, 1], ids: people })
  const newest = await owner.get<ListOf<{ user_id: string }>>(`${members}?sort=-created_at&limit=1&total=true`)
  expect(newest.body.data).toMatchObject({ items: [{ user_id: people.at(-1) }], page: { total: 5 } })
})

test('a cursor belongs to one list of one reader', async () => {
  const owner = as(someone())
  const [first, second] = [await team(owner), await team(owner)]
  await owner.post(`/api/v1/tenants/${first.id}/members`, { user_id: someone() })
  const { body } = await owner.get<ListOf<unknown>>(`/api/v1/tenants/${first.id}/members?limit=1`)
  const cursor = body.data.page.next_cursor
  expect(cursor).not.toBeNull()
  for (const url of [`/api/v1/tenants/${second.id}/members`, '/api/v1/tenants']) {
    const reply = await owner.get(`${url}?cursor=${cursor}`)
    expect([reply.status, reply.body.error.code]).toEqual([400, 'page.cursor_invalid'])
  }
  const { body: mine } = await owner.get<ListOf<unknown>>('/api/v1/tenants?limit=1')
  const stolen = await as(someone()).get(`/api/v1/tenants?cursor=${mine.data.page.next_cursor}`)
  expect(stolen.body.error.code).toBe('page.cursor_invalid')
})
