import type { Clock } from '../../kernel/clock.ts'
import { ForgeError } from '../../kernel/errors.ts'
import { realtimeErrors } from './errors.ts'
import type { Stream } from './stream.ts'

/** Questions to the store at the same time. */
const concurrent = 32
/** Whoever cannot be vouched for so long is let in no more: with the time between two questions, below 5 s. */
const unsureMs = 3000

/**
 * Asks whether the callers of open streams would be let in now, and ends the streams of those who would not. Memory answers
 * as a rule; when it does not, the store is asked about a few at a time.
 */
export class Rechecks {
  readonly #clock: Clock
  #asking = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Questions under way. */
  get asking(): number {
    return this.#asking
  }

  ask(stream: Stream): void {
    const now = this.#clock.monotonic()
    if (stream.unsureSince !== undefined) {
      if (now - stream.unsureSince > unsureMs) return stream.close('unverified')
      if (stream.asking) return
    }
    if (this.#asking >= concurrent) return void (stream.unsureSince ??= now)
    try {
      const answer = stillAllowed(stream, 0, stream.standing.check())
      if (answer === undefined) stream.unsureSince = undefined
      else void this.#wait(stream, answer, now)
    } catch (error) {
      this.#refused(stream, error, now)
    }
  }

  async #wait(stream: Stream, answer: Promise<void>, now: number): Promise<void> {
    stream.unsureSince ??= now
    stream.asking = true
    this.#asking++
    try {
      await answer
      stream.unsureSince = undefined
    } catch (error) {
      this.#refused(stream, error, now)
    } finally {
      stream.asking = false
      this.#asking--
    }
  }

  /** A refusal ends the stream now; that nobody could tell, when it lasts. */
  #refused(stream: Stream, error: unknown, now: number): void {
    if (error instanceof ForgeError && error.status < 500) stream.close('ended')
    else stream.unsureSince ??= now
  }
}

/** Without a promise while all answers come at once. */
function stillAllowed(stream: Stream, first: number, before: void | Promise<void>): Promise<void> | undefined {
  if (before !== undefined) return before.then(() => stillAllowed(stream, first, undefined))
  const { topics, standing } = stream
  for (let at = first; at < topics.length; at++) {
    const { name, permission } = topics[at]!
    if (permission === undefined) continue
    const decide = (allowed: boolean): void => {
      if (!allowed) throw realtimeErrors.error('realtime.topic_denied', { meta: { topic: name, permission } })
    }
    const allowed = standing.can(permission)
    if (typeof allowed === 'boolean') decide(allowed)
    else return stillAllowed(stream, at + 1, allowed.then(decide))
  }
  return undefined
}
