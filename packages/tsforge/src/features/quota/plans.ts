import { parseDuration } from '../../kernel/durations.ts'
import { quotaErrors } from './errors.ts'

/** `minute` and `hour` slide; `day` and `month` are ledgers of the calendar in UTC, months from the tenant's anchor day. */
export type Per = 'minute' | 'hour' | 'day' | 'month'

export interface QuotaLimit {
  /** Units per window: 0 to 2^53 - 1, or `unlimited`, which only counts. */
  readonly limit: number | 'unlimited'
  readonly per: Per
  /** Whose units: all of the tenant (default), or those of each of its API keys by itself. */
  readonly each?: 'tenant' | 'api_key'
  /** A soft limit refuses nothing and only tells. Default false. */
  readonly soft?: boolean
  /** Percents of the limit, 1 to 100, at which an event tells, once per period. Default `[80, 100]` for days and months, else none. */
  readonly tellAt?: readonly number[]
}

/** As many calls per window, and at once. */
export interface PlanRate {
  readonly limit: number
  /** `'1m'` or milliseconds. */
  readonly window: string | number
  readonly burst?: number
}

export interface PlanSpec {
  /** `a-z 0-9 . _ -`, begins with a letter, at most 64. */
  readonly name: string
  /**
   * Limits by quota, e.g. `'api.requests'`. All limits of a quota hold together; a unit is counted in each.
   * `false`: not included. Plans of one app name the same quotas, so that none is forgotten or misspelt.
   */
  readonly quotas: Readonly<Record<string, readonly QuotaLimit[] | false>>
  /** Numbers of the plan for rate limits that are `perPlan`, by the name of the limit: `ratelimit({ plans: quotaPort })`. */
  readonly rates?: Readonly<Record<string, PlanRate>>
  /** Whether a tenant may choose it by itself through the API. Default false: only the app's own code assigns it. */
  readonly open?: boolean
}

/** A plan, checked and complete. */
export interface Plan {
  readonly name: string
  readonly quotas: Readonly<Record<string, readonly Window[]>>
  readonly rates: Readonly<Record<string, PlanRate>>
  readonly open: boolean
}

/** A limit as the database reads it. */
export interface Window {
  readonly each: 'tenant' | 'api_key'
  readonly per: Per
  readonly limit: number | null
  readonly hard: boolean
  readonly levels: readonly number[]
}

/** All plans of an app, ready for the database. */
export interface PlanBook {
  readonly plans: ReadonlyMap<string, Plan>
  readonly defaultPlan: string
  /** Windows by plan, as JSON, of each quota. */
  readonly policies: ReadonlyMap<string, string>
  /** Windows by quota by plan, as JSON. */
  readonly everything: string
}

const name = /^[a-z][a-z0-9._-]{0,63}$/
const lengths = ['minute', 'hour', 'day', 'month']

/** Checks a plan. Throws `quota.misdeclared` with all faults at once. */
export function definePlan(spec: PlanSpec): Plan {
  const faults: string[] = []
  if (!name.test(spec.name)) faults.push(`"${spec.name}" is no name for a plan`)
  const quotas: Record<string, readonly Window[]> = {}
  for (const [quota, limits] of Object.entries(spec.quotas)) {
    const fault = (text: string): unknown => faults.push(`"${quota}" of plan "${spec.name}" ${text}`)
    if (!name.test(quota)) fault('is no name for a quota')
    quotas[quota] = limits === false ? [] : windowsOf(limits, fault)
  }
  for (const [rate, { limit, window }] of Object.entries(spec.rates ?? {}))
    if (!Number.isSafeInteger(limit) || limit < 1 || !isDuration(window))
      faults.push(`rate "${rate}" of plan "${spec.name}" is no number of calls per window`)
  refuse(faults)
  return { name: spec.name, quotas, rates: { ...spec.rates }, open: spec.open ?? false }
}

function isDuration(window: string | number): boolean {
  try {
    return parseDuration(window) > 0
  } catch {
    return false
  }
}

function windowsOf(limits: readonly QuotaLimit[], fault: (text: string) => unknown): readonly Window[] {
  const windows = limits.map(({ limit, per, each = 'tenant', soft = false, tellAt }): Window => {
    if (!lengths.includes(per)) fault(`has a limit per "${per}"`)
    if (each !== 'tenant' && each !== 'api_key') fault(`has a limit for each "${String(each)}"`)
    if (limit !== 'unlimited' && (!Number.isSafeInteger(limit) || limit < 0)) fault(`has the limit ${String(limit)}`)
    const levels = limit === 'unlimited' ? [] : (tellAt ?? (per === 'day' || per === 'month' ? [80, 100] : []))
    if (levels.some((level) => !Number.isInteger(level) || level < 1 || level > 100))
      fault('tells at what is no percent from 1 to 100')
    return { each, per, limit: limit === 'unlimited' ? null : limit, hard: !soft, levels }
  })
  const keys = new Set(windows.map(({ each, per }) => `${each} ${per}`))
  if (keys.size < windows.length) fault('has two limits for the same window')
  // Otherwise nothing would bound callers without an API key.
  if (!windows.some(({ each }) => each === 'tenant'))
    fault('has no limit for the whole tenant; say unlimited, or false')
  return windows
}

/** Puts the plans of an app together. Throws `quota.misdeclared`. */
export function createPlanBook(plans: readonly Plan[], defaultPlan: string): PlanBook {
  const faults: string[] = []
  const byName = new Map(plans.map((plan) => [plan.name, plan]))
  if (plans.length === 0) faults.push('there is no plan')
  if (byName.size < plans.length) faults.push('two plans have the same name')
  if (!byName.has(defaultPlan)) faults.push(`the default plan "${defaultPlan}" is not declared`)
  const quotas = [...new Set(plans.flatMap((plan) => Object.keys(plan.quotas)))]
  for (const plan of plans)
    for (const quota of quotas)
      if (!Object.hasOwn(plan.quotas, quota))
        faults.push(`plan "${plan.name}" does not say "${quota}", which another plan does`)
  refuse(faults)
  const of = (quota: string): Record<string, readonly Window[]> =>
    Object.fromEntries(plans.map((plan) => [plan.name, plan.quotas[quota]!]))
  return {
    plans: byName,
    defaultPlan,
    policies: new Map(quotas.map((quota) => [quota, JSON.stringify(of(quota))])),
    everything: JSON.stringify(Object.fromEntries(plans.map((plan) => [plan.name, plan.quotas]))),
  }
}

export function refuse(faults: readonly string[]): void {
  if (faults.length > 0) throw quotaErrors.error('quota.misdeclared', { meta: { faults: faults.join('; ') } })
}
