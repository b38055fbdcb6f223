import type { Counter, Metrics } from '../../kernel/metrics.ts'
import { failureChannel, requestChannel } from './events.ts'
import type { CacheResult } from './events.ts'

/** How often a namespace was asked since the start, by result. */
export interface CacheCounts {
  readonly hit: number
  readonly stale: number
  readonly miss: number
  readonly error: number
}

const results: readonly CacheResult[] = ['hit', 'stale', 'miss', 'error']

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
    const known = this.#namespaces.get(name)
    if (known !== undefined) return known
    const meter = new NamespaceMeter(name)
    this.#namespaces.set(name, meter)
    // Read at scrape time: a hit costs one addition.
    for (const result of results) this.#requests?.collect({ namespace: name, result }, () => meter.counts[result])
    return meter
  }

  failed(namespace: string | undefined, operation: string, error: unknown): void {
    this.#failures?.add(1, { operation })
    if (failureChannel.hasSubscribers) failureChannel.publish({ namespace, operation, error })
  }
}

export class NamespaceMeter {
  readonly #name: string
  #hits = 0
  readonly #others = { stale: 0, miss: 0, error: 0 }

  constructor(name: string) {
    this.#name = name
  }

  get counts(): CacheCounts {
    return { hit: this.#hits, ...this.#others }
  }

  hit(key: string): void {
    this.#hits++
    if (requestChannel.hasSubscribers) requestChannel.publish({ namespace: this.#name, key, result: 'hit' })
  }

  count(result: CacheResult, key: string): void {
    if (result === 'hit') return this.hit(key)
    this.#others[result]++
    if (requestChannel.hasSubscribers) requestChannel.publish({ namespace: this.#name, key, result })
  }
}
