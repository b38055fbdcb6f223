import { ForgeError } from '../../kernel/errors.ts'
import type { Counter, Metrics } from '../../kernel/metrics.ts'

type Action = 'register' | 'login' | 'refresh'

/** Counts how the doors of the app are used: a wave of one refusal is an attack or a fault of ours. */
export class Outcomes {
  readonly #counter: Counter

  constructor(metrics: Metrics) {
    this.#counter = metrics.counter('forge_accounts_outcomes_total', {
      help: 'Registrations, logins and refreshes, by their outcome: ok, an error code, or failed.',
      labelNames: ['action', 'outcome'],
    })
  }

  /** `work` as it is, its outcome counted. */
  async count<T>(action: Action, work: Promise<T>): Promise<T> {
    try {
      const result = await work
      this.#counter.add(1, { action, outcome: 'ok' })
      return result
    } catch (error) {
      this.#counter.add(1, { action, outcome: error instanceof ForgeError ? error.code : 'failed' })
      throw error
    }
  }
}
