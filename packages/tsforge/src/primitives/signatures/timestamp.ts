import { signaturesErrors } from './errors.ts'
import { defaultToleranceMs, malformed, tooNew, tooOld } from './scheme.ts'
import type { SignedRequest, Verdict } from './scheme.ts'

/** Always ten digits, from 2001 to 2286: no digit can move between the timestamp and what stands beside it. */
const pattern = /^[1-9]\d{9}$/

/** Throws `signatures.message_invalid`. */
export function timestampText(seconds: number): string {
  if (!Number.isInteger(seconds) || seconds < 1e9 || seconds >= 1e10)
    throw signaturesErrors.error('signatures.message_invalid', { meta: { reason: 'its timestamp is out of range' } })
  return String(seconds)
}

/** Seconds, or why not. */
export function readTimestamp(
  text: string,
  { nowMs, toleranceMs = defaultToleranceMs }: SignedRequest,
): number | Extract<Verdict, { ok: false }> {
  if (!pattern.test(text)) return malformed
  const seconds = Number(text)
  const aheadMs = seconds * 1000 - nowMs
  if (aheadMs > toleranceMs) return tooNew
  // Its second lasts to its end: senders cut off, they do not round.
  if (aheadMs + 1000 <= -toleranceMs) return tooOld
  return seconds
}
