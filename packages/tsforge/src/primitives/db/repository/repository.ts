import type { Clock } from '../../../kernel/clock.ts'
import type { PageRequest, Slice } from '../../../kernel/page.ts'
import type { Expected } from '../../../kernel/precondition.ts'
import type { Queryable } from '../driver.ts'
import type { Table } from './table.ts'
import type { Where } from './where.ts'

export interface ReadOptions {
  /** Sees soft-deleted rows too. */
  readonly withDeleted?: boolean
}

/** A mismatch is `db.version_conflict` (409), or `precondition.failed` (412) when a header named the version. */
export type { Expected }

export interface WriteOptions extends Expected, ReadOptions {}

/** Which rows, in which order, which part of them. `page` of the HTTP side spreads into it. */
export interface FindOptions<Row> extends Partial<PageRequest>, ReadOptions {
  readonly where?: Where<Row>
}

export interface PurgeOptions {
  /** Rows that were soft-deleted longer ago than this. */
  readonly olderThanMs: number
  /** Rows to delete at most, so that locks stay short; call again while it returns this many. Default 1000. */
  readonly limit?: number
  /** For maintenance: reaches over the tenant wall. */
  readonly everyTenant?: boolean
}

/**
 * One table. Audit columns, versions, soft deletion and the tenant wall are applied to every statement from
 * the current context. The trailing `tx` is anything with `query(text, values)`: our transactions, a bare `pg`
 * client, Drizzle through `fromDrizzle(trx)`, Kysely through `fromKysely(trx)`. Rows have the names of their columns.
 *
 * Errors: what `defineTable` declares for constraints and missing rows, `db.*` otherwise. In a table with
 * `tenant: true`, a row of another tenant is a missing row, and no tenant in the context is `tenant.required`.
 */
export interface Repository<Row, New, Patch> {
  readonly table: Table<object, object, object>
  findById(key: string, options?: ReadOptions, tx?: Queryable): Promise<Row | undefined>
  /** Throws the table's `notFound`. */
  findByIdOrThrow(key: string, options?: ReadOptions, tx?: Queryable): Promise<Row>
  /** The first row that fits. */
  findOne(where: Where<Row>, options?: ReadOptions, tx?: Queryable): Promise<Row | undefined>
  /** One page; default the first 100 by key. */
  find(options?: FindOptions<Row>, tx?: Queryable): Promise<Slice<Row>>
  count(where?: Where<Row>, options?: ReadOptions, tx?: Queryable): Promise<number>
  insert(values: New, tx?: Queryable): Promise<Row>
  /** All or none, in one statement; answers in the order given. A column given by some rows is null in the others. */
  insertMany(values: readonly New[], tx?: Queryable): Promise<Row[]>
  /** Writes the columns that `patch` names (`undefined` counts as absent). Throws when the row is missing or has another version. */
  update(key: string, patch: Patch, options?: WriteOptions, tx?: Queryable): Promise<Row>
  /** Marks as deleted. Throws when the row is missing, deleted already, or has another version. */
  softDelete(key: string, options?: Expected, tx?: Queryable): Promise<Row>
  /** Takes a soft deletion back. Throws the declared error when its unique values are taken meanwhile. */
  restore(key: string, options?: Expected, tx?: Queryable): Promise<Row>
  /** Really deletes one row, soft-deleted or not. Throws when it is missing or has another version. */
  delete(key: string, options?: Expected, tx?: Queryable): Promise<Row>
  /** Really deletes what was soft-deleted long ago. Resolves with the number of rows. */
  purge(options: PurgeOptions, tx?: Queryable): Promise<number>
}

export interface RepositoryOptions {
  /** Source of the stamped times. Default: the machine's clock. */
  readonly clock?: Clock
  /** Maker of keys. Default UUIDv7. */
  readonly newId?: () => string
}
