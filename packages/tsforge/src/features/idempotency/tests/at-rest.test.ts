import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { dbPort } from '../../../primitives/db/index.ts'
import { createTestApp } from '../../../testing/app.ts'
import { accounts } from '../../accounts/index.ts'
import { idempotency } from '../index.ts'

it('a registration leaves neither token, password, address nor key in the table, and is answered again from it', async () => {
  await using app = await createTestApp({ features: [accounts(), idempotency()] })
  const key = randomUUID()
  const ada = { email: 'ada@example.org', password: 'a long pass phrase', name: 'Ada Lovelace' }
  const register = () =>
    app.client.post<{ user: { id: string }; tokens: { access_token: string; refresh_token: string } }>(
      '/api/v1/auth/register',
      ada,
      { headers: { 'idempotency-key': key } },
    )
  const { body, text } = await register()
  expect((await register()).text).toBe(text)
  const { tokens, user } = body.data
  const { rows } = await app.get(dbPort).query('select * from forge_idempotency_keys')
  expect(rows).toHaveLength(1)
  const row = JSON.stringify(rows)
  // Also not merely in another spelling: what was sealed is opened by the app's secret alone.
  const stored = Object.values(rows[0] as Record<string, unknown>).filter((value) => typeof value === 'string')
  const spellings = [row, ...stored.map((value) => Buffer.from(value, 'base64url').toString('latin1'))].join('\n')
  for (const secret of [tokens.access_token, tokens.refresh_token, ada.password, ada.email, ada.name, user.id, key])
    expect(spellings).not.toContain(secret)
})

it('says in /readyz where keys are kept, and stays ready when the store is away', async () => {
  await using app = await createTestApp({ features: [idempotency()] })
  expect((await app.client.get('/readyz')).body.data).toMatchObject({ checks: { idempotency: 'ok' } })
  await app.get(dbPort).query('drop table forge_idempotency_keys')
  expect((await app.client.get('/readyz')).body.data).toMatchObject({ checks: { idempotency: 'degraded' } })
})
