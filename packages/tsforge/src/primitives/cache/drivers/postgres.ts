import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Db } from '../../db/index.ts'
import type { CacheCodec, CacheDriver, CacheDriverParts, CacheEntry, CacheWrite } from '../driver.ts'
import { cacheErrors } from '../errors.ts'
import * as sql from './postgres/statements.ts'

export { postgresBus } from './postgres/bus.ts'

export interface PostgresCacheOptions {
  /** How often expired rows are deleted, in milliseconds. Default 60,000; 0: never. */
  readonly sweepEveryMs?: number
}

const batch = 1000

/**
 * Entries in unlogged tables (`migrations/`) of PostgreSQL: shared by all processes without a further service, and gone
 * after a crash of the server. Every call is one statement; a set with new tags takes three, and what was loaded asks the
 * time besides where it has tags.
 */
export function postgres(db: Db, options: PostgresCacheOptions = {}): CacheDriver {
  return new PostgresCacheDriver(db, options.sweepEveryMs ?? 60_000)
}

interface Row {
  readonly address: string
  readonly value: Uint8Array
  readonly left_ms: string | number | null
}

class PostgresCacheDriver implements CacheDriver {
  readonly name = 'postgres'
  readonly capabilities = { shared: true, references: false, lock: true } as const
  readonly #db: Db
  readonly #sweepEveryMs: number
  #parts: CacheDriverParts | undefined
  #timer: Timer | undefined
  #sweeping: Promise<void> | undefined

  constructor(db: Db, sweepEveryMs: number) {
    this.#db = db
    this.#sweepEveryMs = sweepEveryMs
  }

  start(parts: CacheDriverParts): void {
    this.#parts = parts
    if (this.#sweepEveryMs > 0) this.#arm(parts.clock)
  }

  async close(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#sweeping
  }

  async get(prefix: string, key: string): Promise<CacheEntry | undefined> {
    return (await this.getMany(prefix, [key]))[0]
  }

  async getMany(prefix: string, keys: readonly string[]): Promise<readonly (CacheEntry | undefined)[]> {
    if (keys.length === 0) return []
    const { rows } = await this.#db.query<Row>(sql.read, [keys.map((key) => prefix + key)])
    const found = new Map(rows.map((row) => [row.address, row]))
    return keys.map((key) => {
      const row = found.get(prefix + key)
      return row && this.#decode(row)
    })
  }

  async set(prefix: string, key: string, entry: CacheEntry, { loadedForMs }: CacheWrite): Promise<boolean> {
    const lifeMs = entry.freshMs + entry.staleMs
    if (lifeMs <= 0) return false
    const value = this.#codec.encode(entry)
    const tags = ordered(prefix, entry.tags)
    const begunAt = this.#parts!.clock.monotonic() - loadedForMs
    let since: number | null = null
    const store = async (): Promise<boolean> => {
      // A plain write is as new as can be, whatever was invalidated a moment ago.
      if (loadedForMs > 0 && tags.length > 0) since = Math.max(since ?? 0, await this.#timeOf(begunAt))
      return (await this.#db.query(sql.write, [prefix + key, value, bounded(lifeMs), tags, since])).rows.length > 0
    }
    if (await store()) return true
    if (tags.length === 0) return false
    await this.#db.query(sql.makeTags, [tags, bounded(lifeMs) ?? foreverMs])
    return store()
  }

  /**
   * What time it was in the database at a moment of this process, or a little earlier: by as much as the answer was on its
   * way. An age that is sent along would be too small by as much as the question was.
   */
  async #timeOf(moment: number): Promise<number> {
    const { rows } = await this.#db.query<{ now_ms: number }>(sql.time, [])
    return rows[0]!.now_ms - (this.#parts!.clock.monotonic() - moment)
  }

  async delete(prefix: string, keys: readonly string[]): Promise<number> {
    if (keys.length === 0) return 0
    const { rows } = await this.#db.query<{ there: number }>(sql.remove, [keys.map((key) => prefix + key)])
    return rows[0]!.there
  }

  async increment(prefix: string, key: string, by: number, ttlMs: number): Promise<number> {
    const step = Number.isSafeInteger(by) ? [prefix + key, by, bounded(ttlMs)] : undefined
    const { rows } = step === undefined ? { rows: [] } : await this.#db.query<{ sum: string }>(sql.increment, step)
    if (rows[0] === undefined) throw cacheErrors.error('cache.not_a_counter')
    return Number(rows[0].sum)
  }

  async invalidateTags(prefix: string, tags: readonly string[]): Promise<void> {
    if (tags.length > 0) await this.#db.query(sql.invalidate, [ordered(prefix, tags)])
  }

  async clear(namespace?: string): Promise<void> {
    // `;` follows `:` in ASCII.
    if (namespace === undefined) await this.#db.query(sql.clearAll, [])
    else await this.#db.query(sql.clearRange, [`${namespace}:`, `${namespace};`])
  }

  async lock(prefix: string, key: string, token: string, leaseMs: number): Promise<boolean> {
    return (await this.#db.query(sql.lock, [prefix + key, token, leaseMs])).rows.length > 0
  }

  async unlock(prefix: string, key: string, token: string): Promise<void> {
    await this.#db.query(sql.unlock, [prefix + key, token])
  }

  async ping(): Promise<void> {
    await this.#db.query('select 1', [])
  }

  get #codec(): CacheCodec {
    return this.#parts!.codec
  }

  #decode({ value, left_ms: left }: Row): CacheEntry | undefined {
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value)
    return this.#codec.decode(bytes, left === null ? Number.POSITIVE_INFINITY : Number(left))
  }

  /** Not at the same moment in all processes. */
  #arm(clock: Clock): void {
    this.#timer = clock.after(this.#sweepEveryMs * (0.75 + Math.random() / 2), () => {
      this.#sweeping = this.#sweep().then(() => {
        if (this.#timer !== undefined) this.#arm(clock)
      })
    })
  }

  async #sweep(): Promise<void> {
    try {
      for (const table of ['entries', 'tags', 'locks'] as const)
        while (
          this.#timer !== undefined &&
          ((await this.#db.query(sql.sweep(table), [batch])).rowCount ?? 0) === batch
        );
    } catch (error) {
      this.#parts!.failed('sweep', error)
    }
  }
}

const foreverMs = 3_155_760_000_000

/** Null for what never ends. */
function bounded(ms: number): number | null {
  return ms >= foreverMs ? null : ms
}

function ordered(prefix: string, tags: readonly string[]): string[] {
  return [...new Set(tags)].map((tag) => prefix + tag).toSorted()
}
