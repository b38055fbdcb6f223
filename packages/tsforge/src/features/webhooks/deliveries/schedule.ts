/** Longest wait that a receiver may ask for. */
const longestMs = 86_400_000

/**
 * How long to wait after the failed attempt `tries` (from 1); `undefined`: it was the last. Standard Webhooks' wait `d` or what the
 * receiver asked for, whichever is longer, and full jitter in [0, d) behind it: never sooner than was said, and what failed together
 * does not come back together.
 */
export function waitAfter(
  scheduleMs: readonly number[],
  tries: number,
  retryAfterMs: number | undefined,
  random: () => number = Math.random,
): number | undefined {
  const planned = scheduleMs[tries - 1]
  if (planned === undefined) return undefined
  return Math.max(planned, Math.min(retryAfterMs ?? 0, longestMs)) + Math.floor(random() * planned)
}

/** Milliseconds of a Retry-After (RFC 9110 section 10.2.3), in seconds or as a date; `undefined` for anything else. */
export function retryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined || value.length > 64) return undefined
  if (/^\d{1,9}$/.test(value)) return Math.min(Number(value) * 1000, longestMs)
  const at = /^[A-Za-z]{3,9},? /.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - nowMs), longestMs)
}
