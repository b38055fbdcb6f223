import type { JobFilter, JobId } from '../../driver.ts'
import type { Entry } from './entry.ts'
import { matches } from './look.ts'

/** Jobs that have ended: the dead until somebody decides, the others as bounded history. */
export class Ended {
  readonly #dead = new Map<JobId, Entry>()
  readonly #history = new Map<JobId, Entry>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  put(entry: Entry): void {
    if (entry.end === 'dead') this.#dead.set(entry.id, entry)
    else if (entry.end !== 'gone') {
      this.#history.set(entry.id, entry)
      if (this.#history.size > this.#most) this.#history.delete(this.#history.keys().next().value!)
    }
  }

  find(id: JobId): Entry | undefined {
    return this.#dead.get(id) ?? this.#history.get(id)
  }

  all(): Entry[] {
    return [...this.#dead.values(), ...this.#history.values()]
  }

  /** Oldest first. */
  deadMatching(filter: JobFilter): JobId[] {
    return [...this.#dead.values()]
      .filter((entry) => matches(entry, { ...filter, state: 'dead' }, 0))
      .map((entry) => entry.id)
      .toSorted((a, b) => a - b)
  }

  takeDead(id: JobId): Entry | undefined {
    const entry = this.#dead.get(id)
    this.#dead.delete(id)
    return entry
  }

  /** Forgets what ended before these moments; gives how many of the dead. */
  prune(historyBefore: number, deadBefore: number): number {
    let dead = 0
    for (const [id, { endedMs = 0 }] of this.#history) if (endedMs < historyBefore) this.#history.delete(id)
    for (const [id, { endedMs = 0 }] of this.#dead) if (endedMs < deadBefore && this.#dead.delete(id)) dead++
    return dead
  }
}
