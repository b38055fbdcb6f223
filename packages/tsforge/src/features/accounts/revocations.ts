import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Db } from '../../primitives/db/index.ts'
import { readRevocations, revocationsChannel } from './revocation-repository.ts'

/** How often the database is asked although nobody has called. */
const pollMs = 2_000
/** Knowledge older than this is not trusted: sessions are then looked up one by one. With the poll, below 5 s. */
const staleMs = 4_000
/** Beyond the life of the last access token: clock leeway, and then some. */
export const marginMs: number = 5 * 60_000

/** One look at the database, and those that were asked for meanwhile. */
interface Catching {
  readonly startedAt: number
  done: Promise<void>
  again: boolean
}

export interface RevocationsSettings {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  /** Longest life of an access token; a revocation is remembered for as long (and a margin). */
  readonly accessTtlMs: number
  /** Told of each session that became revoked. */
  readonly onRevoked: (sessionId: string) => void
}

/**
 * The sessions whose access tokens this process refuses. NOTIFY wakes it within milliseconds, a poll catches what
 * NOTIFY lost, and `stale` tells when neither can be trusted. Bounded by the revocations of one access token's life.
 */
export class Revocations {
  readonly #settings: RevocationsSettings
  /** Session id → when it can be forgotten. In order of insertion, so the oldest come first. */
  readonly #forgetAt = new Map<string, number>()
  #cursor = '0'
  #freshAt = Number.NEGATIVE_INFINITY
  #running: Catching | undefined
  #failing = false
  #timer: Timer | undefined
  #unlisten: (() => Promise<void>) | undefined
  #stopped = false

  constructor(settings: RevocationsSettings) {
    this.#settings = settings
  }

  get size(): number {
    return this.#forgetAt.size
  }

  has(sessionId: string): boolean {
    return this.#forgetAt.has(sessionId)
  }

  /** Whether the newest look at the database is too old to say that a session is not revoked. */
  get stale(): boolean {
    return this.#settings.clock.monotonic() - this.#freshAt > staleMs
  }

  add(sessionIds: readonly string[]): void {
    const forgetAt = this.#settings.clock.monotonic() + this.#settings.accessTtlMs + marginMs
    for (const sessionId of sessionIds) {
      if (this.#forgetAt.has(sessionId)) continue
      this.#forgetAt.set(sessionId, forgetAt)
      this.#settings.onRevoked(sessionId)
    }
  }

  async start(): Promise<void> {
    const { clock, db, log } = this.#settings
    this.#stopped = false
    const wake = (): void => void this.sync()
    // Listening first: what is revoked between the two is then seen twice and not never.
    if (db.capabilities.listen) {
      this.#unlisten = await db.listen(revocationsChannel, wake, wake).catch((error: unknown) => {
        log.warn({ err: error }, 'revocations are polled only: LISTEN failed')
        return undefined
      })
    }
    await this.sync()
    // A stop that did not wait for us has found nothing to end.
    if (this.#stopped) return this.#unlisten?.()
    const poll = (): void => {
      // Counted from the end of the last one: a slow database is not asked faster than it answers.
      this.#timer = clock.after(pollMs, () => void this.sync().then(() => this.#timer !== undefined && poll()))
    }
    poll()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#unlisten?.()
    this.#unlisten = undefined
    await this.#running?.done
  }

  /** Catches up with the database: after it, whatever was committed before the call is refused. Never rejects. */
  sync(): Promise<void> {
    const now = this.#settings.clock.monotonic()
    // One that hangs must not hold up the next for ever.
    if (this.#running !== undefined && now - this.#running.startedAt <= staleMs) {
      this.#running.again = true
      return this.#running.done
    }
    const run: Catching = { startedAt: now, done: Promise.resolve(), again: false }
    this.#running = run
    run.done = this.#run(run)
    return run.done
  }

  async #run(run: Catching): Promise<void> {
    do {
      run.again = false
      await this.#catchUp()
    } while (run.again && !this.#failing)
    // In the same breath as the last look at `again`, so that no call falls between them.
    if (this.#running === run) this.#running = undefined
  }

  async #catchUp(): Promise<void> {
    const { clock, db, log } = this.#settings
    // The answer is at least as new as the moment of asking.
    const askedAt = clock.monotonic()
    try {
      const page = await readRevocations(db, this.#cursor)
      this.add(page.sessionIds)
      this.#cursor = page.next
      this.#freshAt = Math.max(this.#freshAt, askedAt)
      this.#forget(askedAt)
      if (this.#failing) log.info({}, 'revocations are up to date again')
      this.#failing = false
    } catch (error) {
      if (!this.#failing) log.warn({ err: error }, 'revocations cannot be read; sessions are looked up one by one')
      this.#failing = true
    }
  }

  #forget(now: number): void {
    for (const [sessionId, forgetAt] of this.#forgetAt) {
      if (forgetAt > now) break
      this.#forgetAt.delete(sessionId)
    }
  }
}
