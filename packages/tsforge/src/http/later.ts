/**
 * Work on a route that can wait until its first request, or until the process has nothing better to do: most
 * of what a start would cost is the compiling of schemas that nobody asks for yet.
 */
export class Later {
  readonly #route: string
  readonly #waiting = new Set<() => unknown>()

  /** `route` names the culprit when a piece fails. */
  constructor(route: string) {
    this.#route = route
  }

  /** Gives a function that makes the value at its first call. */
  add<T>(make: () => T): () => T {
    let made: { readonly value: T } | undefined
    const get = (): T => {
      if (made === undefined) {
        made = { value: make() }
        this.#waiting.delete(get)
      }
      return made.value
    }
    this.#waiting.add(get)
    return get
  }

  /** Does one piece; false when none is left. Throws what is wrong with it, and does not try it again. */
  step(): boolean {
    for (const next of this.#waiting) {
      this.#waiting.delete(next)
      try {
        next()
      } catch (error) {
        throw new Error(`${this.#route}: ${(error as Error).message}`, { cause: error })
      }
      return true
    }
    return false
  }
}
