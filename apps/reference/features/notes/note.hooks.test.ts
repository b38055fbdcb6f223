import { newStandardSecret, standard } from 'tsforge/signatures'
import { createTestApp } from 'tsforge/testing'
import type { TestApp } from 'tsforge/testing'
import { expect, it } from 'vitest'
import config from '../../forge.config.ts'

interface Notes {
  readonly items: readonly { readonly title: string }[]
}

async function post(app: TestApp, tenant: string, secret: string, id: string, title: string): Promise<number> {
  const body = JSON.stringify({ type: 'note.wanted', data: { title, body: 'from outside' } })
  const timestamp = Math.floor(app.clock.now() / 1000)
  const headers = standard.sign(standard.key(secret), { id, timestamp, body })
  const url = `http://app/api/v1/hooks/notes/${tenant}`
  return (await app.fetch(url, { method: 'POST', headers, body })).status
}

it('a tool with the secret writes notes, once each, in the tenant of the address; with the old secret too', async () => {
  const [secret, previous] = [newStandardSecret(), newStandardSecret()]
  await using app = await createTestApp({
    config,
    env: { NOTES_HOOK_SECRET: secret, NOTES_HOOK_SECRET_PREVIOUS: previous },
  })
  const [ada, bob] = [await app.register(), await app.register()]
  const { items } = (await ada.get<{ items: { id: string }[] }>('/api/v1/tenants')).body.data
  const tenant = items[0]!.id
  const statuses = [
    await post(app, tenant, secret, 'm1', 'One'),
    await post(app, tenant, secret, 'm1', 'One'),
    await post(app, tenant, previous, 'm2', 'Two'),
    await post(app, tenant, newStandardSecret(), 'm3', 'Three'),
  ]
  expect(statuses).toEqual([202, 202, 202, 401])
  await app.jobs.drain()
  expect(await post(app, tenant, secret, 'm4', 'One')).toBe(202)
  await app.jobs.drain()
  const titles = async (who: typeof ada) =>
    (await who.get<Notes>('/api/v1/notes')).body.data.items.map(({ title }) => title)
  // Two jobs: nobody says which of them ends first.
  expect((await titles(ada)).sort()).toEqual(['One', 'Two'])
  expect(await titles(bob)).toEqual([])
  // A second note of that title cannot be; its delivery can be looked at.
  const dead = await ada.get<{ items: { delivery_id: string; error: string }[] }>(
    '/api/v1/webhooks-in/deliveries?state=dead',
  )
  expect(dead.body.data.items).toMatchObject([{ delivery_id: 'm4', error: 'Discard' }])
})

it('without the setting nobody can', async () => {
  await using app = await createTestApp({ config })
  const ada = await app.register()
  expect(await post(app, ada.id, newStandardSecret(), 'm1', 'One')).toBe(404)
})
