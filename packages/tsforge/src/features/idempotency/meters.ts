import type { CounterSeries, Metrics } from '../../kernel/metrics.ts'

const requestResults = ['executed', 'replayed', 'in_progress', 'reused', 'gone', 'unprotected', 'unavailable'] as const
const answerResults = ['stored', 'committed', 'released', 'too_large', 'lost', 'failed'] as const

export interface IdempotencyMeters {
  /** What became of a request with a key. */
  readonly requests: Readonly<Record<(typeof requestResults)[number], CounterSeries>>
  /** What became of an answer. */
  readonly answers: Readonly<Record<(typeof answerResults)[number], CounterSeries>>
  readonly recovered: CounterSeries
  readonly swept: CounterSeries
}

export function createMeters(metrics: Metrics): IdempotencyMeters {
  const family = <R extends string>(name: string, help: string, results: readonly R[]): Record<R, CounterSeries> => {
    const counter = metrics.counter(name, { help, labelNames: ['result'] })
    return Object.fromEntries(results.map((result) => [result, counter.labels({ result })])) as Record<R, CounterSeries>
  }
  return {
    requests: family('forge_idempotency_requests_total', 'Requests with an Idempotency-Key', requestResults),
    answers: family('forge_idempotency_answers_total', 'Answers of requests with an Idempotency-Key', answerResults),
    recovered: metrics
      .counter('forge_idempotency_recovered_total', { help: 'Orphaned work that was taken over' })
      .labels({}),
    swept: metrics.counter('forge_idempotency_swept_total', { help: 'Keys deleted after their time' }).labels({}),
  }
}
