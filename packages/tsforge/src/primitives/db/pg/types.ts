import pg from 'pg'

type Parser = (text: string) => unknown

/** `int8` and `count(*)`: a number while exact, else a bigint, so that no digit is ever lost silently. */
function parseInt8(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

const asText: Parser = (text) => text

/** Array parser over an element parser, by the array type that `pg` knows for `text[]`. */
function arrayOf(parse: Parser): Parser {
  const texts = pg.types.getTypeParser(1009 as number) as (text: string) => unknown[]
  const map = (item: unknown): unknown =>
    Array.isArray(item) ? item.map(map) : item === null ? null : parse(item as string)
  return (text) => texts(text).map(map)
}

/**
 * Where we differ from `pg`: `int8` is a number (a bigint beyond 2^53 - 1); `date`, `timestamp` (without time zone)
 * and `interval` stay text, because a Date would move them by the process's time zone. `timestamptz` is a Date,
 * `numeric` text (exact), `json(b)` parsed, `bytea` a Buffer: as in `pg`.
 */
const own: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [20, parseInt8],
  [1016, arrayOf(parseInt8)],
  [1082, asText],
  [1182, arrayOf(asText)],
  [1114, asText],
  [1115, arrayOf(asText)],
  [1186, asText],
  [1187, arrayOf(asText)],
])

/** The parser of a type's text form, by its oid. */
export function parserOf(oid: number): Parser {
  return own.get(oid) ?? (pg.types.getTypeParser(oid) as Parser)
}

/** The same parsers in the form of `pg`'s `types` option, for a pool that you make yourself. */
export const pgTypes: { getTypeParser(oid: number, format?: string): Parser } = {
  getTypeParser: (oid, format) =>
    format === 'binary' ? (pg.types.getTypeParser(oid, 'binary') as unknown as Parser) : parserOf(oid),
}
