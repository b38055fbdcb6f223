/**
 * The schema builder of the framework: TypeBox, whose schemas are plain JSON Schema. Any Standard Schema that
 * carries its JSON Schema (Zod 4, ArkType, …) is accepted wherever a schema is.
 */
export { Type } from 'typebox'
export type { Static, TSchema } from 'typebox'
