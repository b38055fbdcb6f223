import { contextErrors } from '../../kernel/context.ts'
import type { Actor } from '../../kernel/context.ts'
import type { Log } from '../../kernel/log.ts'
import type { Counter } from '../../kernel/metrics.ts'
import type { StoredQuota } from './create-quota.ts'
import { quotaErrors } from './errors.ts'
import { headersOf } from './headers.ts'
import type { QuotaStanding, QuotaSubject, Taken } from './quota.ts'

/** A request that was let in: what a gate sees of it, as far as quotas care. */
export interface Admitted {
  readonly actor: Actor
  readonly tenantId: string | null
  addHeader(name: string, value: string): void
  onEnd(listener: (status: number, worked: boolean) => void): void
}

/** What a route takes. */
export interface Charge {
  readonly quota: string
  readonly cost: number
  readonly whenLost: 'closed' | 'open'
}

export interface AdmissionParts {
  readonly quota: StoredQuota
  readonly log: Log
  /** Requests that met a database that could not count, by what became of them. */
  readonly lost: Counter
  readonly apiKeyOf: ((actor: Actor) => string | undefined) | undefined
}

/** Takes the units of a request before it runs, and gives them back when it came to nothing through no fault of the caller. */
export class Admission {
  readonly #parts: AdmissionParts
  readonly #refunds = new Set<Promise<void>>()

  constructor(parts: AdmissionParts) {
    this.#parts = parts
  }

  async pass(call: Admitted, charge: Charge): Promise<void> {
    const { tenantId, actor } = call
    // Boot has seen that the route demands one; nobody shares a bucket of the nameless all the same.
    if (tenantId === null) throw contextErrors.error('tenant.required')
    const keyId = this.#parts.apiKeyOf?.(actor)
    const subject: QuotaSubject =
      keyId === undefined ? { kind: 'tenant', id: tenantId } : { kind: 'api_key', id: keyId, tenantId }
    const taken = await this.#take(call, subject, charge)
    if (taken === undefined) return
    tellStandings(call, charge.quota, taken.standings, taken.at)
    // Nothing was done (a bad body, another limit behind this one, a repeated Idempotency-Key), or we have failed.
    call.onEnd((status, worked) => {
      if (!worked || status >= 500) this.#refund(taken)
    })
  }

  /** Waits for refunds under way. */
  async drain(): Promise<void> {
    await Promise.all(this.#refunds)
  }

  async #take(call: Admitted, subject: QuotaSubject, { quota, cost, whenLost }: Charge): Promise<Taken | undefined> {
    const { lost, log } = this.#parts
    let verdict
    try {
      verdict = await this.#parts.quota.decide(subject, quota, cost)
    } catch (error) {
      if (quotaErrors.is(error)) throw error
      lost.add(1, { policy: whenLost })
      if (whenLost === 'closed') throw quotaErrors.error('quota.unavailable', { cause: error, retryAfterMs: 1000 })
      log.warn({ err: error, quota }, 'a request was let through uncounted')
      return undefined
    }
    if (verdict.error === undefined) return verdict.taken
    tellStandings(call, quota, verdict.standings, verdict.at, verdict.waits)
    throw verdict.error
  }

  #refund(taken: Taken): void {
    const refund = this.#parts.quota
      .refund(taken)
      .catch((error: unknown) =>
        this.#parts.log.warn({ err: error, quota: taken.quota }, 'units could not be given back'),
      )
      .finally(() => this.#refunds.delete(refund))
    this.#refunds.add(refund)
  }
}

function tellStandings(
  call: Admitted,
  quota: string,
  standings: readonly QuotaStanding[],
  at: string,
  waits?: readonly (number | undefined)[],
): void {
  const headers = headersOf(quota, standings, Date.parse(at), waits)
  if (headers === undefined) return
  call.addHeader('ratelimit-policy', headers.policy)
  call.addHeader('ratelimit', headers.state)
}
