import { expect, it } from 'vitest'
import { webhooks, webhooksPort } from '../../features/webhooks/index.ts'
import { accounts } from '../../features/accounts/index.ts'
import { createTestApp } from '../../testing/index.ts'
import { examineWebhooks } from '../doctor/webhooks.ts'

it('forge doctor tells of endpoints that fail, and of secrets that nobody can open any more', async () => {
  const features = [accounts(), webhooks()]
  const env = { FORGE_EGRESS_ALLOWED_NETWORKS: '127.0.0.1/32', FORGE_EGRESS_PORTS: '9' }
  await using app = await createTestApp({ features, env })
  const service = app.get(webhooksPort)
  expect(await examineWebhooks(service)).toMatchObject({
    state: 'ok',
    detail: expect.stringMatching(/^0 endp/) as string,
  })
  const ada = await app.register()
  await ada.post('/api/v1/webhooks/endpoints', { url: 'https://127.0.0.1:9/', events: ['*'] })
  expect(await examineWebhooks(service)).toMatchObject({ state: 'ok' })
  await app.db.query(`update forge_webhooks_flows set failing_since = now() - interval '2 hours'`)
  expect(await examineWebhooks(service)).toMatchObject({
    state: 'warning',
    detail: expect.stringContaining('1 failing') as string,
  })
  await app.db.query(`update forge_webhooks_endpoints set secrets = '[{"sealed":"AAAA","until":null}]'`)
  expect(await examineWebhooks(service)).toMatchObject({
    state: 'failed',
    fix: expect.stringContaining('PREVIOUS') as string,
  })
})
