import { createTestApp } from 'tsforge/testing'
import type { Client, TestApp } from 'tsforge/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import config from '../../forge.config.ts'
import { purgeNotes } from './note.jobs.ts'

interface Note {
  readonly id: string
  readonly title: string
  readonly version: number
}

interface Listed {
  readonly items: readonly Note[]
  readonly page: { readonly next_cursor: string | null }
}

let app: TestApp
beforeEach(async () => {
  app = await createTestApp({ config })
})
afterEach(() => app[Symbol.asyncDispose]())

async function write(client: Client, title = 'Shopping'): Promise<Note> {
  const { status, body } = await client.post<Note>('/api/v1/notes', { title, body: 'milk' })
  expect(status).toBe(201)
  return body.data
}

describe('notes', () => {
  it('are written, read, changed, listed and deleted', async () => {
    const ada = await app.register()
    const { id } = await write(ada)
    expect(await ada.get(`/api/v1/notes/${id}`)).toMatchObject({
      status: 200,
      headers: { etag: '"v1"' },
      body: { data: { title: 'Shopping' } },
    })
    expect(await ada.patch(`/api/v1/notes/${id}`, { pinned: true })).toMatchObject({
      status: 200,
      body: { data: { pinned: true, version: 2 } },
    })
    expect((await ada.get<{ items: Note[] }>('/api/v1/notes')).body.data.items.map((note) => note.id)).toEqual([id])
    expect((await ada.delete(`/api/v1/notes/${id}`)).status).toBe(204)
    expect(await ada.get(`/api/v1/notes/${id}`)).toMatchObject({
      status: 404,
      body: { error: { code: 'note.not_found' } },
    })
  })

  it('are counted anew after every change, by tenant', async () => {
    const [ada, bob] = [await app.register(), await app.register()]
    const counts = async (client: Client): Promise<unknown> => (await client.get('/api/v1/note-counts')).body.data
    expect(await counts(ada)).toEqual({ total: 0, pinned: 0 })
    const { id } = await write(ada)
    expect([await counts(ada), await counts(ada)]).toEqual(Array(2).fill({ total: 1, pinned: 0 }))
    expect(await counts(bob)).toEqual({ total: 0, pinned: 0 })
    await ada.patch(`/api/v1/notes/${id}`, { pinned: true })
    expect(await counts(ada)).toEqual({ total: 1, pinned: 1 })
    await ada.delete(`/api/v1/notes/${id}`)
    expect(await counts(ada)).toEqual({ total: 0, pinned: 0 })
    const metrics = (await app.http.inject({ method: 'GET', url: '/metrics' })).payload
    expect(metrics).toContain('forge_cache_requests_total{namespace="notes.counts",result="hit"} 1\n')
  })

  it('of one tenant do not exist for another', async () => {
    const ada = await app.register()
    const eve = await app.register()
    const { id } = await write(ada)
    for (const answer of [
      await eve.get(`/api/v1/notes/${id}`),
      await eve.patch(`/api/v1/notes/${id}`, { title: 'mine' }),
      await eve.delete(`/api/v1/notes/${id}`),
    ]) {
      expect(answer).toMatchObject({ status: 404, body: { error: { code: 'note.not_found' } } })
    }
    expect((await eve.get<{ items: Note[] }>('/api/v1/notes')).body.data.items).toEqual([])
    expect((await ada.get(`/api/v1/notes/${id}`)).status).toBe(200)
  })

  it('may be read by members and written by owners', async () => {
    const ada = await app.register()
    const bob = await app.register()
    const team = (await ada.post<{ id: string }>('/api/v1/tenants', { name: 'Analytical Engines' })).body.data.id
    expect((await ada.post(`/api/v1/tenants/${team}/members`, { user_id: bob.id, role: 'member' })).status).toBe(201)
    await write(ada.with({ tenant: team }))
    const guest = bob.with({ tenant: team })
    expect((await guest.get<{ items: Note[] }>('/api/v1/notes')).body.data.items).toHaveLength(1)
    expect(await guest.post('/api/v1/notes', { title: 'No', body: '' })).toMatchObject({
      status: 403,
      body: { error: { code: 'access.denied' } },
    })
  })

  it('come in pages that neither repeat nor skip while others are written', async () => {
    const ada = await app.register()
    for (const title of ['a', 'b', 'c', 'd', 'e']) await write(ada, title)
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const url: string = `/api/v1/notes?limit=2&sort=title&cursor=${encodeURIComponent(cursor)}`
      const { items, page }: Listed = (await ada.get<Listed>(url)).body.data
      seen.push(...items.map((note) => note.title))
      cursor = page.next_cursor
      if (seen.length === 2) await write(ada, 'aa')
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
    const foreign = await app.register()
    const { page } = (await ada.get<{ page: { next_cursor: string } }>('/api/v1/notes?limit=2')).body.data
    expect(await foreign.get(`/api/v1/notes?limit=2&cursor=${page.next_cursor}`)).toMatchObject({
      status: 400,
      body: { error: { code: 'page.cursor_invalid' } },
    })
  })

  it('keep their titles apart within a tenant, whatever the case, until they are deleted', async () => {
    const ada = await app.register()
    const { id } = await write(ada, 'Shopping')
    expect(await ada.post('/api/v1/notes', { title: 'SHOPPING', body: '' })).toMatchObject({
      status: 409,
      body: { error: { code: 'note.title_taken' } },
    })
    await ada.delete(`/api/v1/notes/${id}`)
    await write(ada, 'SHOPPING')
  })

  it('are removed for good a month after they were deleted, by night', async () => {
    const ada = await app.register()
    const [{ id }, kept] = [await write(ada, 'old'), await write(ada, 'kept')]
    await ada.delete(`/api/v1/notes/${id}`)
    const ids = async () => (await app.db.query<{ id: string }>('select id from notes')).rows.map((row) => row.id)
    // The wall clock alone: a month of sweeps is no part of this.
    app.clock.jump(app.clock.now() + 29 * 86_400_000)
    await app.jobs.drain()
    expect(await ids()).toHaveLength(2)
    app.clock.jump(app.clock.now() + 2 * 86_400_000)
    await app.jobs.drain()
    expect(await ids()).toEqual([kept.id])
    await app.jobs.expectEnqueued(purgeNotes, { state: 'done' })
  })

  it('are not changed over a change in between', async () => {
    const ada = await app.register()
    const { id } = await write(ada)
    const changes = await Promise.all(
      ['one', 'two', 'three'].map((title) =>
        ada.patch(`/api/v1/notes/${id}`, { title }, { headers: { 'if-match': '"v1"' } }),
      ),
    )
    expect(changes.map(({ status }) => status).sort()).toEqual([200, 412, 412])
    expect((await ada.delete(`/api/v1/notes/${id}`, { headers: { 'if-match': '"v1"' } })).status).toBe(412)
  })
})
