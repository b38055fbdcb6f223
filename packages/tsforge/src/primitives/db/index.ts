export { createDb, dbPort } from './db.ts'
export type { Db, DbSettings, Tx, TxOptions } from './db.ts'
export { isQueryable } from './driver.ts'
export type {
  DbCapabilities,
  DbConnection,
  DbDriver,
  IsolationLevel,
  Notification,
  PoolStats,
  Queryable,
  QueryResult,
  Statement,
} from './driver.ts'
export { dbErrors } from './errors.ts'
export type { DbErrorCode } from './errors.ts'
export { connectionChannel, queryChannel, txChannel } from './events.ts'
export type { DbConnectionEvent, DbQueryEvent, DbTxEvent } from './events.ts'
export { sqlFault, translate, violatedUnique } from './faults.ts'
export type { SqlFault } from './faults.ts'
export * from './migrate/index.ts'
export * from './repository/index.ts'
export { afterCommit, tell, within } from './within.ts'
