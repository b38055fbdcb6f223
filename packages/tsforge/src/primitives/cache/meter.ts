import type { Counter, CounterSeries, Metrics } from '../../kernel/metrics.ts'
import { failureChannel, requestChannel } from './events.ts'
import type { CacheResult } from './events.ts'

/** How often a namespace was asked since the start, by result. */
export interface CacheCounts {
  readonly hit: number
  readonly stale: number
  readonly miss: number
  readonly error: number
}

const uncounted: CounterSeries = { add: () => {} }

/** Counts for all namespaces of one cache. */
export class Meter {
  readonly #namespaces = new Map<string, NamespaceMeter>()
  readonly #requests: Counter | undefined
  readonly #failures: Counter | undefined

  constructor(metrics: Metrics | undefined) {
    this.#requests = metrics?.counter('forge_cache_requests_total', {
      help: 'Values asked for.',
      labelNames: ['namespace', 'result'],
    })
    this.#failures = metrics?.counter('forge_cache_errors_total', {
      help: 'Failures of loaders and of the store; the cache went on.',
      labelNames: ['operation'],
    })
  }

  namespace(name: string): NamespaceMeter {
    let meter = this.#namespaces.get(name)
    if (meter === undefined) {
      meter = new NamespaceMeter(name, (result) => this.#requests?.labels({ namespace: name, result }) ?? uncounted)
      this.#namespaces.set(name, meter)
    }
    return meter
  }

  failed(namespace: string | undefined, operation: string, error: unknown): void {
    this.#failures?.add(1, { operation })
    if (failureChannel.hasSubscribers) failureChannel.publish({ namespace, operation, error })
  }
}

export class NamespaceMeter {
  readonly #name: string
  readonly #series: Readonly<Record<CacheResult, CounterSeries>>
  readonly #hitSeries: CounterSeries
  readonly #counts = { hit: 0, stale: 0, miss: 0, error: 0 }

  constructor(name: string, series: (result: CacheResult) => CounterSeries) {
    this.#name = name
    this.#series = { hit: series('hit'), stale: series('stale'), miss: series('miss'), error: series('error') }
    this.#hitSeries = this.#series.hit
  }

  get counts(): CacheCounts {
    return { ...this.#counts }
  }

  /** `count('hit')` without a look-up. */
  hit(key: string): void {
    this.#counts.hit++
    this.#hitSeries.add()
    if (requestChannel.hasSubscribers) requestChannel.publish({ namespace: this.#name, key, result: 'hit' })
  }

  count(result: CacheResult, key: string): void {
    this.#counts[result]++
    this.#series[result].add()
    if (requestChannel.hasSubscribers) requestChannel.publish({ namespace: this.#name, key, result })
  }
}
