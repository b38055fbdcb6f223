import { noContent, route } from 'tsforge/http'
import type { Call, Route } from 'tsforge/http'
import { Timestamp, Type, Uuid } from 'tsforge/schema'
import type { AvatarLink, AvatarService, Person } from './avatar.service.ts'

const AvatarData = Type.Object({ url: Type.String(), expires_at: Timestamp }, { $id: 'Avatar' })
const shape = { tags: ['avatar'], access: 'uploads.write' } as const

/** The file itself goes through `/api/v1/uploads`, kind `avatar`, straight to the storage. */
export function avatarRoutes(avatars: AvatarService): readonly Route[] {
  return [
    route({
      ...shape,
      method: 'PUT',
      url: '/api/v1/me/avatar',
      id: 'chooseAvatar',
      summary: 'Make a completed upload your picture in the tenant',
      body: Type.Object({ upload_id: Uuid }),
      data: AvatarData,
      errors: ['avatar.not_yours', 'uploads.not_found', 'uploads.not_ready', 'storage.unavailable'],
      handler: async (call) => avatarData(await avatars.choose(personOf(call), call.body.upload_id)),
    }),
    route({
      ...shape,
      method: 'GET',
      url: '/api/v1/me/avatar',
      id: 'getAvatar',
      summary: 'A short-lived link to your picture',
      etag: false,
      data: AvatarData,
      errors: ['avatar.not_found', 'uploads.not_ready', 'storage.unavailable'],
      handler: async (call) => avatarData(await avatars.link(personOf(call))),
    }),
    route({
      ...shape,
      method: 'DELETE',
      url: '/api/v1/me/avatar',
      id: 'deleteAvatar',
      summary: 'Remove your picture',
      data: null,
      handler: async (call) => {
        await avatars.remove(personOf(call))
        return noContent()
      },
    }),
  ]
}

/** Both are there: the route asks for a permission. */
function personOf({ tenantId, actor }: Pick<Call, 'tenantId' | 'actor'>): Person {
  return { tenantId: tenantId!, userId: actor.id! }
}

function avatarData({ url, expiresAt }: AvatarLink): { url: string; expires_at: Date } {
  return { url, expires_at: expiresAt }
}
