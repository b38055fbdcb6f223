import { repositoryErrors } from './errors.ts'
import { travelsAsJson } from './statements.ts'
import type { Table } from './table.ts'

type Values = Readonly<Record<string, unknown>>

/**
 * The columns that `values` names, in the table's order, so that equal sets make equal statements. Anything that
 * is not the caller's to write (unknown names, keys in a patch, stamps, tenant, version) is refused, never dropped.
 */
export function columnsOf(table: Table, values: Values, deed: 'insert' | 'update'): string[] {
  const writable = (name: string): boolean =>
    deed === 'update' ? name !== table.key && table.own.has(name) : table.own.has(name) || name === table.key
  const names = Object.keys(values).filter((name) => values[name] !== undefined)
  const strangers = names.filter((name) => !writable(name))
  if (strangers.length > 0) {
    const columns = strangers.slice(0, 10).map((name) => name.slice(0, 64))
    throw repositoryErrors.error('db.column_unknown', { meta: { columns } })
  }
  if (names.length < 2) return names
  const given = new Set(names)
  return [...table.all.keys()].filter((name) => given.has(name))
}

/** A value as `pg` must receive it. Documents are made JSON here: `pg` would take an array for an SQL array. */
export function encode(table: Table, name: string, value: unknown): unknown {
  return value !== null && table.all.get(name)?.json === true ? JSON.stringify(value) : value
}

/** One column of many rows, as an array for `unnest`. */
export function encodeMany(table: Table, name: string, rows: readonly Values[]): unknown[] {
  const column = table.all.get(name)
  const asJson = travelsAsJson(table, name)
  return rows.map((row) => {
    const value = row[name]
    if (value === undefined) {
      if (column?.nullable !== true)
        throw new TypeError(`insertMany needs "${name}" of ${table.name} in every row or in none`)
      return null
    }
    return asJson && value !== null ? JSON.stringify(value) : value
  })
}
