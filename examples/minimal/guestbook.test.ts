import { createTestApp } from 'tsforge/testing'
import { expect, it } from 'vitest'
import config from './forge.config.ts'

it('signs the guestbook and counts the guests', async () => {
  await using app = await createTestApp({ config })
  const signed = await app.client.post<{ name: string }>('/guests', { name: 'Ada' })
  expect(signed).toMatchObject({ status: 201, body: { success: true, data: { name: 'Ada' } } })
  expect((await app.client.get('/health')).body.data).toEqual({ guests: 1 })
})

it('tells which field is wrong', async () => {
  await using app = await createTestApp({ config })
  const refused = await app.client.post('/guests', { nom: 'Ada' })
  expect(refused).toMatchObject({ status: 422, body: { success: false, error: { code: 'http.validation_failed' } } })
  expect((await app.client.get('/health')).body.data).toEqual({ guests: 0 })
})
