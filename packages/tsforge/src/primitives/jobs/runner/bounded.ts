import type { Clock } from '../../../kernel/clock.ts'

/** Waits for `work`, but no longer than `ms` and not beyond the signal. */
export async function bounded(clock: Clock, work: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return
  const done = new AbortController()
  const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal])
  await Promise.race([work, clock.sleep(ms, either).catch(() => {})])
  done.abort()
}
