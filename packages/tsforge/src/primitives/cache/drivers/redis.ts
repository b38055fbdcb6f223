import type { Clock } from '../../../kernel/clock.ts'
import { redisErrors } from '../../redis/index.ts'
import type { Redis, Reply } from '../../redis/index.ts'
import type { CacheCodec, CacheDriver, CacheDriverParts, CacheEntry, CacheWrite } from '../driver.ts'
import { cacheErrors } from '../errors.ts'
import { Names } from './redis/names.ts'
import * as scripts from './redis/scripts.ts'

export { redisBus, redisTracking } from './redis/bus.ts'

export interface RedisCacheOptions {
  /** Before every key, for apps that share a server. Default none. */
  readonly keyPrefix?: string
}

/** How long an invalidation is remembered at least, for loads that began before it. */
const invalidationLifeMs = 3_600_000
const scanCount = '1000'
/** How often it is asked at most whether a tag was invalidated before or after a load had begun. */
const stampTurns = 3

/**
 * Entries in Redis or Valkey, each a key with a time to live. A tag is a key with its version; an entry holds the versions
 * that its tags had when it was stored, so invalidating costs one write, however many entries there are. A tag that the
 * server has evicted takes its entries with it.
 */
export function redis(connection: Redis, options: RedisCacheOptions = {}): CacheDriver {
  return new RedisCacheDriver(connection, new Names(options.keyPrefix ?? ''))
}

class RedisCacheDriver implements CacheDriver {
  readonly name = 'redis'
  readonly capabilities = { shared: true, references: false, lock: true } as const
  readonly #redis: Redis
  readonly #names: Names
  #codec: CacheCodec | undefined
  #clock: Clock | undefined

  constructor(connection: Redis, names: Names) {
    this.#redis = connection
    this.#names = names
  }

  start({ codec, clock }: CacheDriverParts): void {
    this.#codec = codec
    this.#clock = clock
  }

  close(): void {}

  async get(prefix: string, key: string): Promise<CacheEntry | undefined> {
    const reply = await this.#redis.script(scripts.readEntry, [this.#names.entry(prefix, key)], [], { buffers: true })
    if (reply === null) return undefined
    const [bytes, leftMs] = reply as [Buffer, number]
    const entry = this.#codec!.decode(bytes, leftMs < 0 ? Number.POSITIVE_INFINITY : leftMs)
    if (entry === undefined || entry.tags.length === 0) return entry
    const versions = (await this.#redis.command([
      'MGET',
      ...entry.tags.map((tag) => this.#names.tag(prefix, tag)),
    ])) as Reply[]
    return versions.every((version, at) => version === entry.versions[at]) ? entry : undefined
  }

  /** Sent together, hence in one round trip (and one more for tags), also in a cluster. */
  getMany(prefix: string, keys: readonly string[]): Promise<readonly (CacheEntry | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(prefix, key)))
  }

  async set(prefix: string, key: string, entry: CacheEntry, { loadedForMs }: CacheWrite): Promise<boolean> {
    const lifeMs = Math.ceil(entry.freshMs + entry.staleMs)
    if (lifeMs <= 0) return false
    let versions: string[] | undefined
    if (entry.tags.length > 0) {
      versions = await this.#stamp(
        entry.tags.map((tag) => this.#names.tag(prefix, tag)),
        lifeMs,
        loadedForMs,
      )
      if (versions === undefined) return false
    }
    const bytes = this.#codec!.encode(entry, versions)
    const life = Number.isFinite(lifeMs) ? ['PX', String(lifeMs)] : []
    await this.#redis.command(['SET', this.#names.entry(prefix, key), bytes, ...life])
    return true
  }

  /**
   * Versions of the tags; undefined when one was invalidated after the load had begun. The server knows how old the load
   * was when it was asked, not how long the question was on its way: an invalidation that may have come on either side of
   * the beginning is asked about again.
   */
  async #stamp(tags: readonly string[], lifeMs: number, loadedForMs: number): Promise<string[] | undefined> {
    const clock = this.#clock!
    const begunAt = clock.monotonic() - loadedForMs
    for (let turn = 0; turn < stampTurns; turn++) {
      // Half a millisecond more, for what clocks round.
      const sinceUs = loadedForMs === 0 ? -1 : Math.ceil((clock.monotonic() - begunAt + 0.5) * 1000)
      const reply = await this.#redis.script(scripts.stampTags, tags, [String(sinceUs), String(finite(lifeMs))])
      if (reply === null) return undefined
      const [nowUs, ...versions] = reply as string[]
      const certainUs = Number(nowUs) - (clock.monotonic() - begunAt + 0.5) * 1000
      const uncertain = (version: string): boolean => version.startsWith('i') && Number(version.slice(1)) >= certainUs
      if (loadedForMs === 0 || !versions.some(uncertain)) return versions
    }
    return undefined
  }

  async delete(prefix: string, keys: readonly string[]): Promise<number> {
    if (keys.length === 0) return 0
    return (await this.#redis.command(['UNLINK', ...keys.map((key) => this.#names.entry(prefix, key))])) as number
  }

  async increment(prefix: string, key: string, by: number, ttlMs: number): Promise<number> {
    const name = this.#names.entry(prefix, key)
    const life = String(Math.max(1, Math.ceil(finite(ttlMs))))
    const sum = Number.isSafeInteger(by)
      ? await this.#redis.script(scripts.increment, [name], [String(by), life])
      : null
    if (sum === null) throw cacheErrors.error('cache.not_a_counter')
    return Number(sum)
  }

  async invalidateTags(prefix: string, tags: readonly string[]): Promise<void> {
    if (tags.length === 0) return
    const names = tags.map((tag) => this.#names.tag(prefix, tag))
    try {
      await this.#redis.script(scripts.invalidateTags, names, [String(invalidationLifeMs)])
    } catch (error) {
      // A full server still forgets: entries of a forgotten tag are invisible too.
      if (!redisErrors.is(error, 'redis.out_of_memory')) throw error
      await this.#redis.command(['UNLINK', ...names])
    }
  }

  /** Goes through all keys of the server, a thousand at a time. */
  async clear(namespace?: string): Promise<void> {
    const match = this.#names.match(namespace)
    let cursor = '0'
    do {
      const [next, keys] = (await this.#redis.command(['SCAN', cursor, 'MATCH', match, 'COUNT', scanCount])) as [
        string,
        string[],
      ]
      if (keys.length > 0) await this.#redis.command(['UNLINK', ...keys])
      cursor = next
    } while (cursor !== '0')
  }

  async lock(prefix: string, key: string, token: string, leaseMs: number): Promise<boolean> {
    const name = this.#names.lock(prefix, key)
    return (await this.#redis.script(scripts.lock, [name], [token, String(Math.ceil(leaseMs))])) === 1
  }

  async unlock(prefix: string, key: string, token: string): Promise<void> {
    await this.#redis.script(scripts.unlock, [this.#names.lock(prefix, key)], [token])
  }

  async ping(): Promise<void> {
    await this.#redis.command(['PING'])
  }
}

/** Redis counts milliseconds as 64-bit integers; a century is for ever here. */
function finite(ms: number): number {
  return Math.min(ms, 3_155_760_000_000)
}
