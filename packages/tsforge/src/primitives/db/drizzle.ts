import type { NodePgQueryResultHKT } from 'drizzle-orm/node-postgres'
import type { PgDatabase } from 'drizzle-orm/pg-core'
import { isQueryable } from './driver.ts'
import type { Queryable } from './driver.ts'

/** A database or transaction of `drizzle-orm/node-postgres`, whatever its schema. */
export type DrizzlePg = Pick<PgDatabase<NodePgQueryResultHKT>, 'execute'> & {
  readonly _: { readonly session: object }
}

/**
 * A Drizzle transaction (also a nested one, which is a savepoint) as the `tx` of the framework's functions:
 * `drizzle(pool).transaction((trx) => jobs.enqueue(…, fromDrizzle(trx)))`. It is the `pg` client that the transaction
 * holds, so rows, counts and errors are those of `pg`; use it no longer than `trx`. Throws a TypeError for the other
 * drivers of Drizzle.
 */
// Not through `execute`: Drizzle asks `pg` for times as text, where callers expect the Dates of `pg`.
export function fromDrizzle(trx: DrizzlePg): Queryable {
  const { client } = trx._.session as { readonly client?: unknown }
  if (!isQueryable(client) || !('connect' in client)) {
    throw new TypeError('fromDrizzle takes a transaction of drizzle-orm/node-postgres')
  }
  return client
}
