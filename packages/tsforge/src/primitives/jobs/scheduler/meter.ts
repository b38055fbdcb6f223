import type { CounterSeries, Histogram, Metrics } from '../../../kernel/metrics.ts'

/** What `/metrics` tells about schedules. */
export class ScheduleMeter {
  readonly #lag: Histogram
  readonly #fired: CounterSeries
  readonly #skipped: CounterSeries
  readonly #failed: CounterSeries

  constructor(metrics: Metrics, isLeading: () => boolean) {
    this.#lag = metrics.histogram('forge_schedule_lag_seconds', {
      help: 'From a tick to the commit of its job.',
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 3600],
    })
    const results = metrics.counter('forge_schedule_ticks_total', {
      help: 'Ticks whose job was added (fired), runs of ticks that the catch-up policy left out (skipped), and failed tries.',
      labelNames: ['result'],
    })
    this.#fired = results.labels({ result: 'fired' })
    this.#skipped = results.labels({ result: 'skipped' })
    this.#failed = results.labels({ result: 'failed' })
    metrics.gauge('forge_schedule_leader', {
      help: '1 in the process that ticks.',
      collect: () => (isLeading() ? 1 : 0),
    })
  }

  fired(lagMs: number): void {
    this.#fired.add()
    this.#lag.observe(lagMs / 1000)
  }

  skipped(): void {
    this.#skipped.add()
  }

  failed(): void {
    this.#failed.add()
  }
}
