import { BoundedMap } from '../../kernel/bounded-map.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Plan } from './plans.ts'

const entries = 10_000
const believedMs = 5_000

interface Known {
  readonly untilMs: number
  /** A promise while it is being asked for. */
  plan: Plan | Promise<Plan>
}

/** The plans of tenants, for what may be some seconds old: rates, never quotas. Asks once for all who ask at once. */
export class PlanMemory {
  readonly #known = new BoundedMap<Known>({ entries })
  readonly #ask: (tenantId: string) => Promise<Plan>
  readonly #clock: Clock

  constructor(clock: Clock, ask: (tenantId: string) => Promise<Plan>) {
    this.#clock = clock
    this.#ask = ask
  }

  of(tenantId: string): Plan | Promise<Plan> {
    const now = this.#clock.monotonic()
    const found = this.#known.get(tenantId)
    if (found !== undefined && now < found.untilMs) return found.plan
    const plan = this.#ask(tenantId)
    const known: Known = { untilMs: now + believedMs, plan }
    this.#known.set(tenantId, known)
    return plan.then(
      (answer) => (known.plan = answer),
      (error: unknown) => {
        if (this.#known.get(tenantId) === known) this.#known.delete(tenantId)
        throw error
      },
    )
  }

  forget(tenantId: string): void {
    this.#known.delete(tenantId)
  }
}
