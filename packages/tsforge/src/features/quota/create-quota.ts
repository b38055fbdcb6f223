import type { Clock } from '../../kernel/clock.ts'
import type { ForgeError } from '../../kernel/errors.ts'
import { isUuid, uuidv7 } from '../../kernel/ids.ts'
import type { Counter, Metrics } from '../../kernel/metrics.ts'
import { afterCommit, tell, within } from '../../primitives/db/index.ts'
import type { Db, Queryable } from '../../primitives/db/index.ts'
import { readAssignment, unknownPlans, writeAssignment } from './assignments.ts'
import { Combiner } from './combine.ts'
import { quotaErrors } from './errors.ts'
import type { QuotaErrorCode } from './errors.ts'
import { planAssigned, quotaLevelReached } from './events.ts'
import * as ledger from './ledger.ts'
import type { Account, Counted, TakeAnswer } from './ledger.ts'
import { PlanMemory } from './plan-memory.ts'
import { refuse } from './plans.ts'
import type { Plan, PlanBook, PlanRate } from './plans.ts'
import type {
  PastPeriod,
  Quota,
  QuotaStanding,
  QuotaSubject,
  QuotaUsage,
  Reservation,
  Taken,
  TenantPlan,
} from './quota.ts'
import { policyName, standingOf, waitOf } from './standing.ts'

/** Most units of one take. */
export const maxCost = 1_000_000_000_000
const maxLeaseMs = 24 * 60 * 60_000
/** Takes that go together in one statement. */
const together = 500

export interface QuotaParts {
  readonly db: Db
  readonly book: PlanBook
  /** Whose time periods and leases follow; absent: the database's. For tests. */
  readonly time?: Clock
  readonly clock: Clock
  readonly leaseMs: number
  readonly metrics?: Metrics
}

interface Decision {
  readonly answer: TakeAnswer
  readonly granted: boolean
}

export function createQuota(parts: QuotaParts): StoredQuota {
  return new StoredQuota(parts)
}

/** `Quota` over PostgreSQL. */
export class StoredQuota implements Quota {
  readonly plans: ReadonlyMap<string, Plan>
  readonly #parts: QuotaParts
  readonly #combiner: Combiner<number, Decision>
  readonly #refunded = new WeakSet<Taken>()
  readonly #memory: PlanMemory
  readonly #takes: Counter | undefined

  constructor(parts: QuotaParts) {
    this.#parts = parts
    this.plans = parts.book.plans
    this.#memory = new PlanMemory(parts.clock, async (tenantId) => (await this.planOf(tenantId)).plan)
    this.#takes = parts.metrics?.counter('forge_quota_takes_total', {
      help: 'Takes and reservations, by quota and outcome',
      labelNames: ['quota', 'result'],
    })
    this.#combiner = new Combiner<number, Decision>(async (key, costs): Promise<readonly Decision[]> => {
      const [tenantId, keyId, quota] = JSON.parse(key) as [string, string | null, string]
      const answer = await this.#take({ tenantId, keyId }, quota, costs, parts.db)
      if (answer.fault !== undefined) return costs.map(() => ({ answer, granted: false }))
      publish({ tenantId, keyId }, quota, answer)
      return answer.granted.map((granted) => ({ answer, granted }))
    }, together)
  }

  async take(
    subject: QuotaSubject,
    quota: string,
    { cost = 1 }: { readonly cost?: number } = {},
    tx?: Queryable,
  ): Promise<Taken> {
    const verdict = await this.decide(subject, quota, cost, tx)
    if (verdict.error !== undefined) throw verdict.error
    return verdict.taken
  }

  /** As `take`, but tells where the limits stand also when they refuse. */
  async decide(subject: QuotaSubject, quota: string, cost: number, tx?: Queryable): Promise<Verdict> {
    const account = accountOf(subject)
    this.#check(quota, cost)
    if (tx === undefined) {
      const key = JSON.stringify([account.tenantId, account.keyId, quota])
      return this.#judge(subject, quota, cost, await this.#combiner.ask(key, cost))
    }
    const answer = await this.#take(account, quota, [cost], tx)
    const verdict = this.#judge(subject, quota, cost, alone(answer))
    if (answer.fault === undefined) afterCommit(tx, () => publish(account, quota, answer))
    return verdict
  }

  async refund(taken: Taken, { cost = taken.cost }: { readonly cost?: number } = {}, tx?: Queryable): Promise<void> {
    checkCost(cost, 1, taken.cost)
    if (this.#refunded.has(taken)) return
    this.#refunded.add(taken)
    try {
      await ledger.giveBack(tx ?? this.#parts.db, accountOf(taken.subject), taken.quota, cost, taken.at)
    } catch (error) {
      this.#refunded.delete(taken)
      throw error
    }
  }

  async reserve(
    subject: QuotaSubject,
    quota: string,
    { cost = 1, leaseMs = this.#parts.leaseMs }: { readonly cost?: number; readonly leaseMs?: number } = {},
    tx?: Queryable,
  ): Promise<Reservation> {
    const account = accountOf(subject)
    this.#check(quota, cost)
    if (!Number.isSafeInteger(leaseMs) || leaseMs < 1 || leaseMs > maxLeaseMs)
      throw new RangeError('leaseMs is a whole number of milliseconds, at most a day')
    const id = uuidv7()
    const answer = await this.#take(account, quota, [cost], tx ?? this.#parts.db, { id, leaseMs })
    const { error, taken } = this.#judge(subject, quota, cost, alone(answer))
    if (error !== undefined) throw error
    if (answer.fault === undefined) afterCommit(tx ?? committed, () => publish(account, quota, answer))
    return { ...taken, id, expiresAt: new Date(Date.parse(taken.at) + leaseMs) }
  }

  async commit(reservationId: string, { cost }: { readonly cost?: number } = {}, tx?: Queryable): Promise<void> {
    if (cost !== undefined) checkCost(cost, 0, maxCost)
    const answer = isUuid(reservationId)
      ? await ledger.commit(tx ?? this.#parts.db, reservationId, cost ?? null, this.#now())
      : 'gone'
    if (answer === 'gone') throw quotaErrors.error('quota.reservation_gone')
    if (answer === 'cost') throw quotaErrors.error('quota.cost_invalid', { meta: { max: 'what was reserved' } })
  }

  async release(reservationId: string, tx?: Queryable): Promise<void> {
    if (isUuid(reservationId)) await ledger.release(tx ?? this.#parts.db, reservationId)
  }

  async usage(subject: QuotaSubject, tx?: Queryable): Promise<QuotaUsage> {
    const { db, book } = this.#parts
    const { plan, standings } = await ledger.readUsage(
      tx ?? db,
      accountOf(subject),
      book.everything,
      book.defaultPlan,
      this.#now(),
    )
    if (standings === null) throw planUnknown(plan)
    const quotas = [...book.policies.keys()].map((quota) => ({
      quota,
      standings: standings.filter((row) => row.quota === quota).map((row) => standingOf(row)),
    }))
    return { plan, quotas: quotas.filter((each) => each.standings.length > 0) }
  }

  async history(
    tenantId: string,
    { quota, limit = 100 }: { readonly quota?: string; readonly limit?: number } = {},
    tx?: Queryable,
  ): Promise<PastPeriod[]> {
    accountOf({ kind: 'tenant', id: tenantId })
    const most = Math.min(Math.max(1, Math.trunc(limit)), 1000)
    const rows = await ledger.readHistory(tx ?? this.#parts.db, tenantId, quota ?? null, most, this.#now())
    return rows.map(({ subjectId, allowed, ...row }) => ({
      ...row,
      keyId: subjectId === tenantId.toLowerCase() ? null : subjectId,
      limit: allowed,
    }))
  }

  async planOf(tenantId: string, tx?: Queryable): Promise<TenantPlan> {
    accountOf({ kind: 'tenant', id: tenantId })
    const found = await readAssignment(tx ?? this.#parts.db, tenantId)
    const plan = found?.plan ?? this.#parts.book.defaultPlan
    return { plan: this.#plan(plan), anchorDay: found?.anchorDay ?? 1, assigned: found !== undefined }
  }

  numbersOf(
    limit: string,
    { tenantId }: { readonly tenantId: string | null },
  ): PlanRate | undefined | Promise<PlanRate | undefined> {
    if (tenantId === null) return undefined
    const plan = this.#memory.of(tenantId)
    return plan instanceof Promise ? plan.then((known) => rateOf(known, limit)) : rateOf(plan, limit)
  }

  async assign(
    tenantId: string,
    { plan, anchorDay }: { readonly plan: string; readonly anchorDay?: number },
    outer?: Queryable,
  ): Promise<TenantPlan> {
    accountOf({ kind: 'tenant', id: tenantId })
    const assigned = this.#plan(plan)
    if (anchorDay !== undefined && !(Number.isInteger(anchorDay) && anchorDay >= 1 && anchorDay <= 31))
      throw new RangeError('anchorDay is a day of the month, 1 to 31')
    const { db, clock } = this.#parts
    return within(db, outer, async (tx) => {
      const stored = await writeAssignment(tx, tenantId, plan, anchorDay, new Date(clock.now()), this.#now())
      afterCommit(tx, () => this.#memory.forget(tenantId.toLowerCase()))
      tell(tx, planAssigned, { tenantId, plan })
      return { plan: assigned, anchorDay: stored.anchorDay, assigned: true }
    })
  }

  /** Refuses to serve while tenants have plans that are not declared any more. */
  async start(): Promise<void> {
    const found = await unknownPlans(this.#parts.db, [...this.plans.keys()])
    refuse(found.map(({ plan, tenants }) => `${tenants} tenant(s) have the plan "${plan}", which is not declared`))
  }

  #now(): Date | null {
    const { time } = this.#parts
    return time === undefined ? null : new Date(time.now())
  }

  #plan(name: string): Plan {
    const plan = this.plans.get(name)
    if (plan === undefined) throw planUnknown(name)
    return plan
  }

  #check(quota: string, cost: number): void {
    if (!this.#parts.book.policies.has(quota)) throw quotaErrors.error('quota.unknown', { meta: { quota } })
    checkCost(cost, 1, maxCost)
  }

  #take(
    account: Account,
    quota: string,
    costs: readonly number[],
    db: Queryable,
    reservation?: { readonly id: string; readonly leaseMs: number },
  ): Promise<TakeAnswer> {
    const { book } = this.#parts
    return ledger.take(db, {
      ...account,
      quota,
      costs,
      policies: book.policies.get(quota)!,
      defaultPlan: book.defaultPlan,
      now: this.#now(),
      ...(reservation !== undefined && { reservation }),
    })
  }

  #judge(subject: QuotaSubject, quota: string, cost: number, { answer, granted }: Decision): Verdict {
    if (answer.fault !== undefined) {
      const { plan } = answer
      this.#count(quota, 'refused')
      throw answer.fault === 'plan'
        ? planUnknown(plan)
        : quotaErrors.error('quota.not_in_plan', { meta: { quota, plan } })
    }
    const { at, plan } = answer
    const standings = answer.windows.map((window) => standingOf(window, answer.total))
    this.#count(quota, granted ? 'granted' : 'refused')
    if (granted) return { taken: { subject, quota, cost, plan, standings, at }, error: undefined }
    const waits = answer.windows.map((window) => waitOf(window, answer.total, cost, Date.parse(at)))
    return { error: exceeded(quota, cost, answer, standings, waits), taken: undefined, standings, waits, at }
  }

  #count(quota: string, result: 'granted' | 'refused'): void {
    this.#takes?.add(1, { quota, result })
  }
}

type Verdict =
  | { readonly taken: Taken; readonly error: undefined }
  | {
      readonly taken: undefined
      readonly error: ForgeError<QuotaErrorCode>
      readonly standings: readonly QuotaStanding[]
      /** Of each that refuses: milliseconds until it would not. */
      readonly waits: readonly (number | undefined)[]
      readonly at: string
    }

function rateOf({ rates }: Plan, limit: string): PlanRate | undefined {
  return Object.hasOwn(rates, limit) ? rates[limit] : undefined
}

function alone(answer: TakeAnswer): Decision {
  return { answer, granted: answer.fault === undefined && answer.granted[0]! }
}

/** Stands for a statement that has committed by itself. */
const committed = {} as Queryable

function publish({ tenantId }: Account, quota: string, { events }: Counted): void {
  if (!quotaLevelReached.hasSubscribers) return
  for (const { id, subject_id, per, starts_at, level, used, allowed, occurred_at } of events)
    quotaLevelReached.publish({
      id,
      tenantId,
      keyId: subject_id === tenantId ? null : subject_id,
      quota,
      per,
      periodStartsAt: new Date(starts_at),
      level,
      used,
      limit: allowed,
      at: new Date(occurred_at),
    })
}

/** `waits`: of each window that refuses, milliseconds until it would not; infinite when it always will. */
function exceeded(
  quota: string,
  cost: number,
  { plan, at }: Counted,
  standings: readonly QuotaStanding[],
  waits: readonly (number | undefined)[],
): ForgeError<QuotaErrorCode> {
  const full = standings.filter((_, n) => waits[n] !== undefined)
  const violated = full.map(({ per, each, limit, used, resetsAt }) => ({ per, each, limit, used, resets_at: resetsAt }))
  const longest = Math.max(...waits.map((wait) => wait ?? 0))
  // No time brings what is larger than the limit itself.
  const comes = Number.isFinite(longest)
  const meta = { quota, plan, cost, violated, ...(comes && { resets_at: new Date(Date.parse(at) + longest) }) }
  const policies = full.map((standing) => policyName(quota, standing))
  return quotaErrors.error('quota.exceeded', {
    meta,
    ...(comes && { retryAfterMs: longest }),
    problem: {
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Request cannot be satisfied as assigned quota has been exceeded',
      members: { 'violated-policies': policies },
    },
  })
}

function planUnknown(plan: string): ForgeError<QuotaErrorCode> {
  return quotaErrors.error('quota.plan_unknown', { meta: { plan } })
}

function checkCost(cost: number, min: number, max: number): void {
  if (!Number.isSafeInteger(cost) || cost < min || cost > max)
    throw quotaErrors.error('quota.cost_invalid', { meta: { max } })
}

/** In lower case, as the database writes ids. */
function accountOf(subject: QuotaSubject): Account {
  const tenantId = subject.kind === 'tenant' ? subject.id : subject.kind === 'api_key' ? subject.tenantId : undefined
  const keyId = subject.kind === 'api_key' ? subject.id : null
  if (!isUuid(tenantId) || (keyId !== null && !isUuid(keyId))) throw quotaErrors.error('quota.subject_invalid')
  const account = { tenantId: tenantId.toLowerCase(), keyId: keyId === null ? null : keyId.toLowerCase() }
  // They share a column.
  if (account.keyId === account.tenantId) throw quotaErrors.error('quota.subject_invalid')
  return account
}
