import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Run } from './run.ts'

/** A handler that does not end this long after its signal was aborted is left behind. */
const stuckMs = 5000

/** One timer for the time limits of all runs: it stands at the earliest. */
export class Deadlines {
  readonly #clock: Clock
  readonly #running: ReadonlySet<Run>
  readonly #onStuck: (run: Run) => void
  #timer: Timer | undefined
  #at = Number.POSITIVE_INFINITY

  constructor(clock: Clock, running: ReadonlySet<Run>, onStuck: (run: Run) => void) {
    this.#clock = clock
    this.#running = running
    this.#onStuck = onStuck
  }

  watch(run: Run): void {
    if (run.deadline < this.#at) this.#arm(run.deadline)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#at = Number.POSITIVE_INFINITY
  }

  #arm(at: number): void {
    this.#timer?.cancel()
    this.#at = at
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.monotonic()), () => this.#sweep())
  }

  #sweep(): void {
    const now = this.#clock.monotonic()
    this.#at = Number.POSITIVE_INFINITY
    let next = Number.POSITIVE_INFINITY
    for (const run of [...this.#running]) {
      if (now >= run.deadline) {
        if (run.overtime) {
          this.#onStuck(run)
          continue
        }
        run.overtime = true
        run.deadline = now + stuckMs
        run.abort('timeout')
        if (run.over) continue
      }
      next = Math.min(next, run.deadline)
    }
    if (next < this.#at) this.#arm(next)
  }
}
