import type { Queryable } from '../../primitives/db/index.ts'

/** A refresh token together with its session, which is locked. */
export interface HeldRefresh {
  readonly sessionId: string
  readonly userId: string
  readonly expiresAt: Date
  readonly usedAt: Date | null
  readonly successor: string | null
  readonly absoluteExpiresAt: Date
  readonly revokedAt: Date | null
}

/**
 * Locks the token's session, then reads the token. The one lock makes a queue of everything that happens to a
 * family, so that a reuse and a rotation in flight cannot pass each other. Two statements, since the second has to
 * see what the first waited for.
 */
export async function holdRefresh(tx: Queryable, hash: string): Promise<HeldRefresh | undefined> {
  const session = await tx.query(
    `select 1 from forge_accounts_sessions
     where id = (select session_id from forge_accounts_refresh_tokens where hash = $1) for update`,
    [hash],
  )
  if (session.rows.length === 0) return undefined
  const { rows } = await tx.query<HeldRefresh>(
    `select t.session_id as "sessionId", s.user_id as "userId", t.expires_at as "expiresAt", t.used_at as "usedAt", t.successor,
       s.absolute_expires_at as "absoluteExpiresAt", s.revoked_at as "revokedAt"
     from forge_accounts_refresh_tokens t join forge_accounts_sessions s on s.id = t.session_id
     where t.hash = $1`,
    [hash],
  )
  return rows[0]
}

export interface NewRefresh {
  readonly hash: string
  readonly sessionId: string
  readonly issuedAt: Date
  readonly expiresAt: Date
}

export async function insertRefresh(tx: Queryable, token: NewRefresh): Promise<void> {
  await tx.query(
    'insert into forge_accounts_refresh_tokens (hash, session_id, issued_at, expires_at) values ($1, $2, $3, $4)',
    [token.hash, token.sessionId, token.issuedAt, token.expiresAt],
  )
}

/** Marks the token as used, keeps its sealed successor, and erases the pair that led to this token. */
export async function useRefresh(
  tx: Queryable,
  hash: string,
  sessionId: string,
  replacedBy: string,
  successor: string,
  now: Date,
): Promise<void> {
  await tx.query(
    `update forge_accounts_refresh_tokens set
       used_at = case when hash = $1 then $5 else used_at end,
       replaced_by = case when hash = $1 then $3 else replaced_by end,
       successor = case when hash = $1 then $4 else null end
     where session_id = $2 and (hash = $1 or successor is not null)`,
    [hash, sessionId, replacedBy, successor, now],
  )
}

/** Erases sealed pairs that nobody may ask for any more. */
export async function eraseSuccessors(db: Queryable, usedBefore: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `update forge_accounts_refresh_tokens set successor = null where hash in (
       select hash from forge_accounts_refresh_tokens where successor is not null and used_at < $1 limit $2 for update skip locked)`,
    [usedBefore, limit],
  )
  return rowCount ?? 0
}

export async function sweepRefreshTokens(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from forge_accounts_refresh_tokens where hash in (
       select hash from forge_accounts_refresh_tokens where expires_at < $1 limit $2 for update skip locked)`,
    [before, limit],
  )
  return rowCount ?? 0
}
