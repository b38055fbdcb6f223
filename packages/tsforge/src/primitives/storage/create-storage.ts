import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { systemClock } from '../../kernel/clock.ts'
import { requireTenantId } from '../../kernel/context.ts'
import { parseBytes, parseDuration } from '../../kernel/durations.ts'
import type { Duration } from '../../kernel/durations.ts'
import { knownSize, measured } from './body.ts'
import { checkType, checkTypeOrKind, describeObject, describes, dispositionText } from './described.ts'
import type {
  DriverSigner,
  Listing,
  ObjectInfo,
  SizeRange,
  StorageDriver,
  UploadForm,
  UploadRequest,
} from './driver.ts'
import { storageErrors } from './errors.ts'
import { checkKey, checkPrefix, tenantPrefix } from './keys.ts'
import { Meter } from './meter.ts'
import { createServedLinks } from './served-links.ts'
import type {
  AllowedSize,
  Body,
  CopyOptions,
  GetOptions,
  ListOptions,
  PresignGetOptions,
  PresignPostOptions,
  PresignPutOptions,
  PutOptions,
  RootStorage,
  Storage,
  StorageSettings,
  StoredObject,
} from './storage.ts'

const weekMs = 7 * 24 * 60 * 60_000
const pageSize = 1000

interface Core {
  readonly driver: StorageDriver
  readonly signer: DriverSigner | undefined
  readonly meter: Meter
  readonly linkTtlMs: number
}

/** A storage over `driver`. Who made the driver may close it through this. */
export function createStorage(driver: StorageDriver, settings: StorageSettings = {}): RootStorage {
  const { clock = systemClock, secrets, origin = '', linkTtl = '15m', metrics } = settings
  const links =
    driver.signer === undefined && secrets !== undefined ? createServedLinks({ secrets, clock, origin }) : undefined
  const core: Core = {
    driver,
    signer: driver.signer ?? links,
    meter: new Meter(metrics),
    linkTtlMs: parseDuration(linkTtl),
  }
  return Object.assign(new Space(core, () => ''), {
    links,
    ping: (signal?: AbortSignal) => driver.ping(signal),
    close: () => driver.close(),
  })
}

/** The store below a prefix. All policy is here, once for all drivers. */
class Space implements Storage {
  readonly #core: Core
  readonly #prefix: () => string

  constructor(core: Core, prefix: () => string) {
    this.#core = core
    this.#prefix = prefix
  }

  get capabilities(): StorageDriver['capabilities'] {
    return this.#core.driver.capabilities
  }

  async put(key: string, body: Body, options: PutOptions = {}): Promise<ObjectInfo> {
    const { maxSize, createOnly = false, signal } = options
    const sha256 = options.sha256?.toLowerCase()
    if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) refuse('sha256', 'is not 64 hexadecimal digits')
    const size = options.size ?? knownSize(body)
    if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) refuse('size', 'is no number of bytes')
    const most = maxSize === undefined ? undefined : parseBytes(maxSize)
    if (most !== undefined && size !== undefined && size > most)
      throw storageErrors.error('storage.body_too_large', { meta: { limit: most } })
    const full = this.#full(key)
    const headers = describeObject(options)
    const pieces = measured(body, { size, maxSize: most, sha256, signal })
    const wanted = { ...headers, size, sha256, createOnly, signal }
    try {
      return this.#named(await this.#do('put', () => this.#core.driver.put(full, pieces, wanted)))
    } catch (error) {
      // Refused before a byte was read: the source has to hear of it all the same.
      if (body instanceof Readable) body.destroy()
      throw error
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    checkRange(options.range)
    const full = this.#full(key)
    const { info, range, body } = await this.#do('get', () => this.#core.driver.get(full, options))
    const bytes = (): Promise<Buffer> => buffer(body)
    return { ...this.#named(info), range, body, bytes, text: async () => (await bytes()).toString() }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const full = this.#full(key)
    const info = await this.#do('head', () => this.#core.driver.head(full))
    return info === undefined ? undefined : this.#named(info)
  }

  async exists(key: string): Promise<boolean> {
    return (await this.head(key)) !== undefined
  }

  async copy(from: string, to: string, options: CopyOptions = {}): Promise<ObjectInfo> {
    const [source, target] = [this.#full(from), this.#full(to)]
    const { ifMatch } = options
    const changes = {
      ...(ifMatch !== undefined && { ifMatch }),
      ...(describes(options) && { headers: describeObject(options) }),
    }
    return this.#named(await this.#do('copy', () => this.#core.driver.copy(source, target, changes)))
  }

  async move(from: string, to: string, options: CopyOptions = {}): Promise<ObjectInfo> {
    const moved = await this.copy(from, to, options)
    if (from !== to) await this.delete(from)
    return moved
  }

  async list({ prefix = '', delimiter, cursor, limit = pageSize }: ListOptions = {}): Promise<Listing> {
    if (!(Number.isInteger(limit) && limit >= 1 && limit <= pageSize)) refuse('limit', `is not 1 to ${pageSize}`)
    if (delimiter !== undefined && delimiter !== '/') refuse('delimiter', 'is not "/"')
    const scope = this.#prefix()
    const wanted = { prefix: scope + checkPrefix(prefix), delimiter, cursor, limit }
    const page = await this.#do('list', () => this.#core.driver.list(wanted))
    if (scope === '') return page
    return {
      objects: page.objects.map((object) => ({ ...object, key: object.key.slice(scope.length) })),
      folders: page.folders.map((folder) => folder.slice(scope.length)),
      cursor: page.cursor,
    }
  }

  async *keys(prefix = ''): AsyncGenerator<string> {
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page: Listing = await this.list({ prefix, ...(cursor !== undefined && { cursor }) })
      for (const { key } of page.objects) yield key
      cursor = page.cursor
    }
  }

  async delete(key: string): Promise<void> {
    const full = this.#full(key)
    await this.#do('delete', () => this.#core.driver.delete([full]))
  }

  async deleteMany(keys: Iterable<string> | AsyncIterable<string>): Promise<void> {
    await this.#deleteAll(keys)
  }

  async deletePrefix(prefix: string): Promise<number> {
    // `invoices` would take `invoices-2026/` along.
    if (!prefix.endsWith('/')) throw storageErrors.error('storage.key_invalid', { meta: { reason: 'no folder' } })
    return this.#deleteAll(this.keys(prefix))
  }

  async #deleteAll(keys: Iterable<string> | AsyncIterable<string>): Promise<number> {
    let batch: string[] = []
    let all = 0
    const flush = async (): Promise<void> => {
      const some = batch
      batch = []
      all += some.length
      if (some.length > 0) await this.#do('delete', () => this.#core.driver.delete(some))
    }
    for await (const key of keys) if (batch.push(this.#full(key)) === pageSize) await flush()
    await flush()
    return all
  }

  async presignPut(key: string, options: PresignPutOptions): Promise<UploadRequest> {
    const { createOnly = false } = options
    const contentType = checkType(options.contentType)
    const wanted = { ...describeObject(options), contentType, createOnly, ...this.#signed(key, options.expiresIn) }
    return this.#do('sign', () => this.#signer().put({ ...wanted, size: allowedSize(options.size) }))
  }

  async presignPost(key: string, options: PresignPostOptions): Promise<UploadForm> {
    const contentType = checkTypeOrKind(options.contentType)
    const { contentType: _, ...described } = options
    const size = allowedSize(options.size)
    const range = typeof size === 'number' ? { min: size, max: size } : size
    const wanted = { ...describeObject(described), contentType, size: range, ...this.#signed(key, options.expiresIn) }
    return this.#do('sign', () => this.#signer().post(wanted))
  }

  async presignGet(key: string, options: PresignGetOptions = {}): Promise<string> {
    const { contentType, disposition, expiresIn } = options
    const wanted = {
      ...this.#signed(key, expiresIn),
      ...(contentType !== undefined && { contentType: checkType(contentType) }),
      ...(disposition !== undefined && { contentDisposition: dispositionText(disposition) }),
    }
    return this.#do('sign', () => this.#signer().get(wanted))
  }

  scope(prefix: string): Storage {
    if (!prefix.endsWith('/')) throw storageErrors.error('storage.key_invalid', { meta: { reason: 'no folder' } })
    checkPrefix(prefix)
    return new Space(this.#core, () => this.#prefix() + prefix)
  }

  tenant(tenantId?: string): Storage {
    const own = tenantId === undefined ? undefined : tenantPrefix(tenantId)
    return new Space(this.#core, () => this.#prefix() + (own ?? tenantPrefix(requireTenantId())))
  }

  /** Relative keys are checked before and after, so that neither part can lend the other what it lacks. */
  #full(key: string): string {
    const prefix = this.#prefix()
    checkKey(key)
    return prefix === '' ? key : checkKey(prefix + key)
  }

  #named<T extends ObjectInfo>(info: T): T {
    const { length } = this.#prefix()
    return length === 0 ? info : { ...info, key: info.key.slice(length) }
  }

  #signed(key: string, expiresIn: Duration | undefined): { readonly key: string; readonly expiresInMs: number } {
    const expiresInMs = expiresIn === undefined ? this.#core.linkTtlMs : parseDuration(expiresIn)
    if (!(expiresInMs >= 1000 && expiresInMs <= weekMs)) refuse('expiresIn', 'is not 1 second to 7 days')
    return { key: this.#full(key), expiresInMs }
  }

  #signer(): DriverSigner {
    const { signer } = this.#core
    if (signer !== undefined) return signer
    throw storageErrors.error('storage.unsupported', { meta: { reason: 'links need settings.secrets' } })
  }

  #do<T>(operation: string, work: () => Promise<T>): Promise<T> {
    return this.#core.meter.count(operation, work)
  }
}

function refuse(option: string, reason: string): never {
  throw storageErrors.error('storage.option_invalid', { meta: { option, reason } })
}

function allowedSize(size: AllowedSize): number | SizeRange {
  const range = typeof size === 'number' ? size : { min: parseBytes(size.min ?? 0), max: parseBytes(size.max) }
  const bounds = typeof range === 'number' ? [range] : [range.min, range.max]
  if (!bounds.every((bytes) => Number.isSafeInteger(bytes) && bytes >= 0)) refuse('size', 'is no number of bytes')
  if (typeof range !== 'number' && range.min > range.max) refuse('size', 'has a minimum above its maximum')
  return range
}

function checkRange(range: GetOptions['range']): void {
  if (range === undefined) return
  const ok = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least
  if (
    'last' in range ? ok(range.last, 1) : ok(range.start, 0) && (range.end === undefined || ok(range.end, range.start))
  )
    return
  throw storageErrors.error('storage.range_invalid')
}
