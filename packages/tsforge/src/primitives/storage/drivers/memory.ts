import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { checkConditions, compareKeys, resolveRange } from '../driver.ts'
import type { DriverList, DriverPut, Listing, ObjectHeaders, ObjectInfo, StorageDriver } from '../driver.ts'
import { storageErrors } from '../errors.ts'

interface Kept {
  readonly info: ObjectInfo
  readonly bytes: Buffer
}

/** Objects in the memory of this process: for tests, and gone with it. */
export function memory({ clock = systemClock }: { readonly clock?: Clock } = {}): StorageDriver {
  return new MemoryDriver(clock)
}

class MemoryDriver implements StorageDriver {
  readonly capabilities = { durable: false, shared: false }
  readonly #objects = new Map<string, Kept>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async put(key: string, body: AsyncIterable<Buffer>, options: DriverPut): Promise<ObjectInfo> {
    if (options.createOnly && this.#objects.has(key)) throw storageErrors.error('storage.exists')
    const pieces: Buffer[] = []
    for await (const piece of body) pieces.push(piece)
    // Somebody may have been faster while the body came.
    if (options.createOnly && this.#objects.has(key)) throw storageErrors.error('storage.exists')
    return this.#keep(key, Buffer.concat(pieces), options)
  }

  async get(
    key: string,
    { range: wanted, ...conditions }: Parameters<StorageDriver['get']>[1],
  ): ReturnType<StorageDriver['get']> {
    const { info, bytes } = this.#find(key)
    checkConditions(conditions, info.etag)
    const range = wanted === undefined ? undefined : resolveRange(wanted, bytes.length)
    const part = range === undefined ? bytes : bytes.subarray(range.start, range.end + 1)
    // A copy: what a reader does to its bytes must not reach the object.
    return { info, range, body: Readable.from(part.length === 0 ? [] : [Buffer.from(part)], { objectMode: false }) }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    return this.#objects.get(key)?.info
  }

  async copy(
    from: string,
    to: string,
    { ifMatch, headers }: Parameters<StorageDriver['copy']>[2],
  ): Promise<ObjectInfo> {
    const { info, bytes } = this.#find(from)
    checkConditions({ ...(ifMatch !== undefined && { ifMatch }) }, info.etag)
    return this.#keep(to, bytes, headers ?? info)
  }

  async list({ prefix, delimiter, cursor, limit }: DriverList): Promise<Listing> {
    const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString()
    const objects: ObjectInfo[] = []
    const folders: string[] = []
    let last: string | undefined
    for (const key of [...this.#objects.keys()].filter((each) => each.startsWith(prefix)).sort(compareKeys)) {
      const slash = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length)
      const item = slash === -1 ? key : key.slice(0, slash + 1)
      if (item === last || (after !== undefined && compareKeys(item, after) <= 0)) continue
      if (objects.length + folders.length === limit)
        return { objects, folders, cursor: Buffer.from(last!).toString('base64url') }
      last = item
      if (slash === -1) objects.push(this.#objects.get(key)!.info)
      else folders.push(item)
    }
    return { objects, folders, cursor: null }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#objects.delete(key)
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {
    this.#objects.clear()
  }

  #find(key: string): Kept {
    const found = this.#objects.get(key)
    if (found === undefined) throw storageErrors.error('storage.not_found')
    return found
  }

  #keep(key: string, bytes: Buffer, headers: ObjectHeaders): ObjectInfo {
    const { contentType, contentDisposition, cacheControl, metadata } = headers
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const info: ObjectInfo = {
      key,
      size: bytes.length,
      etag: `"${sha256.slice(0, 32)}"`,
      sha256,
      updatedAt: new Date(this.#clock.now()),
      contentType,
      ...(contentDisposition !== undefined && { contentDisposition }),
      ...(cacheControl !== undefined && { cacheControl }),
      metadata,
    }
    this.#objects.set(key, { info, bytes })
    return info
  }
}
