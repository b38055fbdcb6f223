import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { backoffMs } from '../../../kernel/resilience/retry.ts'
import type { JobsDriver, WakeListener } from '../driver.ts'

/** Hears the calls of the store. Tries for ever, and never fails: polling does the same, later. */
export class Calls {
  readonly #driver: JobsDriver
  readonly #clock: Clock
  readonly #log: Log
  readonly #listener: WakeListener
  #end: (() => Promise<void>) | undefined
  #timer: Timer | undefined
  #failures = 0
  #stopped = false

  constructor(driver: JobsDriver, clock: Clock, log: Log, listener: WakeListener) {
    this.#driver = driver
    this.#clock = clock
    this.#log = log
    this.#listener = listener
  }

  get listening(): boolean {
    return this.#end !== undefined
  }

  start(): void {
    if (!this.#driver.capabilities.listen || this.#stopped) return
    this.#driver.subscribe(this.#listener).then(
      (end) => {
        if (this.#stopped) return void end().catch(() => {})
        this.#end = end
        this.#failures = 0
        this.#listener.onGap()
      },
      (error: unknown) => {
        if (this.#stopped) return
        if (this.#failures++ === 0) this.#log.warn({ err: error }, 'jobs are polled only: LISTEN failed; trying again')
        this.#timer = this.#clock.after(backoffMs(this.#failures, { capMs: 30_000 }) + 50, () => this.start())
      },
    )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    const end = this.#end
    this.#end = undefined
    await end?.().catch(() => {})
  }
}
