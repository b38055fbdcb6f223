import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { membershipsPort } from 'tsforge/tenants'
import type { TestApp, TestUser } from 'tsforge/testing'
import { sound, target, team } from './target.ts'

/** Two replicas on one database (on PGlite the same one twice). The second hears of no change. */
let first: TestApp
let second: TestApp
beforeAll(async () => {
  const env = { FORGE_SECRET: 'rQ7-two-replicas-Zt2vB8nM4rK6jH1' }
  first = await target(env)
  if (first.databaseUrl === undefined) second = first
  else {
    second = await target(env, { databaseUrl: first.databaseUrl })
    await (second.get(membershipsPort) as unknown as { stop(): Promise<void> }).stop()
  }
})
afterAll(async () => {
  if (second !== first) await second[Symbol.asyncDispose]()
  await first[Symbol.asyncDispose]()
})

const writes: Readonly<Record<string, (bob: TestUser, id: string, puppet: TestUser) => Promise<{ status: number }>>> = {
  'rename the tenant': (bob, id) => second.as(bob).patch(`/api/v1/tenants/${id}`, { name: 'Mine' }),
  'bring somebody in': (bob, id, puppet) =>
    second.as(bob).post(`/api/v1/tenants/${id}/members`, { user_id: puppet.id, role: 'owner' }),
  'come back himself': (bob, id) =>
    second.as(bob).post(`/api/v1/tenants/${id}/members`, { user_id: bob.id, role: 'owner' }),
  'make himself an owner again': (bob, id) =>
    second.as(bob).patch(`/api/v1/tenants/${id}/members/${bob.id}`, { role: 'owner' }),
  'delete the tenant': (bob, id) => second.as(bob).delete(`/api/v1/tenants/${id}`),
}

describe('somebody who is no owner any more', () => {
  for (const [what, write] of Object.entries(writes)) {
    for (const end of ['removed', 'made a member']) {
      it(`cannot ${what} once he was ${end}, on a replica that has not heard of it either`, async () => {
        const [ada, bob, puppet] = [await first.register(), await first.register(), await first.register()]
        const id = await team(ada)
        const members = `/api/v1/tenants/${id}/members`
        expect((await ada.post(members, { user_id: bob.id, role: 'owner' })).status).toBe(201)
        // The second replica now knows him as an owner.
        expect((await second.as(bob).patch(`/api/v1/tenants/${id}`, { name: 'Ours' })).status).toBe(200)
        const ended =
          end === 'removed'
            ? await ada.delete(`${members}/${bob.id}`)
            : await ada.patch(`${members}/${bob.id}`, { role: 'member' })
        expect(ended.status).toBeLessThan(300)
        expect((await write(bob, id, puppet)).status).toBe(403)
        const now = await ada.get<{ items: { user_id: string; role: string }[] }>(members)
        expect(
          sound(now)
            .body.data.items.filter(({ role }) => role === 'owner')
            .map((each) => each.user_id),
        ).toEqual([ada.id])
        expect((await ada.get<{ name: string }>(`/api/v1/tenants/${id}`)).body.data.name).toBe('Ours')
      })
    }
  }
})
