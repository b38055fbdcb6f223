/**
 * A connection that is opened when it is first needed, shared by all who need it, and opened anew after it was dropped. An
 * attempt that failed is forgotten: the next one who needs it tries again.
 */
export class Held<T> {
  readonly #open: () => Promise<T>
  readonly #end: (value: T) => Promise<unknown>
  #current: Promise<T> | undefined

  constructor(open: () => Promise<T>, end: (value: T) => Promise<unknown>) {
    this.#open = open
    this.#end = end
  }

  get(): Promise<T> {
    if (this.#current !== undefined) return this.#current
    const opening = this.#open()
    this.#current = opening
    opening.catch(() => this.#forget(opening))
    return opening
  }

  /** Ends it and lets the next one who needs it open another. What came in its place stays. */
  drop(value: T): void {
    const current = this.#current
    void current?.then(
      (held) => held === value && this.#forget(current),
      () => undefined,
    )
    this.#end(value).catch(() => undefined)
  }

  async close(): Promise<void> {
    const value = await this.#current?.catch(() => undefined)
    this.#current = undefined
    if (value !== undefined) await this.#end(value).catch(() => undefined)
  }

  #forget(which: Promise<T>): void {
    if (this.#current === which) this.#current = undefined
  }
}
