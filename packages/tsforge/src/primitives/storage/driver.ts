import type { Readable } from 'node:stream'
import { storageErrors } from './errors.ts'

export interface StorageCapabilities {
  /** Objects are there after a restart. */
  readonly durable: boolean
  /** All processes of the app see the same objects. */
  readonly shared: boolean
}

/** What is stored beside the bytes and comes back with them as HTTP headers. */
export interface ObjectHeaders {
  /** Media type. */
  readonly contentType: string
  /** A finished `Content-Disposition`. */
  readonly contentDisposition?: string
  readonly cacheControl?: string
  /** Names in lower case. */
  readonly metadata: Readonly<Record<string, string>>
}

export interface ObjectInfo extends ObjectHeaders {
  readonly key: string
  /** Bytes. */
  readonly size: number
  /** Strong, with its double quotes. Another one after every change of the bytes. */
  readonly etag: string
  readonly updatedAt: Date
  /** SHA-256 of the bytes in hex, where the store knows it. */
  readonly sha256?: string
}

export interface DriverPut extends ObjectHeaders {
  /** Bytes that will come, when it is known. The facade holds the body to it. */
  readonly size: number | undefined
  /** SHA-256 in hex that the facade holds the body to. */
  readonly sha256: string | undefined
  /** Fails with `storage.exists` when there is an object, whoever is faster. */
  readonly createOnly: boolean
  readonly signal: AbortSignal | undefined
}

/** First and last byte, both included, within the object; `end` undefined: to the end. `last`: so many from the end. */
export type ByteRange = { readonly start: number; readonly end?: number } | { readonly last: number }

export interface Conditions {
  /** Only when the object has this ETag, else `storage.precondition_failed`. */
  readonly ifMatch?: string
  /** Only when it has another ETag, else `storage.not_modified`. */
  readonly ifNoneMatch?: string
}

export interface DriverGet extends Conditions {
  readonly range?: ByteRange
  readonly signal?: AbortSignal
}

export interface DriverObject {
  readonly info: ObjectInfo
  /** What of the object comes; `info.size` is all of it. */
  readonly range: { readonly start: number; readonly end: number } | undefined
  /** Must be read to its end or destroyed. Fails when the object cannot be read in full. */
  readonly body: Readable
}

export interface DriverList {
  readonly prefix: string
  /** What is deeper than the next slash behind the prefix comes as one folder. */
  readonly delimiter: '/' | undefined
  /** From an earlier page. */
  readonly cursor: string | undefined
  readonly limit: number
}

export interface ListedObject {
  readonly key: string
  readonly size: number
  readonly etag: string
  readonly updatedAt: Date
}

/** Keys in the order of their UTF-8 bytes. */
export interface Listing {
  readonly objects: readonly ListedObject[]
  /** Common beginnings of further keys, with their slash. */
  readonly folders: readonly string[]
  /** For the next page; `null` behind the last one. */
  readonly cursor: string | null
}

export interface CopyChanges {
  /** Only when the source has this ETag, else `storage.precondition_failed`. */
  readonly ifMatch?: string
  /** In place of those of the source. */
  readonly headers?: ObjectHeaders
}

export interface SignedPut extends ObjectHeaders {
  readonly key: string
  /** Exactly so many bytes, or from `min` to `max`. */
  readonly size: number | SizeRange
  readonly createOnly: boolean
  readonly expiresInMs: number
}

export interface SizeRange {
  readonly min: number
  readonly max: number
}

export interface SignedPost extends Omit<SignedPut, 'contentType' | 'createOnly' | 'size'> {
  readonly size: SizeRange
  /** A media type, or the beginning of some: `image/`. */
  readonly contentType: string
}

export interface SignedGet {
  readonly key: string
  /** In place of what is stored. */
  readonly contentType?: string
  readonly contentDisposition?: string
  readonly expiresInMs: number
}

/** What a client sends to store an object. */
export interface UploadRequest {
  readonly method: 'PUT'
  readonly url: string
  /** All of these must be sent as they are; Content-Length, which browsers set by themselves, is not among them. */
  readonly headers: Readonly<Record<string, string>>
  readonly expiresAt: Date
}

/** A form that stores its file: the fields first, the field `file` last. */
export interface UploadForm {
  readonly method: 'POST'
  readonly url: string
  readonly fields: Readonly<Record<string, string>>
  readonly expiresAt: Date
}

/** URLs that the store itself understands. */
export interface DriverSigner {
  put(wanted: SignedPut): Promise<UploadRequest>
  post(wanted: SignedPost): Promise<UploadForm>
  get(wanted: SignedGet): Promise<string>
}

/**
 * What a store of objects can do. Keys are checked by the facade; the order of keys is that of their UTF-8 bytes.
 * Every method may fail with `storage.unavailable`.
 */
export interface StorageDriver {
  readonly capabilities: StorageCapabilities
  /** Without one, the app serves the URLs by itself. */
  readonly signer?: DriverSigner
  /** All or nothing: a body that fails, or a process that dies, leaves what was there before. */
  put(key: string, body: AsyncIterable<Buffer>, options: DriverPut): Promise<ObjectInfo>
  /** Fails with `storage.not_found`, `storage.range_invalid`, and those of its conditions. */
  get(key: string, options: DriverGet): Promise<DriverObject>
  head(key: string): Promise<ObjectInfo | undefined>
  /** On the store, whatever the size. Fails with `storage.not_found`. */
  copy(from: string, to: string, changes: CopyChanges): Promise<ObjectInfo>
  list(wanted: DriverList): Promise<Listing>
  /** At most 1,000 keys; those that are not there are fine. */
  delete(keys: readonly string[]): Promise<void>
  /** Looks whether the store answers. */
  ping(signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Where a range lies in an object of `size` bytes (RFC 9110 section 14.1.2). */
export function resolveRange(range: ByteRange, size: number): { readonly start: number; readonly end: number } {
  const start = 'last' in range ? Math.max(0, size - range.last) : range.start
  const end = 'last' in range ? size - 1 : Math.min(range.end ?? size - 1, size - 1)
  if (start > end) throw storageErrors.error('storage.range_invalid')
  return { start, end }
}

/** For stores that must look at the conditions by themselves. */
export function checkConditions({ ifMatch, ifNoneMatch }: Conditions, etag: string): void {
  if (ifMatch !== undefined && ifMatch !== etag) throw storageErrors.error('storage.precondition_failed')
  if (ifNoneMatch === etag) throw storageErrors.error('storage.not_modified')
}

/** The order of S3: that of the UTF-8 bytes, which for some characters is not that of JavaScript. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
