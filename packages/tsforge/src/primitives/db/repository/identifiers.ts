const namePattern = /^[a-z_][a-z0-9_]{0,62}$/

/** Quotes a table or column name after checking that it is plain snake case (at most 63 bytes). For names of the program, never for input. */
export function quoteName(name: string): string {
  if (!namePattern.test(name)) throw new TypeError(`"${name}" is not a snake_case SQL name`)
  return `"${name}"`
}

/** Quotes `table` or `schema.table`. */
export function quoteTable(name: string): string {
  return name.split('.').map(quoteName).join('.')
}

const typePattern = /^[a-z_][a-z0-9_ ]*(\(\d+(,\d+)?\))?(\[\])?$/

export function checkType(type: string): string {
  if (!typePattern.test(type)) throw new TypeError(`"${type}" is not the name of an SQL type`)
  return type
}

/** Makes `text` stand for itself in a LIKE pattern (with the default escape, a backslash). */
export function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&')
}
