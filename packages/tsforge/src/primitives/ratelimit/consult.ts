import type { BoundPlaces, BoundPolicy, BoundRate, Told } from './bound-policy.ts'
import type { Decision } from './driver.ts'
import { ratelimitErrors } from './errors.ts'
import { legacyHeaders, placesState, rateState, seconds } from './headers.ts'
import type { CountedCall } from './keys.ts'
import { misdeclared } from './rules.ts'

/** A call on its way in. */
export interface LimitedCall extends CountedCall {
  addHeader(name: string, value: string): void
  setHeader(name: string, value: string): void
  onEnd(listener: (status: number) => void): void
}

export interface ConsultSettings {
  /** What one call of the route costs where the policy does not say. */
  readonly cost: number
  /** Whether X-RateLimit-* are sent too. */
  readonly legacy: boolean
  /** The counts lie in this process: looking before spending costs nothing. */
  readonly immediate: boolean
}

/** A limit and its answer. */
interface Answer {
  readonly policy: BoundPolicy
  readonly item: string
  readonly decision: Decision
}

/** Asks `policies` about each call; throws 429 or 503 when one of them refuses. */
export function consult(
  policies: readonly BoundPolicy[],
  settings: ConsultSettings,
): (call: LimitedCall) => void | Promise<void> {
  for (const policy of policies) if (policy.kind === 'rate') checkCost(policy, policy.cost ?? settings.cost)
  const [only] = policies
  if (policies.length === 1 && only?.kind === 'rate' && only.planned === undefined) return one(only, settings)
  const places = policies.filter((policy) => policy.kind === 'places')
  // The scarcest first: what it refuses has cost the others nothing.
  const rates = policies.filter((policy) => policy.kind === 'rate').sort((a, b) => paceOf(a) - paceOf(b))
  return (call) => several(call, places, rates, settings)
}

/** One limit, the usual case: no promise when the store answers at once. */
function one(policy: BoundRate, settings: ConsultSettings): (call: LimitedCall) => void | Promise<void> {
  const { own, cost = settings.cost } = policy
  const fixed = typeof cost === 'function' ? undefined : { cost }
  const judge = (call: LimitedCall, decision: Decision): void => {
    call.addHeader('ratelimit-policy', own.item)
    if (!decision.allowed) throw refuse(call, { policy, item: own.item, decision }, settings.legacy)
    if (counted(policy, decision)) call.addHeader('ratelimit', rateState(policy.name, decision))
    if (settings.legacy) tellLegacy(call, decision)
  }
  return (call) => {
    const key = policy.keyOf(call)
    if (key === undefined) return
    const decision = own.limit.take(key, fixed ?? { cost: costOf(policy, call, settings) })
    return decision instanceof Promise ? decision.then((late) => judge(call, late)) : judge(call, decision)
  }
}

/**
 * Several limits. Places first, since they can be given back; then, where looking is free, whether any rate would
 * refuse, so that a refused call spends nothing of the others. Stores that have to be asked over a network are asked
 * one after the other, scarcest first: what stands before the one that refuses has been spent.
 */
async function several(
  call: LimitedCall,
  places: readonly BoundPlaces[],
  rates: readonly BoundRate[],
  settings: ConsultSettings,
): Promise<void> {
  const answers: Answer[] = []
  const held: (() => void)[] = []
  try {
    for (const policy of places) {
      const key = policy.keyOf(call)
      if (key === undefined) continue
      const slot = policy.limit.acquire(key)
      const decision = slot instanceof Promise ? await slot : slot
      held.push(decision.release)
      answers.push({ policy, item: policy.item, decision })
      if (!decision.allowed) return tell(call, answers, settings.legacy)
    }
    const asked = await askable(call, rates, settings)
    const hopeless = settings.immediate ? asked.find(wouldRefuse) : undefined
    for (const { policy, told, key, cost } of hopeless === undefined ? asked : [hopeless]) {
      const taken = told.limit.take(key, { cost })
      const decision = taken instanceof Promise ? await taken : taken
      answers.push({ policy, item: told.item, decision })
      if (!decision.allowed) break
    }
    tell(call, answers, settings.legacy)
  } catch (error) {
    for (const release of held) release()
    throw error
  }
  for (const release of held) call.onEnd(release)
}

interface Asked {
  readonly policy: BoundRate
  readonly told: Told
  readonly key: string
  readonly cost: number
}

async function askable(call: LimitedCall, rates: readonly BoundRate[], settings: ConsultSettings): Promise<Asked[]> {
  const asked: Asked[] = []
  for (const policy of rates) {
    const key = policy.keyOf(call)
    if (key === undefined) continue
    const planned = policy.planned?.(call) ?? policy.own
    const told = planned instanceof Promise ? await planned : planned
    asked.push({ policy, told, key, cost: costOf(policy, call, settings) })
  }
  return asked
}

function wouldRefuse({ told, key, cost }: Asked): boolean {
  const seen = told.limit.peek(key)
  return !(seen instanceof Promise) && (!seen.allowed || seen.remaining < cost)
}

function costOf({ cost }: BoundRate, call: LimitedCall, settings: ConsultSettings): number {
  return typeof cost === 'function' ? cost(call) : (cost ?? settings.cost)
}

/** What is known at boot and could never be allowed. */
function checkCost({ name, own }: BoundRate, cost: BoundRate['cost']): void {
  const { burst } = own.limit.rule
  if (typeof cost === 'number' && cost > burst)
    throw misdeclared(name, `a call costs ${cost}, and no more than ${burst} may be spent at once`)
}

/** Calls per millisecond. */
function paceOf({ own }: BoundRate): number {
  return own.limit.rule.limit / own.limit.rule.windowMs
}

/** Puts the answers into headers, and throws when one of them is a refusal. */
function tell(call: LimitedCall, answers: readonly Answer[], legacy: boolean): void {
  for (const { item } of answers) call.addHeader('ratelimit-policy', item)
  const last = answers.at(-1)
  if (last !== undefined && !last.decision.allowed) throw refuse(call, last, legacy)
  for (const { policy, decision } of answers) {
    if (counted(policy, decision)) call.addHeader('ratelimit', stateOf(policy, decision))
  }
  if (legacy) tellLegacy(call, tightest(answers))
}

function stateOf(policy: BoundPolicy, decision: Decision): string {
  return policy.kind === 'rate' ? rateState(policy.name, decision) : placesState(policy.name, decision)
}

/** A lost store has counted nothing, unless this process counted in its place. */
function counted(policy: BoundPolicy, { lost }: Decision): boolean {
  return !lost || whenLost(policy) === 'local'
}

function whenLost(policy: BoundPolicy): string {
  return policy.kind === 'rate' ? policy.own.limit.whenLost : policy.limit.whenLost
}

function tightest(answers: readonly Answer[]): Decision | undefined {
  let found: Decision | undefined
  for (const { decision } of answers) {
    if (found === undefined || decision.remaining * found.limit < found.remaining * decision.limit) found = decision
  }
  return found
}

function tellLegacy(call: LimitedCall, decision: Decision | undefined): void {
  if (decision !== undefined) for (const [name, value] of legacyHeaders(decision)) call.setHeader(name, value)
}

const problems = 'https://iana.org/assignments/http-problem-types#'

function refuse(call: LimitedCall, { policy, decision }: Answer, legacy: boolean): Error {
  // Told alone: what the other limits still have would invite the caller to come back too early.
  call.setHeader('ratelimit', stateOf(policy, decision))
  if (legacy) tellLegacy(call, decision)
  const uncounted = !counted(policy, decision)
  const members = { 'violated-policies': [policy.name] }
  return ratelimitErrors.error(
    uncounted
      ? 'ratelimit.unavailable'
      : policy.kind === 'places'
        ? 'ratelimit.too_many_at_once'
        : 'ratelimit.exceeded',
    {
      meta: { violated_policies: [policy.name] },
      retryAfterMs: seconds(decision.retryAfterMs) * 1000,
      problem: uncounted
        ? { type: `${problems}temporary-reduced-capacity`, title: 'Temporary Reduced Capacity', members }
        : { type: `${problems}quota-exceeded`, title: 'Quota Exceeded', members },
    },
  )
}
