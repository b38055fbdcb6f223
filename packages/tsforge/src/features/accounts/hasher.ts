import { randomToken } from '../../kernel/ids.ts'
import { accountsErrors } from './errors.ts'

/** A password hash function. Its encoded form (PHC string) carries salt and parameters. */
export interface Hasher {
  hash(password: string): Promise<string>
  /** False also for an encoded form that it cannot read. */
  verify(encoded: string, password: string): Promise<boolean>
  /** Whether the encoded form is weaker than what `hash` makes today. */
  outdated(encoded: string): boolean
}

export interface HashLimits {
  /** Hashes at the same time: each costs a thread and tens of megabytes. */
  readonly concurrency: number
  /** Hashes that may wait for a place. */
  readonly queue: number
}

const busyRetryMs = 2_000

/**
 * Hashing behind a gate, so that a flood of logins ends in 503 `accounts.busy` and not in memory; and with the
 * same work whether or not there is something to compare with.
 */
export class Passwords {
  readonly #hasher: Hasher
  readonly #limits: HashLimits
  readonly #waiting: (() => void)[] = []
  #running = 0
  #decoy: Promise<string> | undefined

  constructor(hasher: Hasher, limits: HashLimits) {
    this.#hasher = hasher
    this.#limits = limits
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Throws `accounts.busy`. */
  hash(password: string): Promise<string> {
    return this.#gated(() => this.#hasher.hash(password))
  }

  /**
   * Compares with `encoded`; without one, with a decoy of today's parameters, and says no. Throws `accounts.busy`.
   */
  verify(encoded: string | undefined, password: string): Promise<boolean> {
    return this.#gated(async () => {
      // Made on the way of both cases, so that the first unknown address takes no longer than the first known one.
      this.#decoy ??= this.#hasher.hash(randomToken())
      const decoy = await this.#decoy.catch((error: unknown) => {
        this.#decoy = undefined
        throw error
      })
      const matches = await this.#hasher.verify(encoded ?? decoy, password)
      return matches && encoded !== undefined
    })
  }

  outdated(encoded: string): boolean {
    return this.#hasher.outdated(encoded)
  }

  async #gated<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limits.concurrency) {
      if (this.#waiting.length >= this.#limits.queue)
        throw accountsErrors.error('accounts.busy', { retryAfterMs: busyRetryMs })
      // The place is handed over, so that nobody who comes later can take it in between.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
