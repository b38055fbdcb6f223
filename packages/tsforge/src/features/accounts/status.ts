import { within } from '../../primitives/db/index.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import { accountsErrors } from './errors.ts'
import type { Parts } from './parts.ts'
import { listSessions } from './session-repository.ts'
import { announce } from './sessions.ts'
import { lockUser, setStatus } from './user-repository.ts'

/** Keeps a user out: no login, and every session ends in the same transaction. Throws `user.not_found`. */
export function disable(parts: Parts, userId: string, tx?: Queryable): Promise<void> {
  return within(parts.db, tx, async (t) => {
    const now = new Date(parts.clock.now())
    // With the row in hand no new session can appear.
    if (!(await lockUser(t, userId))) throw accountsErrors.error('user.not_found')
    const live = await listSessions(t, userId, now)
    // The table's trigger ends the sessions, as it does for whoever changes the status by hand.
    await setStatus(t, userId, 'disabled', now)
    announce(
      parts,
      t,
      userId,
      live.map((session) => session.id),
      'user_disabled',
    )
  })
}

/** Lets a user log in again. Ended sessions stay ended. Throws `user.not_found`. */
export function enable(parts: Parts, userId: string, tx?: Queryable): Promise<void> {
  return within(parts.db, tx, async (t) => {
    if (!(await lockUser(t, userId))) throw accountsErrors.error('user.not_found')
    await setStatus(t, userId, 'active', new Date(parts.clock.now()))
  })
}
