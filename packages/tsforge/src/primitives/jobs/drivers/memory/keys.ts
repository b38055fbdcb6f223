import type { JobId } from '../../driver.ts'
import type { Entry } from './entry.ts'

/** Which open job has a dedupe key, and until when a throttled one is shut. */
export class Keys {
  readonly #open = new Map<string, Entry>()
  readonly #shut = new Map<string, { readonly untilMs: number; readonly id: JobId }>()

  owner(queue: string, key: string): Entry | undefined {
    return this.#open.get(nameOf(queue, key))
  }

  /** Gives the key of `entry` to it, from whoever had it. */
  give(entry: Entry): void {
    if (entry.dedupeKey !== undefined) this.#open.set(nameOf(entry.job.queue, entry.dedupeKey), entry)
  }

  free(entry: Entry): void {
    if (entry.dedupeKey === undefined) return
    const name = nameOf(entry.job.queue, entry.dedupeKey)
    if (this.#open.get(name) === entry) this.#open.delete(name)
  }

  /** The job that shuts the key; `undefined` when it was open, and is shut by `id` from now on. */
  throttle(queue: string, key: string, id: JobId, nowMs: number, windowMs: number): JobId | undefined {
    const name = nameOf(queue, key)
    const last = this.#shut.get(name)
    if (last !== undefined && last.untilMs > nowMs) return last.id
    this.#shut.set(name, { untilMs: nowMs + windowMs, id })
    return undefined
  }

  sweep(nowMs: number): void {
    for (const [name, { untilMs }] of this.#shut) if (untilMs < nowMs) this.#shut.delete(name)
  }
}

function nameOf(queue: string, key: string): string {
  return `${queue}\n${key}`
}
