import { isUuid, uuidv7 } from '../../kernel/ids.ts'
import { afterCommit, tell, within } from '../../primitives/db/index.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import { accountsErrors } from './errors.ts'
import { sessionRevoked } from './events.ts'
import type { RevocationReason } from './events.ts'
import type { Parts } from './parts.ts'
import { cleanIp, cleanUserAgent } from './person.ts'
import type { Device } from './person.ts'
import { insertRefresh } from './refresh-repository.ts'
import { insertSession, listSessions, revokeSession, revokeSessions } from './session-repository.ts'
import type { Session } from './session-repository.ts'
import { hashRefreshToken, issuePair } from './tokens.ts'
import type { TokenPair } from './tokens.ts'

export interface OpenedSession {
  readonly sessionId: string
  readonly tokens: TokenPair
}

/** Starts a session and hands out its first pair. Everything counts from one reading of the clock. */
export async function openSession(
  parts: Parts,
  tx: Queryable,
  userId: string,
  tenantId: string | null,
  device: Device,
): Promise<OpenedSession> {
  const { clock, options } = parts
  const now = new Date(clock.now())
  const absoluteExpiresAt = new Date(now.getTime() + options.refreshAbsoluteMs)
  const expiresAt = idleLimit(parts, now, absoluteExpiresAt)
  const session: Session = {
    id: uuidv7(),
    userId,
    userAgent: cleanUserAgent(device.userAgent),
    ip: cleanIp(device.ip),
    createdAt: now,
    lastUsedAt: now,
    expiresAt,
    absoluteExpiresAt,
  }
  const tokens = await issuePair(parts, {
    userId,
    sessionId: session.id,
    tenantId,
    now,
    refreshExpiresAt: expiresAt,
  })
  await insertSession(tx, session)
  await insertRefresh(tx, {
    hash: hashRefreshToken(tokens.refreshToken),
    sessionId: session.id,
    issuedAt: now,
    expiresAt,
  })
  const surplus = await revokeSessions(
    tx,
    userId,
    { except: session.id, keep: options.maxSessions - 1 },
    'too_many_sessions',
    now,
  )
  announce(parts, tx, userId, surplus, 'too_many_sessions')
  return { sessionId: session.id, tokens }
}

/** When a session used at `now` ends unless it is used again. */
export function idleLimit({ options }: Parts, now: Date, absoluteExpiresAt: Date): Date {
  return new Date(Math.min(now.getTime() + options.refreshIdleMs, absoluteExpiresAt.getTime()))
}

/** Ends one session of the user. Throws `session.not_found` for unknown, ended and foreign ones alike. */
export async function endSession(
  parts: Parts,
  userId: string,
  sessionId: string,
  reason: RevocationReason,
  tx?: Queryable,
): Promise<void> {
  await within(parts.db, tx, async (t) => {
    const found = isUuid(sessionId) && (await revokeSession(t, sessionId, userId, reason, new Date(parts.clock.now())))
    if (!found) throw accountsErrors.error('session.not_found')
    announce(parts, t, userId, [sessionId], reason)
  })
}

/** Ends every session of the user but `except`. Returns how many. */
export function endSessions(
  parts: Parts,
  userId: string,
  except: string | null,
  reason: RevocationReason,
  tx?: Queryable,
): Promise<number> {
  return within(parts.db, tx, async (t) => {
    const ended = await revokeSessions(t, userId, { except, keep: 0 }, reason, new Date(parts.clock.now()))
    announce(parts, t, userId, ended, reason)
    return ended.length
  })
}

export function liveSessions({ db, clock }: Parts, userId: string): Promise<Session[]> {
  return listSessions(db, userId, new Date(clock.now()))
}

/** This process refuses at once; the others hear of it from the database. */
export function announce(
  { revocations }: Parts,
  tx: Queryable,
  userId: string,
  sessionIds: readonly string[],
  reason: RevocationReason,
): void {
  if (sessionIds.length === 0) return
  // Not before the commit: a session that a rollback saved must not stay refused. Then NOTIFY tells us, like the others.
  afterCommit(
    tx,
    () => revocations.add(sessionIds),
    () => {},
  )
  for (const sessionId of sessionIds) tell(tx, sessionRevoked, { userId, sessionId, reason })
}
