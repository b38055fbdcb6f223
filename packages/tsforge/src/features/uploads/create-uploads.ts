import type { Clock } from '../../kernel/clock.ts'
import { currentContext, requireTenantId } from '../../kernel/context.ts'
import { parseBytes, parseDuration } from '../../kernel/durations.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Db } from '../../primitives/db/index.ts'
import { storageErrors } from '../../primitives/storage/index.ts'
import type { ObjectInfo, Storage } from '../../primitives/storage/index.ts'
import { check } from './check.ts'
import { uploadsErrors } from './errors.ts'
import type { UploadsOptions } from './options.ts'
import { finalKey, stagedKey } from './places.ts'
import {
  claimUpload,
  insertUpload,
  releaseUpload,
  removeUpload,
  selectUpload,
  settleUpload,
} from './upload-repository.ts'
import type { Upload, UploadKind, Uploads } from './uploads.ts'
import { UploadRefusal } from './uploads.ts'

/** Longer than checking a large file takes; a check that died holds its upload for so long. */
const claimMs = 5 * 60_000

export interface UploadsParts {
  readonly db: Db
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly options: UploadsOptions
  readonly kinds: Readonly<Record<string, UploadKind>>
}

export function createUploads({ db, storage, clock, log, options, kinds }: UploadsParts): Uploads {
  const files = storage.tenant()

  const find = async (id: string): Promise<Upload> => {
    const upload = await selectUpload(db, requireTenantId(), id)
    if (upload === undefined) throw uploadsErrors.error('uploads.not_found')
    return upload
  }
  const ready = async (id: string): Promise<Upload> => {
    const upload = await find(id)
    if (upload.state !== 'ready') throw uploadsErrors.error('uploads.not_ready')
    return upload
  }
  const actorId = (): string | null => currentContext()?.actor.id ?? null

  const finish = async (upload: Upload): Promise<Upload> => {
    const { id } = upload
    const staged = stagedKey(id)
    const info = await files.head(staged)
    if (info === undefined) throw uploadsErrors.error('uploads.not_stored')
    try {
      await check(files, staged, info, upload, kindOf(kinds, upload.kind))
      await publish(files, upload, info)
    } catch (error) {
      if (error instanceof UploadRefusal) return refuse(upload, error)
      const replaced =
        storageErrors.is(error, 'storage.precondition_failed') || storageErrors.is(error, 'storage.not_found')
      throw replaced ? uploadsErrors.error('uploads.changed') : error
    }
    const settled = await settleUpload(db, id, 'ready', { by: actorId(), now: new Date(clock.now()) })
    await discard(staged)
    if (settled !== undefined) return settled
    const current = await selectUpload(db, requireTenantId(), id)
    // Removed while it was checked: nobody else knows of what was just made readable.
    if (current?.state !== 'ready') await discard(finalKey(id))
    if (current === undefined) throw uploadsErrors.error('uploads.not_found')
    return current
  }
  const refuse = async (upload: Upload, { reason }: UploadRefusal): Promise<never> => {
    await settleUpload(db, upload.id, 'refused', { reason, by: actorId(), now: new Date(clock.now()) })
    await discard(stagedKey(upload.id))
    throw uploadsErrors.error('uploads.refused', { meta: { reason } })
  }
  /** What stays behind here goes with the next sweep. */
  const discard = (key: string): Promise<void> =>
    files.delete(key).catch((error: unknown) => log.warn({ err: error, key }, 'an uploaded file was left behind'))

  return {
    async start({ kind: kindName, filename, contentType, size, sha256 }) {
      const tenantId = requireTenantId()
      const kind = kindOf(kinds, kindName)
      const limit = parseBytes(kind.maxSize)
      if (size > limit) throw uploadsErrors.error('uploads.too_large', { meta: { limit } })
      if (!allows(kind, contentType))
        throw uploadsErrors.error('uploads.type_not_allowed', { meta: { types: kind.types } })
      const now = clock.now()
      const id = uuidv7()
      const request = await files.presignPut(stagedKey(id), { contentType, size, expiresIn: options.ttlMs })
      const upload: Upload = {
        id,
        tenantId,
        kind: kindName,
        filename,
        contentType,
        size,
        sha256: sha256?.toLowerCase() ?? null,
        state: 'pending',
        reason: null,
        createdBy: actorId(),
        createdAt: new Date(now),
        expiresAt: new Date(now + options.ttlMs),
        readyAt: null,
      }
      await insertUpload(db, upload)
      return { upload, request }
    },

    async complete(id) {
      const upload = await find(id)
      if (upload.state === 'ready') return upload
      if (upload.state === 'refused') throw uploadsErrors.error('uploads.refused', { meta: { reason: upload.reason } })
      const now = clock.now()
      if (!(await claimUpload(db, id, new Date(now), new Date(now + claimMs)))) {
        const current = await find(id)
        if (current.state === 'ready') return current
        throw uploadsErrors.error('uploads.in_progress', { retryAfterMs: 1000 })
      }
      try {
        return await finish(upload)
      } catch (error) {
        // Settled ones are not touched.
        await releaseUpload(db, id).catch((err: unknown) => log.warn({ err }, 'an upload stays claimed for a while'))
        throw error
      }
    },

    get: find,

    async open(id) {
      await ready(id)
      return files.get(finalKey(id))
    },

    async link(id, wanted = {}) {
      const { filename } = await ready(id)
      const expiresIn = parseDuration(wanted.expiresIn ?? options.linkTtlMs)
      const disposition = wanted.disposition ?? { type: 'inline', filename }
      const expiresAt = new Date(clock.now() + expiresIn)
      return { url: await files.presignGet(finalKey(id), { ...wanted, disposition, expiresIn }), expiresAt }
    },

    async remove(id) {
      await find(id)
      await removeUpload(db, id, { by: actorId(), now: new Date(clock.now()) })
      await discard(stagedKey(id))
      await discard(finalKey(id))
    },
  }
}

/** Nobody can store at the final place, so what was checked is what is read. */
async function publish(files: Storage, upload: Upload, info: ObjectInfo): Promise<void> {
  const { id, contentType, filename } = upload
  await files.copy(stagedKey(id), finalKey(id), {
    ifMatch: info.etag,
    contentType,
    disposition: { type: 'attachment', filename },
    cacheControl: 'private, max-age=300',
  })
}

function kindOf(kinds: Readonly<Record<string, UploadKind>>, name: string): UploadKind {
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
  if (kind === undefined) throw uploadsErrors.error('uploads.kind_unknown', { meta: { kinds: Object.keys(kinds) } })
  return kind
}

function allows({ types }: UploadKind, contentType: string): boolean {
  const name = contentType.split(';')[0]!.trim().toLowerCase()
  return types.some((type) => (type.endsWith('/') ? name.startsWith(type) : name === type))
}
