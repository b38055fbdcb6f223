import type { Metrics } from '../../kernel/metrics.ts'
import type { WebhookRefusal } from './verifier.ts'

type Result = 'accepted' | 'repeated' | 'ignored' | 'challenge' | 'confirmed' | 'no_secret' | WebhookRefusal

export interface WebhooksInMeters {
  count(source: string, result: Result): void
  handled(source: string, result: 'handled' | 'failed' | 'dead'): void
  swept(rows: number): void
}

/** Sources are those that the app declares: their number is bounded. */
export function createMeters(metrics: Metrics): WebhooksInMeters {
  const received = metrics.counter('forge_webhooks_in_total', {
    help: 'Webhooks received, by what became of them: accepted, repeated, ignored, challenge, confirmed, or why they were refused',
    labelNames: ['source', 'result'],
  })
  const runs = metrics.counter('forge_webhooks_in_handled_total', {
    help: 'Runs of handlers of webhooks',
    labelNames: ['source', 'result'],
  })
  const swept = metrics
    .counter('forge_webhooks_in_swept_total', { help: 'Deliveries emptied or deleted after their time' })
    .labels({})
  return {
    count: (source, result) => received.add(1, { source, result }),
    handled: (source, result) => runs.add(1, { source, result }),
    swept: (rows) => swept.add(rows),
  }
}
