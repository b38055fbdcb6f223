import { randomBytes, randomFillSync } from 'node:crypto'
import { systemClock } from './clock.ts'
import type { Clock } from './clock.ts'

const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Fills all of `bytes` with unpredictable values. */
export type FillRandom = (bytes: Uint8Array) => unknown

const poolSize = 4096
/** Bytes that one id may take: a fresh counter (4) and the tail (6). */
const perId = 10

/**
 * A generator of UUIDs of version 7 (RFC 9562 section 5.7). Each id is greater than the one before, as text
 * and as bytes, also when many fall into one millisecond or the clock steps back: the 32 bits behind the
 * time are a counter that starts at a random place in every new millisecond (section 6.2, method 1); the
 * last 42 bits are always random.
 */
export function createUuidv7(
  clock: Pick<Clock, 'now'> = systemClock,
  random: FillRandom = randomFillSync,
): () => string {
  let pool: Uint8Array | undefined
  let at = poolSize
  let lastMs = -1
  let counter = 0
  let timeText = ''

  const word = (bytes: Uint8Array): number => {
    const value = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
    at += 4
    return value
  }

  return () => {
    pool ??= new Uint8Array(poolSize)
    if (at + perId > poolSize) {
      random(pool)
      at = 0
    }
    const now = Math.trunc(clock.now())
    // A counter that has run out borrows the next millisecond.
    const ms = now > lastMs ? now : counter === 0xffff_ffff ? lastMs + 1 : lastMs
    if (ms === lastMs) counter++
    else {
      // The top bit starts empty, so that at least 2^31 ids fit behind any start.
      counter = word(pool) >>> 1
      lastMs = ms
      const time = ms.toString(16).padStart(12, '0')
      timeText = `${time.slice(0, 8)}-${time.slice(8)}-7`
    }
    const id =
      timeText +
      hex[counter >>> 24]! +
      hex[(counter >>> 20) & 0x0f]![1]! +
      '-' +
      hex[0x80 | ((counter >>> 14) & 0x3f)]! +
      hex[(counter >>> 6) & 0xff]! +
      '-' +
      hex[((counter & 0x3f) << 2) | (pool[at]! & 0x03)]! +
      hex[pool[at + 1]!]! +
      hex[pool[at + 2]!]! +
      hex[pool[at + 3]!]! +
      hex[pool[at + 4]!]! +
      hex[pool[at + 5]!]!
    at += 6
    return id
  }
}

/** A new UUIDv7, greater than every one that this process made before. */
export const uuidv7: () => string = createUuidv7()

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether `value` is the text of a UUID of any version: `8-4-4-4-12` hexadecimal digits, in either case. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && value.length === 36 && uuidPattern.test(value)
}

/** `bytes` (at least 16, default 32) unpredictable bytes as base64url: for tokens, never for rows. */
export function randomToken(bytes = 32): string {
  if (!Number.isInteger(bytes) || bytes < 16) throw new RangeError('a token needs at least 16 bytes')
  return randomBytes(bytes).toString('base64url')
}
