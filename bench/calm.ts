import { serverCoreSeconds } from './processes.ts'
import type { Server } from './processes.ts'

/** Share of the servers' core that other programs may have during a measurement. */
const tolerated = 0.05

/**
 * Measures again when other programs took part of the server's core meanwhile: the ratio would be theirs. Gives up
 * after so many repetitions in a run, and tells how many measurements it kept all the same.
 */
export class Calm {
  #repetitions: number
  disturbed = 0

  constructor(repetitions: number) {
    this.#repetitions = repetitions
  }

  async measure<T>(server: Server, work: () => Promise<T>): Promise<T> {
    for (;;) {
      const begun = performance.now()
      const before = this.#foreignSeconds(server)
      const result = await work()
      const after = this.#foreignSeconds(server)
      if (before === undefined || after === undefined) return result
      if ((after - before) / ((performance.now() - begun) / 1000) <= tolerated) return result
      if (this.#repetitions === 0) {
        this.disturbed++
        return result
      }
      this.#repetitions--
    }
  }

  /** Time that programs other than `server` have used on its core. */
  #foreignSeconds(server: Server): number | undefined {
    const all = serverCoreSeconds()
    const own = server.cpuSeconds()
    return all === undefined || own === undefined ? undefined : all - own
  }
}
