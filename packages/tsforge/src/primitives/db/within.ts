import type { Channel } from 'node:diagnostics_channel'
import type { Queryable } from './driver.ts'
import type { Db, Tx } from './facade.ts'

/** Runs `fn` in the caller's transaction, or in one of its own. */
export function within<T>(db: Db, tx: Queryable | undefined, fn: (tx: Queryable) => Promise<T>): Promise<T> {
  return tx === undefined ? db.tx(fn) : fn(tx)
}

/** Runs `fn` once `tx` has committed. A foreign transaction cannot tell: `otherwise` runs at once then. */
export function afterCommit(tx: Queryable, fn: () => void, otherwise: () => void = fn): void {
  if ('afterCommit' in tx && typeof tx.afterCommit === 'function') (tx as Tx).afterCommit(fn)
  else otherwise()
}

/** Publishes a fact once `tx` has committed (at once where `tx` is foreign). */
export function tell<Message extends object>(
  tx: Queryable,
  channel: Channel<unknown, Message>,
  message: Message,
): void {
  if (channel.hasSubscribers) afterCommit(tx, () => channel.publish(message))
}
