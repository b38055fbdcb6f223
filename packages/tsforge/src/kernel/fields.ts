import { formatBytes, formatDuration, parseBytes, parseDuration } from './durations.ts'
import type { Bytes, Duration } from './durations.ts'
import { Secret, isPlaceholder, weakness } from './secret.ts'

/** Values of the same module that have been read so far, for rules between two settings. */
export type Siblings = Readonly<Record<string, unknown>>

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
  /** The default as one would write it: `15m`, not `900000`. */
  readonly defaultText?: string | undefined
  /** Shown in `.env.example`; defaults to the default value. */
  readonly example?: string | undefined
  /** Never printed, logged or put into an error. */
  readonly secret: boolean
  /** Returns why the value is refused (in any environment), or `undefined`. */
  check?(value: T, siblings: Siblings): string | undefined
  /** Returns why production refuses the value, or `undefined`. */
  production?(value: T, siblings: Siblings): string | undefined
}

/** The options of a module: one field for each key. */
export type OptionsSchema<T> = { readonly [K in keyof T]-?: Field<T[K]> }

/** A schema of any module. */
export type AnySchema = Readonly<Record<string, Field<unknown>>>

/** The values that a schema loads. */
export type OptionsOf<S> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never }

/** What every field may say. Reasons returned by `check` and `production` complete "VARIABLE …". */
export interface FieldSettings<T, Written = T> {
  readonly doc: string
  /** Without one the variable is required (see `field.optional`). */
  readonly default?: Written
  readonly example?: string
  check?(value: T, siblings: Siblings): string | undefined
  production?(value: T, siblings: Siblings): string | undefined
}

interface Kind<T, Written> {
  readonly type: string
  parse(raw: string): T
  /** From what code writes as default to the value. */
  from?(written: Written): T
  text?(value: T): string
  readonly secret?: boolean
}

function build<T, Written = T>(env: string, settings: FieldSettings<T, Written>, kind: Kind<T, Written>): Field<T> {
  const written = settings.default
  const value =
    written === undefined ? undefined : kind.from === undefined ? (written as unknown as T) : kind.from(written)
  return {
    env,
    doc: settings.doc,
    type: kind.type,
    parse: kind.parse,
    hasDefault: written !== undefined,
    defaultValue: value,
    defaultText: value === undefined || kind.secret === true ? undefined : (kind.text ?? String)(value),
    example: settings.example,
    secret: kind.secret ?? false,
    ...(settings.check && { check: settings.check }),
    ...(settings.production && { production: settings.production }),
  }
}

export interface RangeSettings {
  readonly min?: number
  readonly max?: number
}

function inRange(value: number, { min, max }: RangeSettings, show: (value: number) => string): number {
  if ((min === undefined || value >= min) && (max === undefined || value <= max)) return value
  if (min === undefined) throw new Error(`must be at most ${show(max!)}`)
  throw new Error(max === undefined ? `must be at least ${show(min)}` : `must be ${show(min)} to ${show(max)}`)
}

function measured<Written>(
  env: string,
  settings: FieldSettings<number, Written> & RangeSettings,
  type: string,
  read: (raw: string) => number,
  from: (written: Written) => number,
  text: (value: number) => string,
): Field<number> {
  return build(env, settings, {
    type,
    parse: (raw) => inRange(read(raw), settings, text),
    from: (written) => inRange(from(written), settings, text),
    text,
  })
}

function readInteger(raw: string): number {
  const text = raw.trim()
  const value = Number(text)
  if (!/^(0|-?[1-9]\d*)$/.test(text) || !Number.isSafeInteger(value))
    throw new Error('must be a whole number in plain digits')
  return value
}

function readNumber(raw: string): number {
  const text = raw.trim()
  const value = Number(text)
  if (!/^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) || !Number.isFinite(value))
    throw new Error('must be a number such as 3 or 0.25')
  return value
}

const booleans: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
}

function readBoolean(raw: string): boolean {
  const text = raw.trim().toLowerCase()
  if (!Object.hasOwn(booleans, text)) throw new Error('must be true or false')
  return booleans[text]!
}

export interface UrlSettings {
  /** Accepted protocols without the colon, e.g. `['postgres', 'postgresql']`. Default http and https. */
  readonly protocols?: readonly string[]
}

function readUrl(raw: string, { protocols = ['http', 'https'] }: UrlSettings): string {
  const text = raw.trim()
  const url = URL.parse(text)
  // Not echoed: a URL may hold a password.
  if (url === null || !protocols.includes(url.protocol.slice(0, -1)) || !/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw new Error(`must be a URL that starts with ${protocols.map((name) => `${name}://`).join(' or ')}`)
  }
  return text
}

export interface SecretSettings extends FieldSettings<Secret, string> {
  /** Fewest characters that production accepts, default 32. */
  readonly minLength?: number
  /** Somebody else chose it (an SMTP password, an S3 key): production refuses placeholders only. */
  readonly foreign?: boolean
}

/** The builders of fields, by type. `env` is the environment variable. */
export interface FieldBuilders {
  string(env: string, settings: FieldSettings<string>): Field<string>
  /** Whole number in plain decimal digits. */
  integer(env: string, settings: FieldSettings<number> & RangeSettings): Field<number>
  /** Decimal number without an exponent. */
  number(env: string, settings: FieldSettings<number> & RangeSettings): Field<number>
  /** TCP port, 0 (any free one) to 65535. */
  port(env: string, settings: FieldSettings<number>): Field<number>
  /** `true/false`, `yes/no`, `on/off`, `1/0`. */
  boolean(env: string, settings: FieldSettings<boolean>): Field<boolean>
  /** `15m`, `1h30m`; milliseconds as value, so the key is named `…Ms`. */
  duration(
    env: string,
    settings: FieldSettings<number, Duration> & { readonly min?: Duration; readonly max?: Duration },
  ): Field<number>
  /** `64kb`, `1mb`; bytes as value. */
  bytes(
    env: string,
    settings: FieldSettings<number, Bytes> & { readonly min?: Bytes; readonly max?: Bytes },
  ): Field<number>
  /** Absolute URL, kept as it was written. One that carries a password is a `secretUrl`. */
  url(env: string, settings: FieldSettings<string> & UrlSettings): Field<string>
  /** URL that may carry a password, e.g. of a database. */
  secretUrl(env: string, settings: FieldSettings<Secret, string> & UrlSettings): Field<Secret>
  /** Comma separated; each item trimmed and read by `item`. An empty item is refused. */
  list(env: string, settings: FieldSettings<readonly string[]>): Field<readonly string[]>
  list<T extends string | number>(
    env: string,
    settings: FieldSettings<readonly T[]> & {
      item(raw: string): T
      /** The reverse of `item`, for the default. Default `String`. */
      show?(value: T): string
    },
  ): Field<readonly T[]>
  oneOf<const V extends string>(
    env: string,
    settings: FieldSettings<NoInfer<V>> & { readonly values: readonly V[] },
  ): Field<V>
  /** A value that is never printed; see `Secret`. */
  secret(env: string, settings: SecretSettings): Field<Secret>
  /** Makes absence legal: the value is `undefined` then. */
  optional<T>(
    inner: Field<T>,
    settings?: { /** Legal in development and tests only. */ readonly requiredInProduction?: boolean },
  ): Field<T | undefined>
}

export const field: FieldBuilders = {
  string: (env, settings) => build(env, settings, { type: 'string', parse: (raw) => raw }),
  integer: (env, settings) => measured(env, settings, 'integer', readInteger, (value) => value, String),
  number: (env, settings) => measured(env, settings, 'number', readNumber, (value) => value, String),
  port: (env, settings) =>
    measured(env, { min: 0, max: 65_535, ...settings }, 'port', readInteger, (value) => value, String),
  boolean: (env, settings) => build(env, settings, { type: 'boolean', parse: readBoolean }),
  duration: (env, { min, max, ...settings }) =>
    measured(
      env,
      { ...settings, ...range(min, max, parseDuration) },
      'duration',
      parseDuration,
      parseDuration,
      formatDuration,
    ),
  bytes: (env, { min, max, ...settings }) =>
    measured(env, { ...settings, ...range(min, max, parseBytes) }, 'size', parseBytes, parseBytes, formatBytes),
  url: (env, settings) => build(env, settings, { type: 'url', parse: (raw) => readUrl(raw, settings) }),
  secretUrl: (env, settings) =>
    build(env, settings, {
      type: 'secret url',
      parse: (raw) => new Secret(readUrl(raw, settings)),
      from: (written) => new Secret(written),
      secret: true,
    }),
  list: <T extends string | number>(
    env: string,
    settings: FieldSettings<readonly T[]> & { item?(raw: string): T; show?(value: T): string },
  ) =>
    build<readonly T[]>(env, settings, {
      type: 'list',
      parse: (raw) => {
        const items = raw.split(',').map((item) => item.trim())
        if (items.includes('')) throw new Error('must be a comma separated list without empty items')
        return settings.item === undefined ? (items as unknown as T[]) : items.map(settings.item)
      },
      text: (value) => value.map(settings.show ?? String).join(','),
    }),
  oneOf: (env, settings) =>
    build(env, settings, {
      type: settings.values.join(' \\| '),
      parse: (raw) => {
        const found = settings.values.find((value) => value === raw)
        if (found === undefined) throw new Error(`must be one of ${settings.values.join(', ')}`)
        return found
      },
    }),
  secret: (env, settings) =>
    build<Secret, string>(
      env,
      {
        ...settings,
        production: (value, siblings) => {
          const text = value.reveal()
          const reason =
            settings.foreign === true
              ? isPlaceholder(text)
                ? 'looks like a placeholder'
                : undefined
              : weakness(text, settings.minLength)
          return reason ?? settings.production?.(value, siblings)
        },
      },
      { type: 'secret', parse: (raw) => new Secret(raw), from: (written) => new Secret(written), secret: true },
    ),
  optional: <T>(inner: Field<T>, settings: { readonly requiredInProduction?: boolean } = {}): Field<T | undefined> => ({
    ...inner,
    hasDefault: true,
    check: (value, siblings) => (value === undefined ? undefined : inner.check?.(value, siblings)),
    production: (value, siblings) => {
      if (value !== undefined) return inner.production?.(value, siblings)
      return settings.requiredInProduction === true ? 'is required in production' : undefined
    },
  }),
}

function range<W>(min: W | undefined, max: W | undefined, read: (written: W) => number): RangeSettings {
  return { ...(min !== undefined && { min: read(min) }), ...(max !== undefined && { max: read(max) }) }
}
