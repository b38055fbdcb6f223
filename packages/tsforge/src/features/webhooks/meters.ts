import type { Counter, CounterSeries, Histogram, Metrics } from '../../kernel/metrics.ts'

export interface WebhooksMeters {
  readonly messages: CounterSeries
  /** `result`: `2xx`, `3xx`, `4xx`, `5xx`, or the code of an error. */
  readonly attempts: Counter
  readonly duration: Histogram
  /** `state`: what became of a delivery. */
  readonly settled: Counter
  /** `reason`: `place`, `turn`, `rate`, `rest`. */
  readonly waits: Counter
  readonly disabled: Counter
  readonly swept: CounterSeries
}

export function createMeters(metrics: Metrics): WebhooksMeters {
  const counter = (name: string, help: string, ...labelNames: string[]): Counter =>
    metrics.counter(`forge_webhooks_${name}`, { help, labelNames })
  return {
    messages: counter('messages_total', 'Messages that at least one endpoint wanted').labels({}),
    attempts: counter('attempts_total', 'Attempts to deliver, by status class or error', 'result'),
    duration: metrics.histogram('forge_webhooks_attempt_seconds', { help: 'How long attempts took' }),
    settled: counter('deliveries_total', 'Deliveries that are over, by how they ended', 'state'),
    waits: counter('waits_total', 'Times that a delivery found its endpoint busy or resting', 'reason'),
    disabled: counter('endpoints_disabled_total', 'Endpoints that were disabled by themselves', 'reason'),
    swept: counter('swept_total', 'Messages that were removed after their time').labels({}),
  }
}
