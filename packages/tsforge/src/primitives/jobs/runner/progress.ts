import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { JobsDriver } from '../driver.ts'
import type { Run } from './run.ts'

const everyMs = 1000

/** Writes how far runs are, each at most once a second. It is a courtesy: when it fails, nothing else does. */
export class ProgressWriter {
  readonly #driver: JobsDriver
  readonly #clock: Clock
  readonly #waiting = new Map<Run, Timer>()

  constructor(driver: JobsDriver, clock: Clock) {
    this.#driver = driver
    this.#clock = clock
  }

  progressed(run: Run): void {
    if (this.#waiting.has(run)) return
    const waitMs = run.progressAt + everyMs - this.#clock.monotonic()
    if (waitMs <= 0) return this.#write(run)
    const later = (): void => {
      this.#waiting.delete(run)
      this.#write(run)
    }
    this.#waiting.set(run, this.#clock.after(waitMs, later))
  }

  forget(run: Run): void {
    this.#waiting.get(run)?.cancel()
    this.#waiting.delete(run)
  }

  #write(run: Run): void {
    const { newProgress, over } = run
    if (newProgress === undefined || over) return
    run.newProgress = undefined
    run.progressAt = this.#clock.monotonic()
    this.#driver.progress(run.job.id, run.held.id, newProgress).catch((error: unknown) => {
      run.log.debug({ err: error }, 'the progress of a job could not be written')
    })
  }
}
