import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { currentContext, requireTenantId } from '../../../kernel/context.ts'
import type { ForgeError } from '../../../kernel/errors.ts'
import { isUuid, uuidv7 } from '../../../kernel/ids.ts'
import type { Slice } from '../../../kernel/page.ts'
import { preconditionErrors } from '../../../kernel/precondition.ts'
import type { Queryable } from '../driver.ts'
import { selectPage } from '../keyset.ts'
import type { KeysetColumn } from '../keyset.ts'
import { repositoryErrors } from './errors.ts'
import { mapFault } from './faults.ts'
import { quoteName } from './identifiers.ts'
import { columnsOf, encode, encodeMany } from './input.ts'
import type {
  Expected,
  FindOptions,
  PurgeOptions,
  ReadOptions,
  Repository,
  RepositoryOptions,
  WriteOptions,
} from './repository.ts'
import {
  deleteByKeySql,
  insertManySql,
  insertSql,
  insertStamps,
  purgeSql,
  selectByKeySql,
  ShapeCache,
  updateSql,
} from './statements.ts'
import type { Deed } from './statements.ts'
import type { Table } from './table.ts'
import { whereSql } from './where.ts'
import type { Where } from './where.ts'

type Values = Readonly<Record<string, unknown>>

/** The statements of one table on `db`. */
export function createRepository<Row, New, Patch>(
  table: Table<Row, New, Patch>,
  db: Queryable,
  options: RepositoryOptions = {},
): Repository<Row, New, Patch> {
  return new TableRepository<Row, New, Patch>(table as Table, db, options)
}

class TableRepository<Row, New, Patch> implements Repository<Row, New, Patch> {
  readonly table: Table
  readonly #db: Queryable
  readonly #clock: Clock
  readonly #newId: () => string
  readonly #byKey: string
  readonly #byKeyWithDeleted: string
  readonly #shapes = new ShapeCache()
  /** Whether keys are UUIDs; anything else given as a key is then a missing row, not a fault of the server. */
  readonly #uuidKey: boolean

  constructor(table: Table, db: Queryable, { clock = systemClock, newId = uuidv7 }: RepositoryOptions) {
    this.table = table
    this.#db = db
    this.#clock = clock
    this.#newId = newId
    this.#byKey = selectByKeySql(table, false)
    this.#byKeyWithDeleted = selectByKeySql(table, true)
    this.#uuidKey = table.all.get(table.key)?.type === 'uuid'
  }

  findById(key: string, options?: ReadOptions, tx: Queryable = this.#db): Promise<Row | undefined> {
    if (!this.#isKey(key)) return Promise.resolve(undefined)
    const text = options?.withDeleted === true ? this.#byKeyWithDeleted : this.#byKey
    if (!this.table.tenant) return tx.query<Row>(text, [key]).then(firstRow)
    try {
      return tx.query<Row>(text, [key, requireTenantId()]).then(firstRow)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  async findByIdOrThrow(key: string, options?: ReadOptions, tx?: Queryable): Promise<Row> {
    const row = await this.findById(key, options, tx)
    if (row === undefined) throw this.table.notFound()
    return row
  }

  async findOne(where: Where<Row>, options?: ReadOptions, tx: Queryable = this.#db): Promise<Row | undefined> {
    const { sql, values } = this.#filter(where, options)
    const { rows } = await this.#run(
      tx.query<Row>(`select ${this.table.selection} from ${this.table.sql} where ${sql} limit 1`, values),
    )
    return rows[0]
  }

  async find(options: FindOptions<Row> = {}, tx: Queryable = this.#db): Promise<Slice<Row>> {
    const { limit = 100, order = [], position, total = false } = options
    const { sql, values } = this.#filter(options.where ?? {}, options)
    const list = {
      select: this.table.selection,
      from: this.table.sql,
      where: sql,
      values,
      order: order.map(({ column, direction }) => this.#sortColumn(column, direction)),
      tieBreak: this.#sortColumn(this.table.key, 'asc'),
    }
    return this.#run(selectPage<Row>(tx, list, { limit, order, position, total }))
  }

  async count(where: Where<Row> = {}, options?: ReadOptions, tx: Queryable = this.#db): Promise<number> {
    const { sql, values } = this.#filter(where, options)
    const { rows } = await this.#run(
      tx.query<{ count: string }>(`select count(*) from ${this.table.sql} where ${sql}`, values),
    )
    return Number(rows[0]?.count)
  }

  async insert(values: New, tx: Queryable = this.#db): Promise<Row> {
    const row = this.#keyed(values as Values)
    const columns = columnsOf(this.table, row, 'insert')
    const { text } = this.#shapes.get(`i ${columns.join()}`, () => ({ text: insertSql(this.table, columns), columns }))
    const bound = columns.map((name) => encode(this.table, name, row[name]))
    const { rows } = await this.#write(tx.query<Row>(text, [...bound, ...this.#insertStamps()]))
    return rows[0] as Row
  }

  async insertMany(values: readonly New[], tx: Queryable = this.#db): Promise<Row[]> {
    if (values.length === 0) return []
    const given = values.map((one) => this.#keyed(one as Values))
    const named = new Set(given.flatMap((row) => columnsOf(this.table, row, 'insert')))
    const columns = [...this.table.all.keys()].filter((name) => named.has(name))
    const { text } = this.#shapes.get(`m ${columns.join()}`, () => ({
      text: insertManySql(this.table, columns),
      columns,
    }))
    const bound = columns.map((name) => encodeMany(this.table, name, given))
    const { rows } = await this.#write(tx.query<Row>(text, [...bound, ...this.#insertStamps()]))
    // RETURNING promises no order.
    const { key } = this.table
    const byKey = new Map(rows.map((row) => [String((row as Values)[key]), row]))
    return given.map((row) => byKey.get(String(row[key]).toLowerCase()) ?? (byKey.get(String(row[key])) as Row))
  }

  async update(key: string, patch: Patch, options: WriteOptions = {}, tx: Queryable = this.#db): Promise<Row> {
    const columns = columnsOf(this.table, patch as Values, 'update')
    if (columns.length === 0) return this.#unchanged(key, options, tx)
    return this.#change(key, patch as Values, columns, 'patch', options, tx)
  }

  softDelete(key: string, options: Expected = {}, tx: Queryable = this.#db): Promise<Row> {
    return this.#change(
      key,
      {},
      [],
      'delete',
      { version: options.version, precondition: options.precondition } as Expected,
      tx,
    )
  }

  restore(key: string, options: Expected = {}, tx: Queryable = this.#db): Promise<Row> {
    return this.#change(key, {}, [], 'restore', options, tx)
  }

  async delete(key: string, options: Expected = {}, tx: Queryable = this.#db): Promise<Row> {
    if (!this.#isKey(key)) throw this.table.notFound()
    const versions = this.#versions(options)
    const text = deleteByKeySql(this.table, versions !== undefined)
    const values = [key, ...this.#tenantValue(), ...(versions === undefined ? [] : [versions])]
    const { rows } = await this.#write(tx.query<Row>(text, values))
    return rows[0] ?? this.#refuse(key, { ...options, withDeleted: true }, tx)
  }

  async purge(
    { olderThanMs, limit = 1000, everyTenant = false }: PurgeOptions,
    tx: Queryable = this.#db,
  ): Promise<number> {
    this.#needSoftDelete()
    if (!(olderThanMs >= 0)) throw new RangeError('purge needs an age of at least 0 ms')
    const walled = this.table.tenant && !everyTenant
    const before = new Date(this.#clock.now() - olderThanMs).toISOString()
    const values = [before, limit, ...(walled ? [requireTenantId()] : [])]
    const { rowCount } = await this.#write(tx.query(purgeSql(this.table, walled), values))
    return rowCount ?? 0
  }

  async #change(
    key: string,
    patch: Values,
    columns: readonly string[],
    deed: Deed,
    options: WriteOptions,
    tx: Queryable,
  ): Promise<Row> {
    if (deed !== 'patch') this.#needSoftDelete()
    if (!this.#isKey(key)) throw this.table.notFound()
    const versions = this.#versions(options)
    const { withDeleted = false } = options
    const { text } = this.#shapes.get(`${deed} ${versions === undefined} ${withDeleted} ${columns.join()}`, () => ({
      text: updateSql(this.table, columns, deed, versions !== undefined, withDeleted),
      columns,
    }))
    const stamp = [this.#now(), currentContext()?.actor.id ?? null]
    const values = columns.map((name) => encode(this.table, name, patch[name]))
    if (this.table.audit) values.push(...stamp)
    if (deed === 'delete') values.push(...stamp)
    values.push(key, ...this.#tenantValue())
    if (versions !== undefined) values.push(versions)
    const { rows } = await this.#write(tx.query<Row>(text, values))
    return rows[0] ?? this.#refuse(key, options, tx, deed === 'restore')
  }

  async #unchanged(key: string, options: WriteOptions, tx: Queryable): Promise<Row> {
    const row = await this.findByIdOrThrow(key, options, tx)
    const versions = this.#versions(options)
    if (versions !== undefined && !versions.includes((row as { version: number }).version))
      throw this.#conflict(row as Values, options)
    return row
  }

  /** Nothing was written: tells a missing row from one that has moved on. */
  async #refuse(key: string, options: WriteOptions, tx: Queryable, restoring = false): Promise<never> {
    const row =
      options.version === undefined
        ? undefined
        : await this.findById(key, { withDeleted: restoring || options.withDeleted === true }, tx)
    if (row === undefined || (restoring && (row as Values)['deleted_at'] === null)) throw this.table.notFound()
    throw this.#conflict(row as Values, options)
  }

  #conflict(row: Values, { precondition = false }: Expected): ForgeError {
    const details = { meta: { current_version: row['version'] } }
    return precondition
      ? preconditionErrors.error('precondition.failed', details)
      : repositoryErrors.error('db.version_conflict', details)
  }

  #filter(where: object, options: ReadOptions | undefined): { sql: string; values: unknown[] } {
    const values: unknown[] = []
    const bind = (value: unknown): string => `$${values.push(value)}`
    const sql: string[] = []
    if (this.table.tenant) sql.push(`"tenant_id" = ${bind(requireTenantId())}`)
    if (this.table.softDelete && options?.withDeleted !== true) sql.push('"deleted_at" is null')
    sql.push(...whereSql(this.table, where, bind))
    return { sql: sql.length === 0 ? 'true' : sql.join(' and '), values }
  }

  #sortColumn(name: string, direction: 'asc' | 'desc'): KeysetColumn {
    const column = this.table.all.get(name)
    if (column === undefined || column.json || (direction !== 'asc' && direction !== 'desc')) {
      throw repositoryErrors.error('db.filter_invalid', { meta: { column: name.slice(0, 64) } })
    }
    return { expression: quoteName(name), type: column.type, nullable: column.nullable, direction }
  }

  #keyed(values: Values): Values {
    const { key } = this.table
    return values[key] === undefined && !this.table.own.has(key) ? { ...values, [key]: this.#newId() } : values
  }

  #insertStamps(): unknown[] {
    const actor = currentContext()?.actor.id ?? null
    const now = this.#now()
    return insertStamps(this.table).map((name) => {
      if (name === 'tenant_id') return requireTenantId()
      if (name === 'version') return 1
      return name.endsWith('_at') ? now : actor
    })
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }

  #tenantValue(): unknown[] {
    return this.table.tenant ? [requireTenantId()] : []
  }

  #isKey(key: unknown): boolean {
    return this.#uuidKey ? isUuid(key) : key !== undefined && key !== null
  }

  #versions({ version }: Expected): readonly number[] | undefined {
    if (version === undefined) return undefined
    if (!this.table.versioned) throw new TypeError(`${this.table.name} has no versions`)
    // A version beyond the column's range is one that no row has.
    return (Array.isArray(version) ? (version as readonly number[]) : [version as number]).filter(
      (one) => Number.isInteger(one) && one > 0 && one < 2 ** 31,
    )
  }

  #needSoftDelete(): void {
    if (!this.table.softDelete) throw new TypeError(`${this.table.name} has no soft deletion; use delete`)
  }

  #write<T>(result: Promise<T>): Promise<T> {
    const context = currentContext()
    if (context !== undefined) context.wrote = true
    return this.#run(result)
  }

  #run<T>(result: Promise<T>): Promise<T> {
    return result.catch((error: unknown) => {
      throw mapFault(this.table, error)
    })
  }
}

function firstRow<Row>(result: { readonly rows: Row[] }): Row | undefined {
  return result.rows[0]
}
