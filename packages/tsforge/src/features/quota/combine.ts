import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * Asks for the same thing that come while one is under way go together in the next one. The first never waits; of a hot
 * subject this process has one statement under way at a time, so that it cannot hold every connection, and its rate
 * grows with the size of what goes together instead of with the number of commits.
 */
export class Combiner<Ask, Answer> {
  readonly #ask: (key: string, asks: readonly Ask[]) => Promise<readonly Answer[]>
  readonly #most: number
  /** Those that wait, by what they ask for. A key is there as long as something is under way for it. */
  readonly #waiting = new Map<string, Pending<Ask, Answer>[]>()

  /** `ask` answers all of `asks`, in their order; at most `most` of them go together. */
  constructor(ask: (key: string, asks: readonly Ask[]) => Promise<readonly Answer[]>, most: number) {
    this.#ask = ask
    this.#most = most
  }

  ask(key: string, ask: Ask): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const pending = { ask, resolve, reject, enter: AsyncLocalStorage.snapshot() }
    const queue = this.#waiting.get(key)
    if (queue !== undefined) queue.push(pending)
    else {
      const fresh: Pending<Ask, Answer>[] = [pending]
      this.#waiting.set(key, fresh)
      void this.#drain(key, fresh)
    }
    return promise
  }

  async #drain(key: string, queue: Pending<Ask, Answer>[]): Promise<void> {
    while (queue.length > 0) {
      const together = queue.splice(0, this.#most)
      try {
        // As work of the first of them, not of whoever happened to come to an idle subject.
        const answers = await together[0]!.enter(() =>
          this.#ask(
            key,
            together.map(({ ask }) => ask),
          ),
        )
        for (const [at, { resolve }] of together.entries()) resolve(answers[at]!)
      } catch (error) {
        for (const { reject } of together) reject(error)
      }
    }
    this.#waiting.delete(key)
  }
}

interface Pending<Ask, Answer> {
  readonly ask: Ask
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
  readonly enter: <T>(fn: () => T) => T
}
