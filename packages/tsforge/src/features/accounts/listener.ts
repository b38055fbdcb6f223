import type { Queryable } from '../../primitives/db/index.ts'
import type { UserLoggedIn, UserPasswordChanged, UserRegistered } from './events.ts'

/**
 * Takes part in the transaction of what happened: what it writes with `tx` is there exactly if that commits, and what it
 * throws undoes all of it. Mails of `sendLater`, jobs and events belong here; nothing that leaves the database does.
 */
export interface AccountsListener {
  registered?(event: UserRegistered, tx: Queryable): Promise<unknown>
  loggedIn?(event: UserLoggedIn, tx: Queryable): Promise<unknown>
  passwordChanged?(event: UserPasswordChanged, tx: Queryable): Promise<unknown>
}

/** Those that other parts have added, in their order. */
export class Listeners {
  readonly #all = new Set<AccountsListener>()

  /** Gives how to take it away again. */
  add(listener: AccountsListener): () => void {
    this.#all.add(listener)
    return () => void this.#all.delete(listener)
  }

  async registered(event: UserRegistered, tx: Queryable): Promise<void> {
    for (const listener of this.#all) await listener.registered?.(event, tx)
  }

  async loggedIn(event: UserLoggedIn, tx: Queryable): Promise<void> {
    for (const listener of this.#all) await listener.loggedIn?.(event, tx)
  }

  async passwordChanged(event: UserPasswordChanged, tx: Queryable): Promise<void> {
    for (const listener of this.#all) await listener.passwordChanged?.(event, tx)
  }
}
