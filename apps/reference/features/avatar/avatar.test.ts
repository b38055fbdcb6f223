import { createTestApp } from 'tsforge/testing'
import type { TestApp, TestUser } from 'tsforge/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import config from '../../forge.config.ts'

const png = Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1')

interface Started {
  readonly upload: { readonly id: string }
  readonly request: { readonly method: 'PUT'; readonly url: string; readonly headers: Record<string, string> }
}

let app: TestApp
beforeEach(async () => {
  app = await createTestApp({ config })
})
afterEach(() => app[Symbol.asyncDispose]())

/** What a browser does: starts, sends the file to the storage, completes. */
async function upload(user: TestUser): Promise<string> {
  const file = { kind: 'avatar', filename: 'me.png', content_type: 'image/png', size: png.length }
  const { upload: started, request } = (await user.post<Started>('/api/v1/uploads', file)).body.data
  const { method, url, headers } = request
  expect((await app.http.inject({ method, url, headers, payload: png })).statusCode).toBe(204)
  expect((await user.post(`/api/v1/uploads/${started.id}/complete`)).status).toBe(200)
  return started.id
}

describe('avatars', () => {
  it('are uploaded, chosen, seen, replaced and removed', async () => {
    const ada = await app.register()
    expect((await ada.get('/api/v1/me/avatar')).status).toBe(404)
    const first = await upload(ada)
    const chosen = await ada.put<{ url: string }>('/api/v1/me/avatar', { upload_id: first })
    expect(chosen.status).toBe(200)
    expect((await app.http.inject({ method: 'GET', url: chosen.body.data.url })).rawPayload.equals(png)).toBe(true)
    await ada.put('/api/v1/me/avatar', { upload_id: await upload(ada) })
    expect((await ada.get(`/api/v1/uploads/${first}`)).status).toBe(404)
    expect((await ada.get('/api/v1/me/avatar')).status).toBe(200)
    expect((await ada.delete('/api/v1/me/avatar')).status).toBe(204)
    expect((await ada.get('/api/v1/me/avatar')).status).toBe(404)
  })

  it('are gone with their upload, and can be removed and replaced all the same', async () => {
    const ada = await app.register()
    const choose = async (): Promise<string> => {
      const id = await upload(ada)
      expect((await ada.put('/api/v1/me/avatar', { upload_id: id })).status).toBe(200)
      return id
    }
    await ada.delete(`/api/v1/uploads/${await choose()}`)
    expect(await ada.get('/api/v1/me/avatar')).toMatchObject({
      status: 404,
      body: { error: { code: 'avatar.not_found' } },
    })
    await ada.delete(`/api/v1/uploads/${await choose()}`)
    expect((await ada.delete('/api/v1/me/avatar')).status).toBe(204)
    await choose()
  })

  it('are one’s own', async () => {
    const [ada, eve] = [await app.register(), await app.register()]
    const picture = await upload(ada)
    expect((await eve.put('/api/v1/me/avatar', { upload_id: picture })).status).toBe(404)
    const team = (await ada.post<{ id: string }>('/api/v1/tenants', { name: 'Engines' })).body.data.id
    await ada.post(`/api/v1/tenants/${team}/members`, { user_id: eve.id, role: 'member' })
    const there = (user: TestUser): TestUser => Object.assign(user.with({ tenant: team }), { id: user.id }) as TestUser
    const shared = await upload(there(ada))
    expect(await there(eve).put('/api/v1/me/avatar', { upload_id: shared })).toMatchObject({
      status: 422,
      body: { error: { code: 'avatar.not_yours' } },
    })
  })
})
