import type { Queryable } from '../../primitives/db/index.ts'
import type { RevocationReason } from './events.ts'

/** A login on one device; also the family of its refresh tokens. */
export interface Session {
  readonly id: string
  readonly userId: string
  readonly userAgent: string | null
  readonly ip: string | null
  readonly createdAt: Date
  readonly lastUsedAt: Date
  /** Idle limit, moved forward by each refresh. */
  readonly expiresAt: Date
  readonly absoluteExpiresAt: Date
}

const columns = `id, user_id as "userId", user_agent as "userAgent", ip, created_at as "createdAt", last_used_at as "lastUsedAt",
  expires_at as "expiresAt", absolute_expires_at as "absoluteExpiresAt"`

export async function insertSession(tx: Queryable, session: Session): Promise<void> {
  await tx.query(
    `insert into forge_accounts_sessions (id, user_id, user_agent, ip, created_at, last_used_at, expires_at, absolute_expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      session.id,
      session.userId,
      session.userAgent,
      session.ip,
      session.createdAt,
      session.lastUsedAt,
      session.expiresAt,
      session.absoluteExpiresAt,
    ],
  )
}

/** Notes a refresh; where it came from replaces what was known, unless it is not known. */
export async function touchSession(
  tx: Queryable,
  id: string,
  now: Date,
  expiresAt: Date,
  ip: string | null,
  userAgent: string | null,
): Promise<void> {
  await tx.query(
    `update forge_accounts_sessions set last_used_at = $2, expires_at = $3, ip = coalesce($4, ip), user_agent = coalesce($5, user_agent)
     where id = $1`,
    [id, now, expiresAt, ip, userAgent],
  )
}

/** Live sessions, newest use first. Bounded by `FORGE_ACCOUNTS_MAX_SESSIONS`. */
export async function listSessions(db: Queryable, userId: string, now: Date): Promise<Session[]> {
  const { rows } = await db.query<Session>(
    `select ${columns} from forge_accounts_sessions
     where user_id = $1 and revoked_at is null and expires_at > $2 order by last_used_at desc, id desc limit 1000`,
    [userId, now],
  )
  return rows
}

/** The owner stands in the statement: a foreign session is as unknown as one that never was. */
export async function revokeSession(
  tx: Queryable,
  id: string,
  userId: string,
  reason: RevocationReason,
  now: Date,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update forge_accounts_sessions set revoked_at = $4, revoked_reason = $3
     where id = $1 and user_id = $2 and revoked_at is null and expires_at > $4`,
    [id, userId, reason, now],
  )
  return rowCount === 1
}

/** Ends the live sessions of a user but `except`, beyond the `keep` used last. Returns their ids. */
export async function revokeSessions(
  tx: Queryable,
  userId: string,
  which: { readonly except: string | null; readonly keep: number },
  reason: RevocationReason,
  now: Date,
): Promise<string[]> {
  const { rows } = await tx.query<{ id: string }>(
    // Locked in one order, so that two of these cannot deadlock.
    `with doomed as (
       select id from forge_accounts_sessions where user_id = $1 and revoked_at is null and id is distinct from $2::uuid
         and id in (
           select id from forge_accounts_sessions where user_id = $1 and revoked_at is null and id is distinct from $2::uuid
           order by last_used_at desc, id desc offset $3)
       order by id for update)
     update forge_accounts_sessions s set revoked_at = $5, revoked_reason = $4 from doomed where s.id = doomed.id and s.revoked_at is null
     returning s.id`,
    [userId, which.except, which.keep, reason, now],
  )
  return rows.map((row) => row.id)
}

/** Whether access tokens of the session are to be accepted, as the database knows it now. */
export async function isSessionAlive(db: Queryable, id: string): Promise<boolean> {
  const { rows } = await db.query('select 1 from forge_accounts_sessions where id = $1 and revoked_at is null', [id])
  return rows.length === 1
}

export async function sweepSessions(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from forge_accounts_sessions where id in (
       select id from forge_accounts_sessions where expires_at < $1 limit $2 for update skip locked)`,
    [before, limit],
  )
  return rowCount ?? 0
}
