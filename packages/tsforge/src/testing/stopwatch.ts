export interface Timed<T> {
  readonly value: T
  readonly tookMs: number
  /** Of it, what this process ran: while its event loop stood still, {@link longestTurnMs} count. */
  readonly ranMs: number
}

const tickMs = 5
/** What a turn of the event loop counts at most. */
const longestTurnMs = 10

/**
 * How long `work` took. A bound is to be held by `ranMs`: on a busy machine a process is not run for a while, often
 * several times, and no timer of it can be on time then.
 */
export async function timed<T>(work: () => T | Promise<T>): Promise<Timed<T>> {
  const began = performance.now()
  let [ranMs, looked] = [0, began]
  const look = (): void => {
    const now = performance.now()
    ranMs += Math.min(now - looked, longestTurnMs)
    looked = now
  }
  const timer = setInterval(look, tickMs)
  try {
    const value = await work()
    look()
    return { value, tookMs: looked - began, ranMs }
  } finally {
    clearInterval(timer)
  }
}
