import type { Actor } from '../../kernel/context.ts'
import { realtimeErrors } from './errors.ts'
import type { RealtimeOptions } from './options.ts'

type Limits = Pick<RealtimeOptions, 'maxStreams' | 'maxPerTenant' | 'maxPerUser'>

/** Counts the streams of this process, and of each user and tenant in it. */
export class Places {
  readonly #limits: Limits
  readonly #counts = new Map<string, number>()
  #taken = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get taken(): number {
    return this.#taken
  }

  /** Takes a place; the result gives it back, once. Throws `realtime.full` and `realtime.too_many_streams`. */
  take({ kind, id }: Actor, tenantId: string | null): () => void {
    const { maxStreams, maxPerTenant, maxPerUser } = this.#limits
    if (this.#taken >= maxStreams)
      throw realtimeErrors.error('realtime.full', { retryAfterMs: 5000 + Math.random() * 10_000 })
    const wanted: [key: string, limit: number][] = [[`${kind} ${id}`, maxPerUser]]
    if (tenantId !== null) wanted.push([`tenant ${tenantId}`, maxPerTenant])
    for (const [key, limit] of wanted)
      if ((this.#counts.get(key) ?? 0) >= limit)
        throw realtimeErrors.error('realtime.too_many_streams', { meta: { limit }, retryAfterMs: 10_000 })
    this.#taken++
    for (const [key] of wanted) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#taken--
      for (const [key] of wanted) {
        const left = this.#counts.get(key)! - 1
        if (left === 0) this.#counts.delete(key)
        else this.#counts.set(key, left)
      }
    }
  }
}
