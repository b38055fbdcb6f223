import type { Db } from 'tsforge/db'
import type { Toolbox } from 'tsforge/plugin'
import { uploadsErrors } from 'tsforge/uploads'
import type { Uploads } from 'tsforge/uploads'
import { avatarErrors } from './avatar.errors.ts'

interface Needs {
  readonly db: Db
  readonly uploads: Uploads
}

export interface Person {
  readonly tenantId: string
  readonly userId: string
}

export interface AvatarLink {
  readonly url: string
  readonly expiresAt: Date
}

/** The picture of a member of a tenant: one ready upload of the kind `avatar`. */
export interface AvatarService {
  choose(person: Person, uploadId: string): Promise<AvatarLink>
  link(person: Person): Promise<AvatarLink>
  remove(person: Person): Promise<void>
}

export function createAvatarService({ db, uploads, clock }: Toolbox<unknown> & Needs): AvatarService {
  const find = async ({ tenantId, userId }: Person): Promise<string | undefined> => {
    const { rows } = await db.query<{ id: string }>(
      'select upload_id as id from avatars where tenant_id = $1 and user_id = $2',
      [tenantId, userId],
    )
    return rows[0]?.id
  }
  return {
    async choose(person, uploadId) {
      const { kind, state, createdBy } = await uploads.get(uploadId)
      if (kind !== 'avatar' || state !== 'ready' || createdBy !== person.userId)
        throw avatarErrors.error('avatar.not_yours')
      const { tenantId, userId } = person
      const old = await db.tx(async (tx) => {
        // Of two choices at the same time the later one removes what the earlier one chose.
        const { rows } = await tx.query<{ id: string }>(
          'select upload_id as id from avatars where tenant_id = $1 and user_id = $2 for update',
          [tenantId, userId],
        )
        await tx.query(
          `insert into avatars (tenant_id, user_id, upload_id, updated_at) values ($1, $2, $3, $4)
           on conflict (tenant_id, user_id) do update set upload_id = excluded.upload_id, updated_at = excluded.updated_at`,
          [tenantId, userId, uploadId, new Date(clock.now())],
        )
        return rows[0]?.id
      })
      if (old !== undefined && old !== uploadId) await uploads.remove(old).catch(unlessGone)
      return uploads.link(uploadId)
    },
    async link(person) {
      const id = await find(person)
      const link = id === undefined ? undefined : await uploads.link(id).catch(unlessGone)
      if (link === undefined) throw avatarErrors.error('avatar.not_found')
      return link
    },
    async remove(person) {
      const id = await find(person)
      if (id === undefined) return
      await db.query('delete from avatars where tenant_id = $1 and user_id = $2', [person.tenantId, person.userId])
      await uploads.remove(id).catch(unlessGone)
    },
  }
}

/** Its owner may have deleted the upload itself. */
function unlessGone(error: unknown): undefined {
  if (!uploadsErrors.is(error, 'uploads.not_found')) throw error
}
