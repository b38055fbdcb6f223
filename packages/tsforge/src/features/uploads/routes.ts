import { created, noContent } from '../../http/answer.ts'
import type { PermissionSpec } from '../../http/feature.ts'
import { route } from '../../http/route.ts'
import type { Route } from '../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../http/schema.ts'
import type { Static } from '../../http/schema.ts'
import type { Upload, Uploads } from './uploads.ts'

export const uploadsPermissions: Readonly<Record<'uploads.read' | 'uploads.write', PermissionSpec>> = {
  'uploads.read': { description: { en: 'Read uploaded files', id: 'Membaca berkas unggahan' }, grantedTo: 'member' },
  'uploads.write': {
    description: { en: 'Upload and delete files', id: 'Mengunggah dan menghapus berkas' },
    grantedTo: 'member',
  },
}

const UploadParams = Type.Object({ id: Uuid })
const NewUploadBody = Type.Object({
  kind: Type.String({ minLength: 1, maxLength: 64 }),
  filename: Type.String({ minLength: 1, maxLength: 200, pattern: '^[^\\u0000-\\u001f\\u007f/\\\\]+$' }),
  content_type: Type.String({ maxLength: 100, pattern: '^[a-zA-Z0-9!#$&^_.+-]+/[a-zA-Z0-9!#$&^_.+-]+$' }),
  size: Type.Integer({ minimum: 0, maximum: 5 * 1024 ** 3 }),
  sha256: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F]{64}$' })),
})
const UploadData = Type.Object(
  {
    id: Uuid,
    kind: Type.String(),
    filename: Type.String(),
    content_type: Type.String(),
    size: Type.Integer(),
    sha256: nullable(Type.String()),
    state: Type.Union([Type.Literal('pending'), Type.Literal('ready'), Type.Literal('refused')]),
    reason: nullable(Type.String()),
    created_at: Timestamp,
    expires_at: Timestamp,
    ready_at: nullable(Timestamp),
  },
  { $id: 'Upload' },
)
const StartedData = Type.Object(
  {
    upload: UploadData,
    request: Type.Object({
      method: Type.Literal('PUT'),
      url: Type.String(),
      headers: Type.Record(Type.String(), Type.String()),
      expires_at: Timestamp,
    }),
  },
  { $id: 'StartedUpload' },
)
const LinkData = Type.Object({ url: Type.String(), expires_at: Timestamp }, { $id: 'UploadLink' })

/** All work in the tenant of the checked context; none of them names another. */
export function uploadsRoutes(uploads: Uploads): readonly Route[] {
  const tags = ['uploads']
  const one = { tags, params: UploadParams } as const
  return [
    route({
      method: 'POST',
      url: '/api/v1/uploads',
      id: 'startUpload',
      summary: 'Start an upload: says how to send the file straight to the storage',
      description: 'Send exactly `size` bytes by `request`, with all of its headers, then complete the upload.',
      tags,
      access: 'uploads.write',
      body: NewUploadBody,
      status: 201,
      data: StartedData,
      errors: ['uploads.kind_unknown', 'uploads.too_large', 'uploads.type_not_allowed', 'storage.unavailable'],
      handler: async ({ body }) => {
        const { kind, filename, content_type: contentType, size, sha256 } = body
        const input = { kind, filename, contentType, size, ...(sha256 !== undefined && { sha256 }) }
        const { upload, request } = await uploads.start(input)
        const { method, url, headers, expiresAt } = request
        return created(
          { upload: uploadData(upload), request: { method, url, headers: { ...headers }, expires_at: expiresAt } },
          { location: `/api/v1/uploads/${upload.id}` },
        )
      },
    }),
    route({
      ...one,
      method: 'POST',
      url: '/api/v1/uploads/:id/complete',
      id: 'completeUpload',
      summary: 'Check the file that was sent, and make it readable',
      access: 'uploads.write',
      data: UploadData,
      errors: [
        'uploads.not_found',
        'uploads.not_stored',
        'uploads.refused',
        'uploads.changed',
        'uploads.in_progress',
        'storage.unavailable',
      ],
      handler: async ({ params }) => uploadData(await uploads.complete(params.id)),
    }),
    route({
      ...one,
      method: 'GET',
      url: '/api/v1/uploads/:id',
      id: 'getUpload',
      summary: 'One upload',
      access: 'uploads.read',
      data: UploadData,
      errors: ['uploads.not_found'],
      handler: async ({ params }) => uploadData(await uploads.get(params.id)),
    }),
    route({
      ...one,
      method: 'GET',
      url: '/api/v1/uploads/:id/link',
      id: 'linkUpload',
      summary: 'A short-lived link to the file',
      access: 'uploads.read',
      etag: false,
      data: LinkData,
      errors: ['uploads.not_found', 'uploads.not_ready', 'storage.unavailable'],
      handler: async ({ params }) => {
        const { url, expiresAt } = await uploads.link(params.id)
        return { url, expires_at: expiresAt }
      },
    }),
    route({
      ...one,
      method: 'DELETE',
      url: '/api/v1/uploads/:id',
      id: 'deleteUpload',
      summary: 'Delete an upload and its file',
      access: 'uploads.write',
      data: null,
      errors: ['uploads.not_found'],
      handler: async ({ params }) => {
        await uploads.remove(params.id)
        return noContent()
      },
    }),
  ]
}

function uploadData(upload: Upload): Static<typeof UploadData> {
  const { id, kind, filename, contentType, size, sha256, state, reason, createdAt, expiresAt, readyAt } = upload
  return {
    id,
    kind,
    filename,
    content_type: contentType,
    size,
    sha256,
    state,
    reason,
    created_at: createdAt,
    expires_at: expiresAt,
    ready_at: readyAt,
  }
}
