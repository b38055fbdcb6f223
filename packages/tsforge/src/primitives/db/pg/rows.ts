import type { FieldDef } from 'pg'
import type { QueryResult } from '../driver.ts'
import { parserOf } from './types.ts'

export type Row = Record<string, unknown>

/** Columns of a statement's rows with their parsers. */
export interface Shape {
  readonly names: readonly string[]
  readonly parsers: readonly ((text: string) => unknown)[]
}

export function shapeOf(fields: readonly FieldDef[]): Shape {
  return { names: fields.map((field) => field.name), parsers: fields.map((field) => parserOf(field.dataTypeID)) }
}

/** Builds a row from the text form of its columns. */
export function readRow({ names, parsers }: Shape, fields: readonly (string | null)[]): Row {
  const row: Row = {}
  for (let i = 0; i < names.length; i++) {
    const text = fields[i]
    row[names[i]!] = text === null || text === undefined ? null : parsers[i]!(text)
  }
  return row
}

/** The result behind a command tag: `INSERT 0 3` affected 3 rows, `BEGIN` counts none. */
export function complete(rows: Row[], tag: string): QueryResult<Row> {
  const last = tag.charCodeAt(tag.length - 1)
  const space = tag.indexOf(' ')
  return {
    rows,
    rowCount: last >= 48 && last <= 57 ? Number(tag.slice(tag.lastIndexOf(' ') + 1)) : null,
    command: space === -1 ? tag : tag.slice(0, space),
  }
}
