import type { ErrorCatalogue, ForgeError } from '../../../kernel/errors.ts'
import { column } from './columns.ts'
import type { Column, Columns, ValueOf } from './columns.ts'
import { repositoryErrors } from './errors.ts'
import { quoteName, quoteTable } from './identifiers.ts'

/** Which of the framework's columns a table has. */
export interface TableFlags {
  /** Rows belong to a tenant (`tenant_id uuid not null`): every statement names the current one. Default false. */
  readonly tenant?: boolean
  /** `created_at, created_by, updated_at, updated_by`. Default true. */
  readonly audit?: boolean
  /** `deleted_at, deleted_by`; deleted rows are invisible unless asked for. Default true. */
  readonly softDelete?: boolean
  /** `version integer`, grows by one with each write. Default true. */
  readonly versioned?: boolean
  /** Name of a declared column that is the primary key. Default: `id`, a UUIDv7 made by the repository. */
  readonly key?: string
}

export interface TableSpec<C extends Columns, Code extends string> {
  /** `table` or `schema.table`. */
  readonly name: string
  readonly columns: C
  /** Catalogue that the codes below belong to. */
  readonly errors?: ErrorCatalogue<Code>
  /** What a violated constraint (unique, foreign key, check) means: its name → code. */
  readonly unique?: Readonly<Record<string, Code>>
  /** Code for a missing row. Default `db.not_found`. */
  readonly notFound?: Code
}

type With<F, Flag, Extra> = F extends Flag ? Extra : unknown
type Without<F, Flag, Extra> = F extends Flag ? unknown : Extra
type Flat<T> = { readonly [K in keyof T]: T[K] }
type Values<C extends Columns> = { [K in keyof C]: ValueOf<C[K]> }
type RequiredNames<C extends Columns> = { [K in keyof C]: C[K]['optional'] extends true ? never : K }[keyof C]
type KeyColumn<F extends TableFlags> = F extends { readonly key: string } ? unknown : { id: string }

export type RowOf<C extends Columns, F extends TableFlags> = Flat<
  KeyColumn<F> &
    Values<C> &
    With<F, { readonly tenant: true }, { tenant_id: string }> &
    Without<
      F,
      { readonly audit: false },
      { created_at: Date; created_by: string | null; updated_at: Date; updated_by: string | null }
    > &
    Without<F, { readonly softDelete: false }, { deleted_at: Date | null; deleted_by: string | null }> &
    Without<F, { readonly versioned: false }, { version: number }>
>
/** What an insert takes: required columns, optional ones, and an `id` for those who bring their own. */
export type NewOf<C extends Columns, F extends TableFlags> = Flat<
  Pick<Values<C>, RequiredNames<C>> & Partial<Omit<Values<C>, RequiredNames<C>>> & Partial<KeyColumn<F>>
>
/** What an update takes. Absent leaves a column as it is; `null` empties it; `''` is a text. */
export type PatchOf<C extends Columns, F extends TableFlags> = Flat<
  Partial<F extends { readonly key: infer K extends string } ? Omit<Values<C>, K> : Values<C>>
>

declare const types: unique symbol

/** A described table. Made by `defineTable`. */
export interface Table<Row = object, New = object, Patch = object> {
  readonly name: string
  /** Quoted name. */
  readonly sql: string
  readonly key: string
  readonly tenant: boolean
  readonly audit: boolean
  readonly softDelete: boolean
  readonly versioned: boolean
  /** The program's own columns, by name. */
  readonly own: ReadonlyMap<string, Column>
  /** All columns, the framework's included. */
  readonly all: ReadonlyMap<string, Column>
  /** All columns, quoted; never `*`, so that a statement prepared before a column was added stays valid. */
  readonly selection: string
  notFound(): ForgeError
  /** The declared error of a constraint, if there is one. */
  violation(constraint: string, cause: unknown): ForgeError | undefined
  readonly [types]?: { readonly row: Row; readonly new: New; readonly patch: Patch }
}

/** The row type of a table: `type Note = Row<typeof notes>`. */
export type Row<T> = T extends Table<infer R, object, object> ? R : never

const known = ['name', 'columns', 'errors', 'unique', 'notFound', 'tenant', 'audit', 'softDelete', 'versioned', 'key']
const reserved = [
  'tenant_id',
  'created_at',
  'created_by',
  'updated_at',
  'updated_by',
  'deleted_at',
  'deleted_by',
  'version',
  'page_keys',
]

/** Describes a table once: names are checked and quoted here, types of rows follow from the columns. */
export function defineTable<
  const C extends Columns,
  const F extends TableFlags = Record<never, never>,
  Code extends string = never,
>(spec: TableSpec<C, Code> & F): Table<RowOf<C, F>, NewOf<C, F>, PatchOf<C, F>> {
  const {
    name,
    columns,
    tenant = false,
    audit = true,
    softDelete = true,
    versioned = true,
    key = 'id',
  } = spec as TableSpec<C, Code> & TableFlags
  // A misspelt `tenant` must not make a table without a wall.
  for (const word of Object.keys(spec))
    if (!known.includes(word)) throw new TypeError(`table ${name} does not know "${word}"`)
  const own = new Map<string, Column>(Object.entries(columns))
  for (const taken of own.keys()) {
    if (reserved.includes(taken)) throw new TypeError(`column "${taken}" of ${name} is managed by the repository`)
  }
  const all = new Map(own)
  if (!own.has(key)) {
    if (key !== 'id') throw new TypeError(`the key "${key}" is not a column of ${name}`)
    all.set('id', column.uuid())
  }
  const managed = (when: boolean, extra: Columns): void => {
    if (when) for (const [extraName, extraColumn] of Object.entries(extra)) all.set(extraName, extraColumn)
  }
  const who = column.uuid({ nullable: true })
  managed(tenant, { tenant_id: column.uuid() })
  managed(audit, {
    created_at: column.timestamptz(),
    created_by: who,
    updated_at: column.timestamptz(),
    updated_by: who,
  })
  managed(softDelete, { deleted_at: column.timestamptz({ nullable: true }), deleted_by: who })
  managed(versioned, { version: column.integer() })

  const { errors, unique = {} as Readonly<Record<string, Code>>, notFound } = spec
  for (const code of [...Object.values<Code>(unique), ...(notFound === undefined ? [] : [notFound])]) {
    if (errors === undefined || !Object.hasOwn(errors.specs, code))
      throw new TypeError(`"${code}" of ${name} is not in its error catalogue`)
  }
  return {
    name,
    key,
    tenant,
    audit,
    softDelete,
    versioned,
    own,
    all,
    sql: quoteTable(name),
    selection: [...all.keys()].map(quoteName).join(', '),
    notFound: () =>
      errors === undefined || notFound === undefined ? repositoryErrors.error('db.not_found') : errors.error(notFound),
    violation: (constraint, cause) => {
      const code = Object.hasOwn(unique, constraint) ? unique[constraint] : undefined
      return code === undefined ? undefined : errors?.error(code, { cause })
    },
  }
}
