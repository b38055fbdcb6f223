import { createHmac } from 'node:crypto'
import { equalBytes } from '../kernel/secret.ts'
import type { CursorKeys, PagePosition } from '../kernel/page.ts'
import type { Secrets } from '../kernel/secrets.ts'
import { pageErrors } from './page-errors.ts'

/** What a cursor is valid for, as one text. */
export type Binding = string

/** Makes and reads cursors: the keys of a row, signed together with what they belong to. */
export interface Cursors {
  /** Facts that must be the same when the cursor comes back. JSON-like; the order of names does not matter. */
  bind(facts: readonly unknown[]): Binding
  seal(kind: 'after' | 'before', keys: CursorKeys, binding: Binding): string
  /** Throws `page.cursor_invalid` for anything that `seal` did not make for this binding. */
  open(cursor: string, binding: Binding): PagePosition
}

/** Longest cursor that is made or read; a URL has to hold it. */
const maxLength = 4096
const macLength = 22

/**
 * Cursors signed with a key of the app's secret (HMAC-SHA256, 128 bits). A cursor tells the sort values of
 * one row that its holder has seen; the signature keeps others from choosing values, lists, filters or tenants.
 */
export function createCursors(secrets: Pick<Secrets, 'derive'>): Cursors {
  const key = secrets.derive('cursor')
  const sign = (payload: string, binding: Binding): string =>
    createHmac('sha256', key)
      .update(payload)
      .update('\0')
      .update(binding)
      .digest()
      .subarray(0, 16)
      .toString('base64url')
  return {
    bind: (facts) => JSON.stringify(canonical(facts, 0)),
    seal(kind, keys, binding) {
      const payload = Buffer.from(JSON.stringify([kind, ...keys])).toString('base64url')
      if (payload.length + 1 + macLength > maxLength) throw pageErrors.error('page.cursor_too_long')
      return `${payload}.${sign(payload, binding)}`
    },
    open(cursor, binding) {
      const dot = cursor.length - macLength - 1
      if (cursor.length > maxLength || dot < 1 || cursor[dot] !== '.') throw pageErrors.error('page.cursor_invalid')
      const payload = cursor.slice(0, dot)
      const given = Buffer.from(cursor.slice(dot + 1))
      const right = Buffer.from(sign(payload, binding))
      if (!equalBytes(right, given)) throw pageErrors.error('page.cursor_invalid')
      const [kind, ...keys] = JSON.parse(Buffer.from(payload, 'base64url').toString()) as [
        'after' | 'before',
        ...CursorKeys,
      ]
      return { kind, keys }
    },
  }
}

/** The same value for the same facts, whatever the order of their names. */
function canonical(value: unknown, depth: number): unknown {
  if (depth > 8) throw pageErrors.error('page.cursor_invalid')
  if (Array.isArray(value)) return value.map((item) => canonical(item, depth + 1))
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, item]) => [name, canonical(item, depth + 1)])
}
