import type { Clock } from '../../kernel/clock.ts'
import { redisErrors } from './errors.ts'
import type { RedisWire } from './driver.ts'

/** Looks in the time of an answer. A process that stands still misses all but one of them: its own silence is not the server's. */
const looks = 4

/**
 * A connection on which messages come may be dead without anybody noticing: it is asked now and then. Gives the end
 * of the asking; `dead` is called at most once.
 */
export function keepAwake(
  wire: RedisWire,
  clock: Clock,
  deadlineMs: number,
  dead: (cause: unknown) => void,
): () => void {
  let waiting = false
  let look = 0
  const timer = clock.every(Math.max(1000, 2 * deadlineMs) / looks, () => {
    if (++look % looks !== 0) return
    if (waiting) {
      timer.cancel()
      return dead(redisErrors.error('redis.timeout'))
    }
    waiting = true
    wire.send(['PING'], false).then(
      () => (waiting = false),
      () => undefined,
    )
  })
  return () => timer.cancel()
}
