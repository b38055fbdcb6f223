import { createTestApp } from 'tsforge/testing'
import { expect, it, vi } from 'vitest'
import config from './forge.config.ts'

it('a note counts once, however often its request is repeated or refused', async () => {
  await using app = await createTestApp({ config })
  const ada = await app.register()
  const headers = {
    authorization: `Bearer ${ada.tokens.access_token}`,
    'content-type': 'application/json',
    'idempotency-key': 'first-note',
  }
  const send = (body: unknown) =>
    app.fetch('http://app/api/v1/notes', { method: 'POST', headers, body: JSON.stringify(body) })
  const note = { title: 'a', body: 'b' }
  const answers = [await send(note), await send(note), await send({ title: 'c', body: 'd' }), await send({})]
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 409, 422])
  // Units are given back behind the answer.
  await vi.waitFor(async () => {
    const usage = await app.fetch('http://app/api/v1/quota/usage', { headers })
    expect(await usage.json()).toMatchObject({ data: { quotas: [{ quota: 'notes.created', limits: [{ used: 1 }] }] } })
  }, 20_000)
})
