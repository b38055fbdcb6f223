import type { Queryable } from '../../primitives/db/index.ts'
import type { Upload, UploadState } from './uploads.ts'

const columns = `id, tenant_id as "tenantId", kind, filename, content_type as "contentType", size::float8 as size, sha256, state,
  reason, created_by as "createdBy", created_at as "createdAt", expires_at as "expiresAt", ready_at as "readyAt"`

export async function insertUpload(db: Queryable, upload: Upload): Promise<void> {
  const { id, tenantId, kind, filename, contentType, size, sha256, createdBy, createdAt, expiresAt } = upload
  await db.query(
    `insert into forge_uploads
       (id, tenant_id, kind, filename, content_type, size, sha256, state, expires_at, created_at, created_by, updated_at, updated_by)
     values ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, $10, $9, $10)`,
    [id, tenantId, kind, filename, contentType, size, sha256, expiresAt, createdAt, createdBy],
  )
}

export async function selectUpload(db: Queryable, tenantId: string, id: string): Promise<Upload | undefined> {
  const { rows } = await db.query<Upload>(
    `select ${columns} from forge_uploads where tenant_id = $1 and id = $2 and state <> 'removed'`,
    [tenantId, id],
  )
  return rows[0]
}

/** Takes a pending upload for one check at a time; a check that died loses it when its lease ends. */
export async function claimUpload(db: Queryable, id: string, now: Date, until: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    `update forge_uploads set claimed_until = $3
     where id = $1 and state = 'pending' and (claimed_until is null or claimed_until <= $2)`,
    [id, now, until],
  )
  return rowCount === 1
}

export async function releaseUpload(db: Queryable, id: string): Promise<void> {
  await db.query(`update forge_uploads set claimed_until = null where id = $1 and state = 'pending'`, [id])
}

export async function settleUpload(
  db: Queryable,
  id: string,
  state: Exclude<UploadState, 'pending'>,
  { reason = null, by, now }: { readonly reason?: string | null; readonly by: string | null; readonly now: Date },
): Promise<Upload | undefined> {
  const { rows } = await db.query<Upload>(
    `update forge_uploads set state = $2, reason = $3, claimed_until = null, updated_at = $4, updated_by = $5,
       ready_at = case when $2 = 'ready' then $4::timestamptz end
     where id = $1 and state = 'pending' returning ${columns}`,
    [id, state, reason, now, by],
  )
  return rows[0]
}

/** Gone for everybody; what its link may still store is left to the sweep. */
export async function removeUpload(
  db: Queryable,
  id: string,
  { by, now }: { readonly by: string | null; readonly now: Date },
): Promise<void> {
  await db.query(
    `update forge_uploads set state = 'removed', staged = true, updated_at = $2, updated_by = $3 where id = $1`,
    [id, now, by],
  )
}

/** Nothing lies where the link of a ready upload stored, and nothing can come any more. */
export async function closeUpload(db: Queryable, id: string): Promise<void> {
  await db.query(`update forge_uploads set staged = false where id = $1 and state = 'ready'`, [id])
}

export async function deleteUpload(db: Queryable, id: string): Promise<void> {
  await db.query(`delete from forge_uploads where id = $1 and state = 'removed'`, [id])
}

/**
 * Uploads whose link ended before `before` and whose place has not been looked after. From here on nobody can finish those
 * that are not ready. `state`: as it was.
 */
export async function claimOverdue(
  db: Queryable,
  before: Date,
  limit: number,
): Promise<{ readonly id: string; readonly tenantId: string; readonly state: UploadState | 'removed' }[]> {
  const { rows } = await db.query<{ id: string; tenantId: string; state: UploadState | 'removed' }>(
    `with overdue as materialized (
       select id, state from forge_uploads
       where staged and expires_at < $1 and (claimed_until is null or claimed_until < $1)
       order by expires_at limit $2 for update skip locked)
     update forge_uploads u set state = case when o.state = 'ready' then o.state else 'removed' end
     from overdue o where u.id = o.id returning u.id, u.tenant_id as "tenantId", o.state`,
    [before, limit],
  )
  return rows
}
