export { webhooksInErrors } from './errors.ts'
export type { WebhooksInErrorCode } from './errors.ts'
export * from './events.ts'
export { webhooksIn } from './plugin.ts'
export type { WebhooksInInput } from './plugin.ts'
export { webhooksInApi } from './routes.ts'
export { defineWebhookSource } from './source.ts'
export type { Secrets, SecretsCall, SecretsLookup, WebhookCall, WebhookDelivery, WebhookSource } from './source.ts'
export type { Description, Headers, VerifiedRequest, WebhookVerifier } from './verifier.ts'
export { github, hmac, shopify, slack, standard, stripe } from './verifiers.ts'
export type { HmacVerifierSpec, Place } from './verifiers.ts'
export { webhooksInPort } from './webhooks-in.ts'
export type {
  DeliveryContent,
  DeliveryFilter,
  DeliveryRecord,
  DeliveryState,
  IncomingWebhook,
  Received,
  WebhooksIn,
} from './webhooks-in.ts'
