import {
  AbortedTransactionError,
  CompiledQuery,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely'
import type {
  DatabaseConnection,
  Dialect,
  Driver,
  Kysely,
  QueryResult as KyselyResult,
  TransactionSettings,
} from 'kysely'
import { currentContext } from '../../kernel/context.ts'
import type { Db } from './db.ts'
import type { DbConnection, Queryable, QueryResult } from './driver.ts'

/**
 * Kysely over our `Db`, for typed ad-hoc queries: `new Kysely<Tables>({ dialect: kyselyDialect(db) })`. Queries run on
 * the same connections with the same named statements; `destroy()` leaves them to the `Db`. Errors are `db.*`.
 * Building the query tree is what Kysely costs: `.compile()` hot queries once.
 */
export function kyselyDialect(db: Pick<Db, 'connect'>): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DbKyselyDriver(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: (kysely) => new PostgresIntrospector(kysely),
  }
}

/**
 * A Kysely transaction (or instance, of any PostgreSQL dialect) as the `tx` of the framework's functions:
 * `kysely.transaction().execute((trx) => jobs.enqueue(…, fromKysely(trx)))`.
 */
// A Kysely<Tables> is invariant in its tables, which do not matter here.
export function fromKysely(trx: Pick<Kysely<never>, 'executeQuery'>): Queryable {
  return {
    async query<Row>(text: string, values: unknown[] = []): Promise<QueryResult<Row>> {
      const { rows, numAffectedRows } = await trx.executeQuery<Row>(
        CompiledQuery.raw(text, values) as CompiledQuery<Row>,
      )
      return { rows, rowCount: numAffectedRows === undefined ? rows.length : Number(numAffectedRows) }
    },
  }
}

class DbKyselyDriver implements Driver {
  readonly #db: Pick<Db, 'connect'>

  constructor(db: Pick<Db, 'connect'>) {
    this.#db = db
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return new DbKyselyConnection(await this.#db.connect())
  }

  async beginTransaction(
    connection: DatabaseConnection,
    { isolationLevel, accessMode }: TransactionSettings,
  ): Promise<void> {
    const level = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`
    await of(connection).query(`begin${level}${accessMode === undefined ? '' : ` ${accessMode}`}`, [])
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const { command } = await of(connection).query('commit', [])
    // The server answers COMMIT of a failed transaction by rolling back, without an error.
    if (command === 'ROLLBACK') throw new AbortedTransactionError()
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await of(connection).query('rollback', [])
  }

  async savepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await of(connection).query(`savepoint ${quoted(name)}`)
  }

  async rollbackToSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await of(connection).query(`rollback to savepoint ${quoted(name)}`)
  }

  async releaseSavepoint(connection: DatabaseConnection, name: string): Promise<void> {
    await of(connection).query(`release savepoint ${quoted(name)}`)
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    // A connection whose transaction could not be ended is closed by its owner on release.
    of(connection).release()
  }

  async destroy(): Promise<void> {}
}

class DbKyselyConnection implements DatabaseConnection {
  readonly connection: DbConnection

  constructor(connection: DbConnection) {
    this.connection = connection
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<KyselyResult<Row>> {
    const { rows, rowCount, command } = await this.connection.query<Row>(sql, [...parameters])
    if (command === undefined || !writes.has(command)) return { rows }
    const context = currentContext()
    if (context !== undefined) context.wrote = true
    return { rows, numAffectedRows: BigInt(rowCount ?? 0) }
  }

  // eslint-disable-next-line require-yield
  async *streamQuery<Row>(): AsyncIterableIterator<KyselyResult<Row>> {
    throw new TypeError('streaming is not supported; read page by page with selectPage')
  }
}

const writes = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

function of(connection: DatabaseConnection): DbConnection {
  return (connection as DbKyselyConnection).connection
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
