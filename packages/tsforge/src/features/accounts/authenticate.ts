import type { Actor } from '../../kernel/context.ts'
import { keysErrors } from '../../primitives/keys/index.ts'
import type { Verified } from '../../primitives/keys/index.ts'
import { accountsErrors } from './errors.ts'
import type { Parts } from './parts.ts'
import { isSessionAlive } from './session-repository.ts'
import { accessType } from './tokens.ts'

/** Throws (rejects with) a 401 when the session of an actor whom a token has let in has ended since. */
export type Recheck = (actor: Actor) => void | Promise<void>

/** Turns an access token into its actor, or throws (rejects with) a 401. */
export type Authenticate = (token: string) => Actor | Promise<Actor>

/** Answers from memory and without a promise, unless the token is new to a cold key store or the revocations are stale. */
export function createAuthenticate(parts: Pick<Parts, 'db' | 'keys' | 'revocations'>): Authenticate {
  const { keys, revocations } = parts
  const lookUp = lookUpIn(parts)
  const expected = { type: accessType }

  const accept = (verified: Verified): Actor | Promise<Actor> => {
    const { sub, sid, tid } = verified.claims
    // Ours always name a session; whatever else the keys may sign is no login.
    if (typeof sid !== 'string') throw keysErrors.error('auth.token_invalid')
    if (revocations.has(sid)) throw accountsErrors.error('auth.session_revoked')
    const actor: Actor =
      typeof tid === 'string'
        ? { kind: 'user', id: sub, sessionId: sid, tenantId: tid, expiresAt: verified.expiresAt }
        : { kind: 'user', id: sub, sessionId: sid, expiresAt: verified.expiresAt }
    return revocations.stale ? lookUp(sid).then(() => actor) : actor
  }

  return (token) => {
    const verified = keys.verify(token, expected)
    return verified instanceof Promise ? verified.then(accept) : accept(verified)
  }
}

/** Answers from memory unless the revocations are stale. */
export function createRecheck(parts: Pick<Parts, 'db' | 'revocations'>): Recheck {
  const { revocations } = parts
  const lookUp = lookUpIn(parts)
  return ({ sessionId }) => {
    if (sessionId === undefined) return undefined
    if (revocations.has(sessionId)) throw accountsErrors.error('auth.session_revoked')
    return revocations.stale ? lookUp(sessionId) : undefined
  }
}

function lookUpIn({ db }: Pick<Parts, 'db'>): (sessionId: string) => Promise<void> {
  return async (sessionId) => {
    const alive = await isSessionAlive(db, sessionId).catch((cause: unknown) => {
      throw accountsErrors.error('accounts.unavailable', { cause, retryAfterMs: 2_000 })
    })
    if (!alive) throw accountsErrors.error('auth.session_revoked')
  }
}
