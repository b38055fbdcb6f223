import type { Readable } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import type { Bytes, Duration } from '../../kernel/durations.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Secrets } from '../../kernel/secrets.ts'
import type {
  ByteRange,
  Conditions,
  Listing,
  ObjectInfo,
  StorageCapabilities,
  UploadForm,
  UploadRequest,
} from './driver.ts'
import type { ServedLinks } from './served-links.ts'

/** Bytes to store. Streams of both kinds are read once, and destroyed when storing fails. */
export type Body = string | Uint8Array | Blob | AsyncIterable<Uint8Array>

/** How a browser treats what it gets. `attachment`: it saves it, under `filename`. */
export interface Disposition {
  readonly type: 'attachment' | 'inline'
  readonly filename?: string
}

export interface DescribedObject {
  /** Media type. Default `application/octet-stream`. */
  readonly contentType?: string
  readonly disposition?: Disposition
  readonly cacheControl?: string
  /** Names of `a-z`, `0-9` and `-`; values of printable ASCII; 2 KB in all. */
  readonly metadata?: Readonly<Record<string, string>>
}

export interface PutOptions extends DescribedObject {
  /** Bytes of a stream, when known: fewer or more fail with `storage.body_mismatch`. */
  readonly size?: number
  /** Most bytes; more fail with `storage.body_too_large`. */
  readonly maxSize?: Bytes
  /** SHA-256 in hex of what must come, else `storage.body_mismatch`. */
  readonly sha256?: string
  /** Fails with `storage.exists` instead of replacing an object. */
  readonly createOnly?: boolean
  readonly signal?: AbortSignal
}

export interface GetOptions extends Conditions {
  readonly range?: ByteRange
  readonly signal?: AbortSignal
}

/** An object that is being read: by `body`, or by one of the two functions. */
export interface StoredObject extends ObjectInfo {
  /** The bytes that were asked for, when it was a range. */
  readonly range: { readonly start: number; readonly end: number } | undefined
  /** Must be read to its end or destroyed. */
  readonly body: Readable
  /** All of it in memory. */
  bytes(): Promise<Buffer>
  /** The same as UTF-8. */
  text(): Promise<string>
}

export interface ListOptions {
  /** Only keys that begin so. It may end within a part. */
  readonly prefix?: string
  /** Deeper keys come as folders. */
  readonly delimiter?: '/'
  /** `cursor` of the page before. */
  readonly cursor?: string
  /** 1 to 1,000, default 1,000. */
  readonly limit?: number
}

export interface CopyOptions extends DescribedObject {
  /** Only when the source still has this ETag, else `storage.precondition_failed`. */
  readonly ifMatch?: string
}

/** From and to: both included. */
export type AllowedSize = number | { readonly min?: Bytes; readonly max: Bytes }

export interface PresignPutOptions extends Omit<DescribedObject, 'contentType'> {
  readonly contentType: string
  /**
   * Exactly so many bytes, or a range. A range is more than a signature of S3 can say: there it fails with
   * `storage.unsupported`; `presignPost` has it.
   */
  readonly size: AllowedSize
  readonly createOnly?: boolean
  /** Default `FORGE_STORAGE_LINK_TTL`, at most 7 days. */
  readonly expiresIn?: Duration
}

export interface PresignPostOptions extends Omit<DescribedObject, 'contentType'> {
  /** A media type; `image/` for all of a kind: the form then says which in the field `Content-Type`. */
  readonly contentType: string
  readonly size: AllowedSize
  readonly expiresIn?: Duration
}

export interface PresignGetOptions {
  /** In place of what is stored. */
  readonly contentType?: string
  readonly disposition?: Disposition
  readonly expiresIn?: Duration
}

/**
 * Objects by key. Keys are paths without a leading slash (`reports/2026/q1.pdf`); every method that takes one fails with
 * `storage.key_invalid` when no store could keep it, and any with `storage.unavailable`.
 */
export interface Storage {
  readonly capabilities: StorageCapabilities
  /**
   * Stores all of `body`, or nothing: a body that fails, a signal that aborts or a process that dies leaves what was
   * there before. Streams are never held in memory as a whole.
   */
  put(key: string, body: Body, options?: PutOptions): Promise<ObjectInfo>
  /** Fails with `storage.not_found`, `storage.range_invalid`, `storage.not_modified`, `storage.precondition_failed`. */
  get(key: string, options?: GetOptions): Promise<StoredObject>
  head(key: string): Promise<ObjectInfo | undefined>
  exists(key: string): Promise<boolean>
  /** Within the store. Keeps what describes the object unless `options` describe it anew. */
  copy(from: string, to: string, options?: CopyOptions): Promise<ObjectInfo>
  /** Copies, then deletes: a crash in between leaves both. */
  move(from: string, to: string, options?: CopyOptions): Promise<ObjectInfo>
  /** One page, in the order of the UTF-8 bytes of keys. */
  list(options?: ListOptions): Promise<Listing>
  /** All keys that begin with `prefix`, page by page. */
  keys(prefix?: string): AsyncIterable<string>
  /** Deleting what is not there is fine. */
  delete(key: string): Promise<void>
  deleteMany(keys: Iterable<string> | AsyncIterable<string>): Promise<void>
  /** Deletes what begins with `prefix`, which must end with a slash. Returns how many objects that were. */
  deletePrefix(prefix: string): Promise<number>
  /** For a client that stores an object without this app in between. */
  presignPut(key: string, options: PresignPutOptions): Promise<UploadRequest>
  /** The same by a form (`multipart/form-data`), for ranges of sizes and kinds of types. */
  presignPost(key: string, options: PresignPostOptions): Promise<UploadForm>
  /** A URL that reads the object. */
  presignGet(key: string, options?: PresignGetOptions): Promise<string>
  /** The same store below `prefix`, which ends with a slash: keys are relative to it, and nothing leads out of it. */
  scope(prefix: string): Storage
  /** What belongs to a tenant: `tenants/<id>/`. Default: that of the running unit of work, asked at each call. */
  tenant(tenantId?: string): Storage
}

/** What the plugin holds. */
export interface RootStorage extends Storage {
  /** Serves links for stores that have none of their own. */
  readonly links: ServedLinks | undefined
  ping(signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface StorageSettings {
  readonly clock?: Clock
  readonly metrics?: Metrics
  /** Signs links that the app serves by itself; without it a store without links of its own has none. */
  readonly secrets?: Secrets
  /** Where the app serves them, e.g. `https://api.example.com`. Default: links are paths. */
  readonly origin?: string
  /** Default 15 minutes. */
  readonly linkTtl?: Duration
}

export const storagePort: Port<Storage> = port<Storage>('storage', () => import('./plugin.ts').then((m) => m.storage()))
