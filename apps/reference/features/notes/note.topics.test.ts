import { createTestApp, openEventStream } from 'tsforge/testing'
import { expect, it } from 'vitest'
import config from '../../forge.config.ts'

interface Note {
  readonly id: string
  readonly title: string
}

it('shows a member every change of the notes of the tenant as it happens, and nobody else', async () => {
  await using app = await createTestApp({ config })
  const url = await app.http.listen({ host: '127.0.0.1', port: 0 })
  const [ada, bob] = [await app.register(), await app.register()]
  const follow = (token?: string) =>
    openEventStream(`${url}/api/v1/stream?topics=notes`, token === undefined ? {} : { token })
  expect((await follow()).status).toBe(401)
  await using mine = await follow(ada.tokens.access_token)
  await using theirs = await follow(bob.tokens.access_token)
  expect([mine.status, theirs.status]).toEqual([200, 200])

  const { id } = (await ada.post<Note>('/api/v1/notes', { title: 'Tea', body: 'Green' })).body.data
  expect(await mine.next()).toMatchObject({ event: 'note.created' })
  await ada.patch(`/api/v1/notes/${id}`, { title: 'Coffee' })
  expect(await mine.next()).toMatchObject({ event: 'note.changed' })
  await ada.delete(`/api/v1/notes/${id}`)
  expect(await mine.next()).toMatchObject({ event: 'note.deleted' })
  const seen = mine.events.map(({ data }) => JSON.parse(data) as { subject: string; tenantid: string })
  expect(seen.map(({ subject }) => subject)).toEqual([id, id, id])

  await bob.post('/api/v1/notes', { title: 'Bread', body: 'Rye' })
  expect(await theirs.next()).toMatchObject({ event: 'note.created' })
  expect(theirs.events.length).toBe(1)
  expect(theirs.text).not.toContain(id)
})
