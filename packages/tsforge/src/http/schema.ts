/**
 * The schema builder of the framework: TypeBox, whose schemas are plain JSON Schema. Any Standard Schema that
 * carries its JSON Schema (Zod 4, ArkType, …) is accepted wherever a schema is.
 */
import { Type } from 'typebox'
import type { Static, TSchema, TString, TUnsafe } from 'typebox'

export { Type }
export type { Static, TSchema } from 'typebox'

/** A UUID as text. */
export const Uuid: TString = Type.String({ format: 'uuid' })

/**
 * A point in time: ISO 8601 in UTC on the wire. Handlers may return a `Date`, so that rows go out as they are.
 * What comes in is text.
 */
export const Timestamp: TUnsafe<Date | string> = Type.Unsafe({ type: 'string', format: 'date-time' })

/** `schema`, or null. */
export function nullable<Schema extends TSchema>(schema: Schema): TUnsafe<Static<Schema> | null> {
  const plain = schema as { readonly type?: unknown }
  // A list of types is shorter to read and faster to write than two branches, but an enum would still refuse null.
  const listed = typeof plain.type === 'string' && !('enum' in schema || 'const' in schema || '$id' in schema)
  return Type.Unsafe(listed ? { ...schema, type: [plain.type, 'null'] } : { anyOf: [schema, { type: 'null' }] })
}
