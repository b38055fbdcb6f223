import { quoteName } from './identifiers.ts'
import type { Table } from './table.ts'

/** A statement of one shape and the columns whose values it takes, in order. */
export interface Shape {
  readonly text: string
  readonly columns: readonly string[]
}

/** Shapes by the set of columns that they write. Bounded: a table with many optional columns has many sets. */
export class ShapeCache {
  readonly #shapes = new Map<string, Shape>()
  readonly #limit: number

  constructor(limit = 200) {
    this.#limit = limit
  }

  get(key: string, build: () => Shape): Shape {
    const known = this.#shapes.get(key)
    if (known !== undefined) return known
    const shape = build()
    if (this.#shapes.size < this.#limit) this.#shapes.set(key, shape)
    return shape
  }
}

/**
 * `insert`: the columns' values, then the stamps: time, actor (when audited), tenant (when walled), in the order
 * in which `stampNames` lists them.
 */
export function insertSql(table: Table, columns: readonly string[]): string {
  const names = [...columns, ...insertStamps(table)]
  const marks = names.map((_, index) => `$${index + 1}`)
  return `insert into ${table.sql} (${names.map(quoteName).join(', ')}) values (${marks.join(', ')}) returning ${table.selection}`
}

/** Columns that the repository fills in on insert. */
export function insertStamps({ audit, tenant, versioned }: Table): string[] {
  return [
    ...(tenant ? ['tenant_id'] : []),
    ...(audit ? ['created_at', 'created_by', 'updated_at', 'updated_by'] : []),
    ...(versioned ? ['version'] : []),
  ]
}

/**
 * `insert … select … from unnest(…)`: as many rows as there are, with one statement. Arrays and documents travel as
 * JSON text, since an SQL array of arrays has only one level of elements.
 */
export function insertManySql(table: Table, columns: readonly string[]): string {
  const arrays = columns.map((name, index) => `$${index + 1}::${travelType(table, name)}[]`)
  const selected = columns.map((name) => arrived(table, name))
  const stamps = insertStamps(table)
  const marks = stamps.map((name, index) => `$${columns.length + index + 1}::${table.all.get(name)?.type}`)
  return (
    `insert into ${table.sql} (${[...columns, ...stamps].map(quoteName).join(', ')}) ` +
    `select ${[...selected, ...marks].join(', ')} from unnest(${arrays.join(', ')}) as given(${columns.map(quoteName).join(', ')}) ` +
    `returning ${table.selection}`
  )
}

export function travelsAsJson(table: Table, name: string): boolean {
  const column = table.all.get(name)
  return column !== undefined && (column.json || column.type.endsWith('[]'))
}

function travelType(table: Table, name: string): string {
  return travelsAsJson(table, name) ? 'text' : (table.all.get(name)?.type ?? 'text')
}

function arrived(table: Table, name: string): string {
  const from = `given.${quoteName(name)}`
  const type = table.all.get(name)?.type ?? 'text'
  if (!travelsAsJson(table, name)) return from
  if (!type.endsWith('[]')) return `${from}::${type}`
  return `case when ${from} is null then null else array(select jsonb_array_elements_text(${from}::jsonb))::${type} end`
}

/** What an update does besides its columns. */
export type Deed = 'patch' | 'delete' | 'restore'

/** Which stamps an update of a table sets, after the patched columns: `updated_at, updated_by`, `deleted_at, deleted_by`. */
export function updateSql(
  table: Table,
  columns: readonly string[],
  deed: Deed,
  checked: boolean,
  withDeleted: boolean,
): string {
  let next = 0
  const mark = (): string => `$${++next}`
  const sets = columns.map((name) => `${quoteName(name)} = ${mark()}`)
  if (table.audit) sets.push(`"updated_at" = ${mark()}`, `"updated_by" = ${mark()}`)
  if (deed === 'delete') sets.push(`"deleted_at" = ${mark()}`, `"deleted_by" = ${mark()}`)
  if (deed === 'restore') sets.push('"deleted_at" = null', '"deleted_by" = null')
  if (table.versioned) sets.push('"version" = "version" + 1')
  const where = [`${quoteName(table.key)} = ${mark()}`]
  if (table.tenant) where.push(`"tenant_id" = ${mark()}`)
  if (checked) where.push(`"version" = any(${mark()}::integer[])`)
  if (deed === 'restore') where.push('"deleted_at" is not null')
  else if (table.softDelete && !withDeleted) where.push('"deleted_at" is null')
  return `update ${table.sql} set ${sets.join(', ')} where ${where.join(' and ')} returning ${table.selection}`
}

export function selectByKeySql(table: Table, withDeleted: boolean): string {
  const where = [`${quoteName(table.key)} = $1`]
  if (table.tenant) where.push('"tenant_id" = $2')
  if (table.softDelete && !withDeleted) where.push('"deleted_at" is null')
  return `select ${table.selection} from ${table.sql} where ${where.join(' and ')}`
}

export function deleteByKeySql(table: Table, checked: boolean): string {
  const where = [`${quoteName(table.key)} = $1`]
  if (table.tenant) where.push('"tenant_id" = $2')
  if (checked) where.push(`"version" = any($${where.length + 1}::integer[])`)
  return `delete from ${table.sql} where ${where.join(' and ')} returning ${table.selection}`
}

/** `$1` age, `$2` number of rows, `$3` tenant. Skips rows that others hold. */
export function purgeSql(table: Table, walled: boolean): string {
  const key = quoteName(table.key)
  return (
    `delete from ${table.sql} where ${key} = any(array(select ${key} from ${table.sql} ` +
    `where "deleted_at" < $1${walled ? ' and "tenant_id" = $3' : ''} order by "deleted_at" limit $2 for update skip locked))`
  )
}
