import { expect, it } from 'vitest'
import { webhooksIn, webhooksInPort, standard } from '../../features/webhooks-in/index.ts'
import type { WebhookSource } from '../../features/webhooks-in/index.ts'
import { newStandardSecret } from '../../primitives/signatures/index.ts'
import { createTestApp } from '../../testing/index.ts'
import { examineWebhooksIn } from '../doctor/webhooks-in.ts'

const source = (name: string, secrets: WebhookSource['secrets']): WebhookSource => ({
  name,
  verifier: standard(),
  secrets,
  handler: () => {},
})

it('forge doctor tells of sources of webhooks that refuse everything, and never their secrets', async () => {
  const wrong = 'whsec_this-is-none'
  await using app = await createTestApp({
    features: [webhooksIn({ sources: [source('good', [newStandardSecret()]), source('bad', () => [wrong])] })],
  })
  const finding = await examineWebhooksIn(app.get(webhooksInPort))
  expect(finding).toMatchObject({ state: 'warning', detail: 'no secret that can be used: bad' })
  expect(JSON.stringify([finding, app.logged])).not.toContain('this-is-none')
  await using good = await createTestApp({
    features: [webhooksIn({ sources: [source('good', [newStandardSecret()])] })],
  })
  expect(await examineWebhooksIn(good.get(webhooksInPort))).toMatchObject({ state: 'ok', detail: 'sources: good' })
  await using none = await createTestApp({ features: [webhooksIn()] })
  expect(await examineWebhooksIn(none.get(webhooksInPort))).toMatchObject({ state: 'ok' })
  expect(none.routes.filter(({ url }) => url.startsWith('/api/v1/hooks'))).toEqual([])
})
