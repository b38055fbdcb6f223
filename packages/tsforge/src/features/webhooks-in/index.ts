export { basicAuth } from './basic-auth.ts'
export type { BasicAuthSpec } from './basic-auth.ts'
export { webhooksInErrors } from './errors.ts'
export type { WebhooksInErrorCode } from './errors.ts'
export * from './events.ts'
export { webhooksIn } from './plugin.ts'
export type { WebhooksInInput } from './plugin.ts'
export { webhooksInApi } from './routes.ts'
export { defineWebhookSource } from './source.ts'
export type { Secrets, SecretsCall, SecretsLookup, WebhookCall, WebhookDelivery, WebhookSource } from './source.ts'
export { sns } from './sns.ts'
export type { SnsSpec } from './sns.ts'
export type { Place } from './places.ts'
export type * from './verifier.ts'
export { github, hmac, shopify, slack, standard, stripe } from './verifiers.ts'
export type { HmacVerifierSpec } from './verifiers.ts'
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
