/**
 * One setting: its environment variable, type, default and documentation in one place. Types, validation,
 * the docs table and `.env.example` all come from here.
 */
export interface Field<T> {
  /** Environment variable. */
  readonly env: string
  /** One line for the docs table. */
  readonly doc: string
  /** How the type is called in the docs: `integer`, `duration`, `url`, … */
  readonly type: string
  /** Parses the raw text. Throws an `Error` whose message says what would be right. */
  parse(raw: string): T
  readonly hasDefault: boolean
  readonly defaultValue: T | undefined
  /** Shown in `.env.example`; defaults to the default value. */
  readonly example?: string | undefined
  /** Never printed, logged or put into an error. */
  readonly secret: boolean
  /** Returns why the value is refused (in any environment), or `undefined`. */
  check?(value: T): string | undefined
  /** Returns why production refuses the value, or `undefined`. */
  production?(value: T): string | undefined
}

/** The options of a module: one field for each key. */
export type OptionsSchema<T> = { readonly [K in keyof T]-?: Field<T[K]> }
