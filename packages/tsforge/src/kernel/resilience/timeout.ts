import type { Clock } from '../clock.ts'
import { resilienceErrors } from './errors.ts'

export interface TimeoutSettings {
  readonly clock: Clock
  readonly ms: number
  /** The caller's own signal; its reason is thrown as it is. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs `work` for at most `ms`. Then (or when the caller aborts) its signal is aborted and the promise rejects at
 * once, whether or not `work` listens; what becomes of it later is ignored.
 */
export async function withTimeout<T>(
  work: (signal: AbortSignal) => T | Promise<T>,
  { clock, ms, signal }: TimeoutSettings,
): Promise<T> {
  signal?.throwIfAborted()
  const controller = new AbortController()
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const giveUp = (reason: unknown): void => {
    reject(reason as Error)
    controller.abort(reason)
  }
  const onAbort = (): void => giveUp(signal?.reason)
  const timer = clock.after(ms, () => giveUp(resilienceErrors.error('resilience.timeout')))
  signal?.addEventListener('abort', onAbort, { once: true })
  // The constructor turns what `work` throws at once into a rejection.
  new Promise<T>((done) => done(work(controller.signal))).then(resolve, reject)
  try {
    return await promise
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}
