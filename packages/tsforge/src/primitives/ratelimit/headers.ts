import type { Decision } from './driver.ts'

// Fields of draft-ietf-httpapi-ratelimit-headers-11: lists of strings with parameters (RFC 9651). The names of limits
// are made of characters that need no escape.

/** Whole seconds, never too few and at least one. */
export function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000))
}

/** An item of `RateLimit-Policy`. A window that is no whole number of seconds cannot be told. */
export function ratePolicy(name: string, limit: number, windowMs: number): string {
  return windowMs % 1000 === 0 ? `"${name}";q=${limit};w=${windowMs / 1000}` : `"${name}";q=${limit}`
}

export function placesPolicy(name: string, limit: number): string {
  return `"${name}";q=${limit};qu="concurrent-requests"`
}

/**
 * An item of `RateLimit`: what is left, and for how long that holds: until all of it is back, or, after a refusal,
 * until the same call may succeed.
 */
export function rateState(
  name: string,
  { allowed, remaining, resetMs, retryAfterMs }: Pick<Decision, 'allowed' | 'remaining' | 'resetMs' | 'retryAfterMs'>,
): string {
  return `"${name}";r=${remaining};t=${seconds(allowed ? resetMs : retryAfterMs)}`
}

/** The same for places, which come back when calls end: nobody knows when. */
export function placesState(name: string, { allowed, remaining, retryAfterMs }: Decision): string {
  return allowed ? `"${name}";r=${remaining}` : `"${name}";r=0;t=${seconds(retryAfterMs)}`
}

/** The headers that came before the draft, for clients that know only them; reset in seconds from now. */
export function legacyHeaders({
  allowed,
  limit,
  remaining,
  resetMs,
  retryAfterMs,
}: Decision): readonly (readonly [string, string])[] {
  return [
    ['x-ratelimit-limit', String(limit)],
    ['x-ratelimit-remaining', String(remaining)],
    ['x-ratelimit-reset', String(seconds(allowed ? resetMs : retryAfterMs))],
  ]
}
