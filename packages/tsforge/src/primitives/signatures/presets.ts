import { hmac } from './hmac.ts'
import type { SignatureScheme } from './scheme.ts'

/** `X-Hub-Signature-256: sha256=<hex>` over the body. https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries */
export const github: SignatureScheme = hmac({ name: 'github', header: 'x-hub-signature-256', prefix: 'sha256=' })

/** `X-Slack-Signature: v0=<hex>` over `v0:<timestamp>:<body>`. https://docs.slack.dev/authentication/verifying-requests-from-slack */
export const slack: SignatureScheme = hmac({
  name: 'slack',
  header: 'x-slack-signature',
  prefix: 'v0=',
  template: 'v0:{timestamp}:{body}',
  timestampHeader: 'x-slack-request-timestamp',
})

/** `X-Shopify-Hmac-Sha256: <base64>` over the body. https://shopify.dev/docs/apps/build/webhooks/subscribe/https */
export const shopify: SignatureScheme = hmac({ name: 'shopify', header: 'x-shopify-hmac-sha256', encoding: 'base64' })
