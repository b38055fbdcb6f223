import { repositoryErrors } from './errors.ts'
import { escapeLike, quoteName } from './identifiers.ts'
import type { Table } from './table.ts'

/** Comparisons with one column; all of them have to hold. Only `not: null` and equality look at nulls. */
export interface Comparisons<T> {
  readonly not?: T | null
  readonly gt?: T
  readonly gte?: T
  readonly lt?: T
  readonly lte?: T
  /** Text begins with this, case-sensitive. */
  readonly startsWith?: string
  /** Text contains this, in any case. */
  readonly contains?: string
}

/** A value (equal), null (is null), an array (one of), or comparisons. */
export type Condition<T> = T | null | readonly T[] | Comparisons<T>

/** Conditions on columns; all of them have to hold. A column given as `undefined` is an error, not "any". */
export type Where<Row> = { readonly [K in keyof Row]?: Condition<NonNullable<Row[K]>> }

const operators: Readonly<Record<string, string>> = { gt: '>', gte: '>=', lt: '<', lte: '<=' }

/** SQL of `where`, its values bound. Arrays become `= any($n)`: one statement for any number of values. */
export function whereSql(table: Table, where: object, bind: (value: unknown) => string): string[] {
  const sql: string[] = []
  for (const [name, condition] of Object.entries(where) as [string, unknown][]) {
    const column = table.all.get(name)
    const invalid = (): Error => repositoryErrors.error('db.filter_invalid', { meta: { column: name.slice(0, 64) } })
    if (column === undefined || column.json || condition === undefined) throw invalid()
    const quoted = quoteName(name)
    if (condition === null) sql.push(`${quoted} is null`)
    else if (Array.isArray(condition)) sql.push(`${quoted} = any(${bind(condition)}::${column.type}[])`)
    else if (isPlain(condition)) {
      const entries = Object.entries(condition) as [string, unknown][]
      if (entries.length === 0) throw invalid()
      for (const [operator, value] of entries) sql.push(comparison(quoted, operator, value, bind) ?? fail(invalid))
    } else sql.push(`${quoted} = ${bind(condition)}`)
  }
  return sql
}

function comparison(
  quoted: string,
  operator: string,
  value: unknown,
  bind: (value: unknown) => string,
): string | undefined {
  if (operator === 'not') {
    if (value === undefined || isPlain(value)) return undefined
    return value === null ? `${quoted} is not null` : `${quoted} <> ${bind(value)}`
  }
  if (operator === 'startsWith' || operator === 'contains') {
    if (typeof value !== 'string') return undefined
    const text = escapeLike(value)
    return operator === 'contains' ? `${quoted} ilike ${bind(`%${text}%`)}` : `${quoted} like ${bind(`${text}%`)}`
  }
  const sign = Object.hasOwn(operators, operator) ? operators[operator] : undefined
  return sign === undefined || value === undefined || value === null || isPlain(value)
    ? undefined
    : `${quoted} ${sign} ${bind(value)}`
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function fail(error: () => Error): never {
  throw error()
}
