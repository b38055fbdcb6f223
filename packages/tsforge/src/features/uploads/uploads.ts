import type { Readable } from 'node:stream'
import type { Bytes } from '../../kernel/durations.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { PresignGetOptions, StoredObject, UploadRequest } from '../../primitives/storage/index.ts'

/** What may be uploaded for one purpose. */
export interface UploadKind {
  /** Media types, or kinds of them: `image/`. */
  readonly types: readonly string[]
  /** Most bytes. */
  readonly maxSize: Bytes
  /**
   * Looks at a file whose size, type and check sum are right, before anybody can read it: scans it, measures an image.
   * Throw `new UploadRefusal(reason)` to refuse it for good; anything else fails the request, which can be repeated.
   */
  readonly accept?: (upload: Upload, file: UploadedFile) => void | Promise<void>
}

/** The content of an upload that is being checked. */
export interface UploadedFile {
  bytes(): Promise<Buffer>
  stream(): Promise<Readable>
}

/** What a kind's `accept` throws: `reason` is a word for the caller, such as `infected`. */
export class UploadRefusal extends Error {
  readonly reason: string
  constructor(reason: string) {
    super(`the upload is refused: ${reason}`)
    this.reason = reason
  }
}

export type UploadState = 'pending' | 'ready' | 'refused'

export interface Upload {
  readonly id: string
  readonly tenantId: string
  readonly kind: string
  readonly filename: string
  readonly contentType: string
  readonly size: number
  /** In hex, when it was announced. */
  readonly sha256: string | null
  readonly state: UploadState
  /** Why it was refused. */
  readonly reason: string | null
  readonly createdBy: string | null
  readonly createdAt: Date
  /** When a pending one is given up. */
  readonly expiresAt: Date
  readonly readyAt: Date | null
}

export interface NewUpload {
  readonly kind: string
  /** Shown to people who save the file; never a path. */
  readonly filename: string
  readonly contentType: string
  /** Exactly so many bytes will come. */
  readonly size: number
  /** SHA-256 in hex. */
  readonly sha256?: string
}

/**
 * Files that browsers send straight to the storage. All of it works in the tenant of the running unit of work
 * (`tenant.required` without one); uploads of others do not exist (`uploads.not_found`).
 */
export interface Uploads {
  /** Fails with `uploads.kind_unknown`, `uploads.too_large`, `uploads.type_not_allowed`. */
  start(input: NewUpload): Promise<{ readonly upload: Upload; readonly request: UploadRequest }>
  /**
   * Checks what has come and makes it readable. Repeating it is fine. Fails with `uploads.not_stored`, `uploads.refused`,
   * `uploads.changed`, `uploads.in_progress`.
   */
  complete(id: string): Promise<Upload>
  get(id: string): Promise<Upload>
  /** The content. Fails with `uploads.not_ready`. */
  open(id: string): Promise<StoredObject>
  /** A link to the content. Default: shown in the browser where that is safe. */
  link(id: string, options?: PresignGetOptions): Promise<{ readonly url: string; readonly expiresAt: Date }>
  /** Deletes the upload and its content. */
  remove(id: string): Promise<void>
}

export const uploadsPort: Port<Uploads> = port<Uploads>('uploads')
