import { checkType } from './identifiers.ts'

declare const valueType: unique symbol

export interface ColumnFlags {
  /** The column accepts null; it may be left out of an insert. */
  readonly nullable?: boolean
  /** The database has a default; the column may be left out of an insert. */
  readonly hasDefault?: boolean
}

/** One column: its SQL type and the TypeScript type of its values. */
export interface Column<T = unknown, Optional extends boolean = boolean> {
  readonly type: string
  readonly nullable: boolean
  readonly hasDefault: boolean
  readonly json: boolean
  readonly optional: Optional
  readonly [valueType]?: T
}

export type Columns = Readonly<Record<string, Column>>
export type ValueOf<C> = C extends Column<infer T> ? T : never

type Make<T> = <const F extends ColumnFlags = Record<never, never>>(
  flags?: F,
) => Column<
  F extends { readonly nullable: true } ? T | null : T,
  F extends { readonly nullable: true } | { readonly hasDefault: true } ? true : false
>

function make<T>(type: string): Make<T> {
  return ((flags: ColumnFlags = {}) => of(type, flags)) as Make<T>
}

function of(type: string, { nullable = false, hasDefault = false }: ColumnFlags): Column {
  return Object.freeze({
    type: checkType(type),
    nullable,
    hasDefault,
    json: type === 'json' || type === 'jsonb',
    optional: nullable || hasDefault,
  })
}

/**
 * Builders of columns, e.g. `column.text({ nullable: true })`. Values are what `pg` gives: `Date` for timestamptz
 * (milliseconds; the microseconds of a database default are cut), strings for bigint, numeric and date.
 */
export const column: {
  readonly text: Make<string>
  readonly uuid: Make<string>
  readonly boolean: Make<boolean>
  readonly integer: Make<number>
  readonly bigint: Make<string>
  readonly double: Make<number>
  readonly numeric: Make<string>
  readonly timestamptz: Make<Date>
  readonly date: Make<string>
  readonly bytea: Make<Buffer>
  /** `column.jsonb<Settings>()()`: the first call takes the type, the second the flags. */
  jsonb<T>(): Make<T>
  /** Any other type by its SQL name, e.g. `column.other<'low' | 'high'>('priority')()` or `column.other<string[]>('text[]')()`. */
  other<T>(type: string): Make<T>
} = {
  text: make<string>('text'),
  uuid: make<string>('uuid'),
  boolean: make<boolean>('boolean'),
  integer: make<number>('integer'),
  bigint: make<string>('bigint'),
  double: make<number>('double precision'),
  numeric: make<string>('numeric'),
  timestamptz: make<Date>('timestamptz'),
  date: make<string>('date'),
  bytea: make<Buffer>('bytea'),
  jsonb: <T>() => make<T>('jsonb'),
  other: <T>(type: string) => make<T>(type),
}
