import type { JobId, WakeListener } from '../../driver.ts'

/** Tells those who listen. */
export class Bell {
  readonly #listeners = new Set<WakeListener>()

  async subscribe(listener: WakeListener): Promise<() => Promise<void>> {
    this.#listeners.add(listener)
    return async () => void this.#listeners.delete(listener)
  }

  work(queue: string): void {
    for (const listener of this.#listeners) listener.onWork(queue)
  }

  cancel(id: JobId): void {
    for (const listener of this.#listeners) listener.onCancel(id)
  }

  silence(): void {
    this.#listeners.clear()
  }
}
