export type {
  Attempt,
  Delivery,
  DeliveryFilter,
  DeliveryState,
  EndpointStats,
  Message,
  Replay,
  Replayed,
} from './deliveries/delivery.ts'
export { deliverWebhook } from './deliveries/job.ts'
export type * from './endpoints/endpoint.ts'
export type { EndpointsSurvey } from './endpoints/survey.ts'
export { webhooksErrors } from './errors.ts'
export type { WebhooksErrorCode } from './errors.ts'
export * from './events.ts'
export { webhooks } from './plugin.ts'
export type { WebhooksFeature } from './plugin.ts'
export { webhooksPort } from './webhooks.ts'
export type { Outgoing, Rotation, Sent, Webhooks } from './webhooks.ts'
