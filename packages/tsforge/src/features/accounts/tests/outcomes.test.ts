import { expect, test } from 'vitest'
import { createTestApp } from '../../../testing/index.ts'
import { accounts } from '../index.ts'

test('registrations, logins and refreshes are counted by what came of them', async () => {
  await using app = await createTestApp({ features: [accounts()] })
  const { email, password, tokens } = await app.register()
  await app.login({ email, password })
  for (const attempt of [
    { email, password: 'a wrong river at dawn' },
    { email: 'nobody@example.org', password },
  ])
    expect((await app.client.post('/api/v1/auth/login', attempt)).status).toBe(401)
  await app.client.post('/api/v1/auth/refresh', { refresh_token: tokens.refresh_token })
  await app.client.post('/api/v1/auth/refresh', { refresh_token: 'rt_unknown' })
  const shown = await (await app.fetch('/metrics')).text()
  const counted = shown.split('\n').filter((line) => line.startsWith('forge_accounts_outcomes_total{'))
  expect(counted.sort()).toEqual(
    [
      'action="login",outcome="ok"} 1',
      'action="login",outcome="user.invalid_credentials"} 2',
      'action="refresh",outcome="auth.refresh_invalid"} 1',
      'action="refresh",outcome="ok"} 1',
      'action="register",outcome="ok"} 1',
    ].map((line) => `forge_accounts_outcomes_total{${line}`),
  )
})
