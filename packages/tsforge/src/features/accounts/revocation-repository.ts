import type { Queryable } from '../../primitives/db/index.ts'

/** The channel on which a revocation wakes the replicas. It carries nothing: the table says what happened. */
export const revocationsChannel = 'forge_accounts_sessions'

export interface RevocationPage {
  readonly sessionIds: readonly string[]
  /** Where to go on: the oldest transaction that was still running. */
  readonly next: string
}

/**
 * Revocations by transactions from `since` on ('0' for all). Whatever committed before `next` has been seen; whatever
 * was still running will be seen from `next` on. A row can be returned twice, and never not at all. Should the
 * cursor lie in the future (a restored database counts anew), everything is returned.
 */
export async function readRevocations(db: Queryable, since: string): Promise<RevocationPage> {
  const { rows } = await db.query<{ next: string; sessionId: string | null }>(
    `select s.next::text as next, r.session_id as "sessionId"
     from (select pg_snapshot_xmin(pg_current_snapshot()) as next) s
     left join forge_accounts_revocations r on r.xid >= (case when $1::text::xid8 > s.next then '0'::xid8 else $1::text::xid8 end)`,
    [since],
  )
  return { next: rows[0]!.next, sessionIds: rows.flatMap((row) => row.sessionId ?? []) }
}

/** By the database's own time, which stamped them. */
export async function sweepRevocations(db: Queryable, olderThanMs: number, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from forge_accounts_revocations where session_id in (
       select session_id from forge_accounts_revocations where revoked_at < now() - $1 * interval '1 millisecond' limit $2 for update skip locked)`,
    [olderThanMs, limit],
  )
  return rowCount ?? 0
}
