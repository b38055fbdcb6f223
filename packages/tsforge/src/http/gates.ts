import type { ExtendedCall } from './extended-call.ts'
import type { Gate, GateSpec } from './feature.ts'
import type { Route } from './route.ts'

/** The gates of `route` in one phase; `undefined` when it has none, so that it pays for none. */
export function gatesOf(
  specs: readonly GateSpec[],
  phase: GateSpec['phase'],
  route: Route,
): readonly Gate[] | undefined {
  const gates = specs.filter((spec) => spec.phase === phase).flatMap((spec) => spec.for(route) ?? [])
  return gates.length === 0 ? undefined : gates
}

/** Asks one gate after the other; without a promise when all of them answer at once. */
export function pass(gates: readonly Gate[], call: ExtendedCall): void | Promise<void> {
  for (let at = 0; at < gates.length; at++) {
    const pending = gates[at]!(call)
    if (pending !== undefined) return at === gates.length - 1 ? pending : passRest(gates, call, pending, at + 1)
  }
}

async function passRest(
  gates: readonly Gate[],
  call: ExtendedCall,
  pending: Promise<void>,
  next: number,
): Promise<void> {
  await pending
  // What is over must not be charged any further.
  for (let at = next; at < gates.length && !call.over; at++) await gates[at]!(call)
}
