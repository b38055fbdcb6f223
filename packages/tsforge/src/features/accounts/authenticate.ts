import type { Actor } from '../../kernel/context.ts'
import { keysErrors } from '../../primitives/keys/index.ts'
import type { Verified } from '../../primitives/keys/index.ts'
import { accountsErrors } from './errors.ts'
import type { Parts } from './parts.ts'
import { isSessionAlive } from './session-repository.ts'
import { accessType } from './tokens.ts'

/** Turns an access token into its actor, or throws (rejects with) a 401. */
export type Authenticate = (token: string) => Actor | Promise<Actor>

/** Answers from memory and without a promise, unless the token is new to a cold key store or the revocations are stale. */
export function createAuthenticate(parts: Pick<Parts, 'db' | 'keys' | 'revocations'>): Authenticate {
  const { db, keys, revocations } = parts
  const expected = { type: accessType }

  const accept = (verified: Verified): Actor | Promise<Actor> => {
    const { sub, sid, tid } = verified.claims
    // Ours always name a session; whatever else the keys may sign is no login.
    if (typeof sid !== 'string') throw keysErrors.error('auth.token_invalid')
    if (revocations.has(sid)) throw accountsErrors.error('auth.session_revoked')
    const actor: Actor =
      typeof tid === 'string'
        ? { kind: 'user', id: sub, sessionId: sid, tenantId: tid }
        : { kind: 'user', id: sub, sessionId: sid }
    return revocations.stale ? lookUp(sid, actor) : actor
  }

  const lookUp = async (sessionId: string, actor: Actor): Promise<Actor> => {
    const alive = await isSessionAlive(db, sessionId).catch((cause: unknown) => {
      throw accountsErrors.error('accounts.unavailable', { cause, retryAfterMs: 2_000 })
    })
    if (!alive) throw accountsErrors.error('auth.session_revoked')
    return actor
  }

  return (token) => {
    const verified = keys.verify(token, expected)
    return verified instanceof Promise ? verified.then(accept) : accept(verified)
  }
}
