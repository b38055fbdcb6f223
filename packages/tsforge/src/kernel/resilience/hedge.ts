import type { Clock, Timer } from '../clock.ts'

export interface HedgeSettings {
  readonly clock: Clock
  /** Tries in all, default 2. */
  readonly attempts?: number
  /** An answer that takes longer lets the next try start beside it, default 50 ms. */
  readonly delayMs?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Tries the same thing several times side by side and takes the first success: for idempotent reads with a long
 * tail. The next try starts after `delayMs`, or at once when one fails. The losers' signals are aborted and
 * nobody waits for them. Rejects with the last error when all failed, with the signal's reason when aborted.
 */
export async function hedge<T>(
  work: (signal: AbortSignal, number: number) => T | Promise<T>,
  settings: HedgeSettings,
): Promise<T> {
  const { clock, attempts = 2, delayMs = 50, signal } = settings
  if (!Number.isInteger(attempts) || attempts < 1) throw new RangeError('hedging needs at least one try')
  signal?.throwIfAborted()
  const running = new Set<AbortController>()
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  let started = 0
  let settled = false
  let timer: Timer | undefined

  const onAbort = (): void => reject(signal?.reason as Error)
  const launch = (): void => {
    timer?.cancel()
    const number = ++started
    const controller = new AbortController()
    running.add(controller)
    if (started < attempts) timer = clock.after(delayMs, launch)
    void (async () => {
      try {
        const result = await work(controller.signal, number)
        running.delete(controller)
        resolve(result)
      } catch (error) {
        running.delete(controller)
        if (settled || signal?.aborted === true) return
        if (started < attempts) launch()
        else if (running.size === 0) reject(error as Error)
      }
    })()
  }

  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    launch()
    return await promise
  } finally {
    settled = true
    timer?.cancel()
    signal?.removeEventListener('abort', onAbort)
    const reason = signal?.aborted === true ? signal.reason : new DOMException('Another try was faster', 'AbortError')
    for (const controller of running) controller.abort(reason)
  }
}
