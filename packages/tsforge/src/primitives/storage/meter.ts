import type { Counter, Metrics } from '../../kernel/metrics.ts'
import { ForgeError } from '../../kernel/errors.ts'
import { failureChannel } from './events.ts'

/** Counts what is asked of the store, and tells of what it fails at. */
export class Meter {
  readonly #requests: Counter | undefined

  constructor(metrics: Metrics | undefined) {
    this.#requests = metrics?.counter('forge_storage_requests_total', {
      help: 'Operations on the store.',
      labelNames: ['operation', 'result'],
    })
  }

  async count<T>(operation: string, work: () => Promise<T>): Promise<T> {
    try {
      const value = await work()
      this.#requests?.add(1, { operation, result: 'ok' })
      return value
    } catch (error) {
      // What the caller got wrong is no failure of the store.
      const refused = error instanceof ForgeError && error.status < 500
      this.#requests?.add(1, { operation, result: refused ? 'refused' : 'error' })
      if (!refused && failureChannel.hasSubscribers) failureChannel.publish({ operation, error })
      throw error
    }
  }
}
