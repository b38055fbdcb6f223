import type { Timer } from '../../../kernel/clock.ts'
import type { Lease, Park, Position, Report, Retried } from '../driver.ts'
import type { LaneParts } from './delivery.ts'

/** What was handled is stored so often; a crash repeats at most so much. */
const handledMs = 20
/** The same where nothing was for this subscription. */
const passedMs = 1000
const retryMs = 500

/**
 * Stores what has happened to a subscription, one statement at a time: what comes up meanwhile shares the next one. So
 * what is parked and what is freed meet in the store in the order in which they happened here.
 */
export class ReportWriter {
  readonly #parts: LaneParts
  readonly #lease: Lease
  readonly #cursor: () => Position
  readonly #onFreed: (keys: readonly string[], changed: boolean) => void
  readonly #onLost: () => void
  #park: Park[] = []
  #retried: Retried[] = []
  #stored: Position
  #writing: Promise<void> | undefined
  #timer: Timer | undefined
  #dueMs = Number.POSITIVE_INFINITY
  #over = false
  /** Set when the next one has to follow at once. */
  #pressing = false
  failing = false

  constructor(
    parts: LaneParts,
    lease: Lease,
    hooks: {
      readonly cursor: () => Position
      readonly onFreed: (keys: readonly string[], changed: boolean) => void
      readonly onLost: () => void
    },
  ) {
    this.#parts = parts
    this.#lease = lease
    this.#stored = lease.cursor
    this.#cursor = hooks.cursor
    this.#onFreed = hooks.onFreed
    this.#onLost = hooks.onLost
  }

  get clean(): boolean {
    return !this.busy && this.#cursor() === this.#stored
  }

  /** Something but the place is to be stored. */
  get busy(): boolean {
    return this.#writing !== undefined || this.#park.length > 0 || this.#retried.length > 0
  }

  /** Whether something of this key is to be parked that is not stored yet. */
  parks(key: string): boolean {
    return this.#park.some(({ event }) => event.partitionkey === key)
  }

  /** Parked events whose end is not stored yet. */
  get ending(): readonly Position[] {
    return this.#retried.map(({ position }) => position)
  }

  park(park: Park): void {
    this.#park.push(park)
    this.#plan(0)
  }

  retried(retried: Retried): void {
    this.#retried.push(retried)
    this.#plan(0)
  }

  /** The cursor may have moved; `handled`: past something that was for us. */
  moved(handled: boolean): void {
    this.#plan(handled ? handledMs : passedMs)
  }

  /** Stores all there is; resolves when that is done, the lease is lost, or the store does not answer. */
  async flush(): Promise<void> {
    await this.#writing
    for (let attempts = 3; !this.#over && !this.clean && attempts > 0; attempts--) {
      this.#plan(0)
      await this.#writing
    }
  }

  /** Stores nothing any more. */
  end(): void {
    this.#over = true
    this.#timer?.cancel()
  }

  #plan(ms: number): void {
    if (this.#over) return
    if (this.#writing !== undefined) {
      this.#pressing ||= ms === 0
      return
    }
    const { clock } = this.#parts
    const at = clock.monotonic() + ms
    if (at >= this.#dueMs) return
    this.#timer?.cancel()
    this.#dueMs = at
    if (ms === 0) this.#begin()
    else this.#timer = clock.after(ms, () => this.#begin())
  }

  #begin(): void {
    this.#dueMs = Number.POSITIVE_INFINITY
    if (this.#over || this.clean) return
    this.#pressing = false
    const report = { cursor: this.#cursor(), park: this.#park, retried: this.#retried }
    this.#park = []
    this.#retried = []
    this.#writing = this.#write(report).finally(() => {
      this.#writing = undefined
      if (!this.clean) this.#plan(this.failing ? retryMs : this.#pressing ? 0 : handledMs)
    })
  }

  async #write(report: Report): Promise<void> {
    const { driver, log } = this.#parts
    try {
      const { held, freed } = await driver.settle(this.#lease, report)
      this.failing = false
      if (!held) {
        this.end()
        return this.#onLost()
      }
      this.#stored = report.cursor
      this.#onFreed(freed, report.park.length > 0 || report.retried.length > 0)
    } catch (error) {
      // Nobody knows whether it was stored: storing it again does no harm.
      this.failing = true
      this.#park = [...report.park, ...this.#park]
      this.#retried = [...report.retried, ...this.#retried]
      log.warn(
        { err: error, subscription: this.#lease.name },
        'the place of a subscription could not be stored; trying again',
      )
    }
  }
}
