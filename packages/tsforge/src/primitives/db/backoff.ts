/** Milliseconds before attempt `n` (0 for the first pause): full jitter below a doubling cap. */
export function jitter(attempt: number, baseMs: number, capMs: number): number {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30))
}
