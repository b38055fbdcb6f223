import type { Clock, Timer } from '../../kernel/clock.ts'
import type { CommandArguments, RedisWire, Reply } from './driver.ts'
import { redisErrors } from './errors.ts'
import { redisFault } from './faults.ts'

export interface LaneSettings {
  readonly clock: Clock
  readonly deadlineMs: number
  /** An answer is overdue: the lane has cut its connection. */
  onStall(): void
  onFault(code: string): void
}

/** A command with a deadline of its own. */
interface Waiting {
  readonly until: number
  readonly reject: (error: Error) => void
}

/** Longest turn of the event loop that counts in full: while this process is busy, an answer may lie unread. */
const longestTurnMs = 50

/**
 * The commands of one connection and their deadline. A server answers in order, so nobody needs a timer of his own:
 * one coarse timer remembers how many commands had been sent at each tick, and when not as many have been answered a
 * deadline later, the connection is stuck. It is cut, which fails everything in flight at once, and until a new
 * connection has shaken hands callers are refused without waiting. What an answered command pays is two counters.
 */
export class Lane {
  readonly #wire: RedisWire
  readonly #settings: LaneSettings
  readonly #tickMs: number
  #sent = 0
  #done = 0
  #stalled = false
  #timer: Timer | undefined
  /** Time that was granted to the server, and the last look at the clock. */
  #granted = 0
  #looked = 0
  /** Ticks: when, and how many commands had been sent by then. */
  #marks: { readonly at: number; readonly sent: number }[] = []
  readonly #waiting = new Set<Waiting>()
  /** The longest deadline among what is in flight, when it is longer than the usual one. */
  #patienceMs = 0

  constructor(wire: RedisWire, settings: LaneSettings) {
    this.#wire = wire
    this.#settings = settings
    this.#tickMs = Math.max(5, Math.min(settings.deadlineMs / 32, 25))
  }

  get wire(): RedisWire {
    return this.#wire
  }

  get sent(): number {
    return this.#sent
  }

  get inFlight(): number {
    return this.#sent - this.#done
  }

  send(args: CommandArguments, buffers: boolean, deadlineMs?: number): Promise<Reply> {
    this.#sent++
    if (this.#timer === undefined) this.#arm()
    const answer = this.#wire.send(args, buffers).then(this.#ok, this.#failed)
    if (deadlineMs === undefined && this.#wire.ordered) return answer
    return this.#bounded(answer, deadlineMs ?? this.#settings.deadlineMs)
  }

  /** Cuts the connection. */
  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#wire.destroy()
  }

  readonly #ok = (reply: Reply): Reply => {
    this.#done++
    return reply
  }

  readonly #failed = (error: unknown): never => {
    this.#done++
    const fault = redisFault(error, this.#stalled)
    this.#settings.onFault(fault.code)
    throw fault
  }

  #bounded(answer: Promise<Reply>, deadlineMs: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { until: this.#now() + deadlineMs, reject }
      this.#waiting.add(waiting)
      if (this.#wire.ordered && deadlineMs > this.#settings.deadlineMs)
        this.#patienceMs = Math.max(this.#patienceMs, deadlineMs)
      answer.then(
        (reply) => {
          this.#waiting.delete(waiting)
          resolve(reply)
        },
        (error: unknown) => {
          this.#waiting.delete(waiting)
          reject(error as Error)
        },
      )
    })
  }

  #arm(): void {
    const { clock } = this.#settings
    this.#looked = clock.monotonic()
    this.#marks = []
    this.#timer = clock.every(this.#tickMs, () => this.#tick())
  }

  /** Granted time now. */
  #now(): number {
    return this.#granted + Math.min(this.#settings.clock.monotonic() - this.#looked, longestTurnMs)
  }

  #tick(): void {
    const now = (this.#granted = this.#now())
    this.#looked = this.#settings.clock.monotonic()
    for (const waiting of this.#waiting) {
      if (waiting.until > now) continue
      this.#waiting.delete(waiting)
      this.#settings.onFault('redis.timeout')
      waiting.reject(redisErrors.error('redis.timeout'))
    }
    if (this.#done === this.#sent) return this.#rest()
    if (!this.#wire.ordered) return
    const marks = this.#marks
    marks.push({ at: now, sent: this.#sent })
    const deadlineMs = Math.max(this.#settings.deadlineMs, this.#patienceMs)
    while (marks.length > 0 && (marks[0]!.sent <= this.#done || marks[0]!.at + deadlineMs <= now)) {
      if (marks.shift()!.sent > this.#done) return this.#stall()
    }
  }

  #rest(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#patienceMs = 0
  }

  #stall(): void {
    this.#stalled = true
    this.end()
    this.#settings.onStall()
  }
}
