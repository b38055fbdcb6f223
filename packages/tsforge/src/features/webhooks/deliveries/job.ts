import { Type } from 'typebox'
import type { TUnsafe } from 'typebox'
import { defineJob } from '../../../primitives/jobs/index.ts'
import type { Job } from '../../../primitives/jobs/index.ts'

export interface DeliverPayload {
  readonly delivery: string
}

const schema: TUnsafe<DeliverPayload> = Type.Unsafe(Type.Object({ delivery: Type.String({ format: 'uuid' }) }))

/**
 * Carries one delivery to its end. A queue of its own, so that slow endpoints keep nobody else's work waiting; its key is
 * the endpoint. When to try again and when to give up is the delivery's to say, so the job has attempts to spare.
 */
export const deliverWebhook: Job<DeliverPayload> = defineJob({
  kind: 'webhooks.deliver',
  queue: 'webhooks',
  schema,
  maxAttempts: 1000,
  backoff: { baseMs: 1000, capMs: 60_000 },
  timeoutMs: 120_000,
  keepDone: false,
})
