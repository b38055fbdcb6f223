export { selectPage } from '../keyset.ts'
export type { KeysetColumn, ListStatement } from '../keyset.ts'
export { column } from './columns.ts'
export type { Column, ColumnFlags, Columns } from './columns.ts'
export { defineTable } from './table.ts'
export type { NewOf, PatchOf, Row, RowOf, Table, TableFlags, TableSpec } from './table.ts'
export { createRepository } from './table-repository.ts'
export type {
  Expected,
  FindOptions,
  PurgeOptions,
  ReadOptions,
  Repository,
  RepositoryOptions,
  WriteOptions,
} from './repository.ts'
export type { Comparisons, Condition, Where } from './where.ts'
export { escapeLike, quoteName, quoteTable } from './identifiers.ts'
export { repositoryErrors } from './errors.ts'
export type { RepositoryErrorCode } from './errors.ts'
