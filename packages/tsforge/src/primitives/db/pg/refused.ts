import type { ForgeError } from '../../../kernel/errors.ts'
import { isConnectionLoss, translate } from '../faults.ts'

const refused = new WeakSet<object>()

/** What became of a statement for which no connection was found. */
export function refusal(error: unknown): ForgeError {
  const fault = translate(error)
  refused.add(fault)
  return fault
}

/** Whether the statement never ran because no server let us in: it may be sent to another one. */
export function wasRefused(error: unknown): boolean {
  if (!isConnectionLoss(error) || !refused.has(error as ForgeError)) return false
  // A server that stands still has not refused.
  return !/timeout/.test(String((error as ForgeError).cause))
}
