import { tell } from '../../primitives/db/index.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import { accountsErrors } from './errors.ts'
import type { AccountsErrorCode } from './errors.ts'
import { refreshReused } from './events.ts'
import type { Parts } from './parts.ts'
import { cleanIp, cleanUserAgent } from './person.ts'
import type { Device } from './person.ts'
import { holdRefresh, insertRefresh, useRefresh } from './refresh-repository.ts'
import type { HeldRefresh } from './refresh-repository.ts'
import { openWith, sealFor } from './seal.ts'
import { revokeSession, touchSession } from './session-repository.ts'
import { announce, idleLimit } from './sessions.ts'
import { hashRefreshToken, isRefreshToken, issuePair, packPair, unpackPair } from './tokens.ts'
import type { TokenPair } from './tokens.ts'

/**
 * Trades a refresh token for the next pair, in one transaction that holds the session. Inside the grace window a
 * used token gets the very same pair again; after it, or once the successor has been used, the session ends. Throws
 * `auth.refresh_invalid`, `auth.refresh_expired`, `auth.session_revoked`, `auth.token_reused`.
 */
export async function refresh(parts: Parts, token: string, device: Device): Promise<TokenPair> {
  if (!isRefreshToken(token)) throw accountsErrors.error('auth.refresh_invalid')
  // The refusal is a result and no throw: what ends a session has to be committed.
  const outcome = await parts.db.tx((tx) => trade(parts, tx, token, device))
  if (typeof outcome === 'string') throw accountsErrors.error(outcome)
  return outcome
}

async function trade(
  parts: Parts,
  tx: Queryable,
  token: string,
  device: Device,
): Promise<TokenPair | AccountsErrorCode> {
  const hash = hashRefreshToken(token)
  const held = await holdRefresh(tx, hash)
  if (held === undefined) return 'auth.refresh_invalid'
  if (held.revokedAt !== null) return 'auth.session_revoked'
  // Read with the lock in hand: waiting for it took time.
  const now = new Date(parts.clock.now())
  // Before reuse: an old token that has run out proves nothing (and must not end the session it belonged to).
  if (held.expiresAt <= now || held.absoluteExpiresAt <= now) return 'auth.refresh_expired'
  if (held.usedAt === null) return rotate(parts, tx, token, hash, held, now, device)
  if (held.successor !== null && now.getTime() - held.usedAt.getTime() <= parts.options.refreshGraceMs) {
    return unpackPair(openWith(token, held.successor))
  }
  await revokeSession(tx, held.sessionId, held.userId, 'token_reused', now)
  announce(parts, tx, held.userId, [held.sessionId], 'token_reused')
  tell(tx, refreshReused, { userId: held.userId, sessionId: held.sessionId, ip: cleanIp(device.ip) })
  return 'auth.token_reused'
}

async function rotate(
  parts: Parts,
  tx: Queryable,
  token: string,
  hash: string,
  held: HeldRefresh,
  now: Date,
  device: Device,
): Promise<TokenPair> {
  const { sessionId, userId, absoluteExpiresAt } = held
  const expiresAt = idleLimit(parts, now, absoluteExpiresAt)
  const tenantId = await parts.tenants.defaultFor(userId, tx)
  const pair = await issuePair(parts, {
    userId,
    sessionId,
    tenantId,
    now,
    refreshExpiresAt: expiresAt,
  })
  const next = hashRefreshToken(pair.refreshToken)
  await insertRefresh(tx, { hash: next, sessionId, issuedAt: now, expiresAt })
  await useRefresh(tx, hash, sessionId, next, sealFor(token, packPair(pair)), now)
  await touchSession(tx, sessionId, now, expiresAt, cleanIp(device.ip), cleanUserAgent(device.userAgent))
  return pair
}
