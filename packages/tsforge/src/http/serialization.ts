import { createRequire } from 'node:module'
import { interpret } from './interpret.ts'
import { jsonSchemaOf, standalone } from './json-schema.ts'
import type { Later } from './later.ts'
import type { AnySchema } from './route.ts'

/** Writes data as JSON. Throws when it does not fit its schema. */
export type Serialize = (data: unknown) => string

const require = createRequire(import.meta.url)

/** Loaded when it is first needed. CommonJS whose types hang on `module.exports`. */
function build(schema: object, options: object): Serialize {
  return (require('fast-json-stringify') as (schema: object, options: object) => Serialize)(schema, options)
}

/**
 * Compiles the writer of a route's `data`. Only declared fields leave: whatever else a handler returns by
 * mistake (a password hash, a join's leftovers) is not written.
 */
export function compileSerializer(schema: AnySchema, later: Later): Serialize {
  const json = standalone(jsonSchemaOf(schema, 'output'), { closed: false, oldTuples: true })
  // ajv inside it (for anyOf) would refuse keywords that it does not know.
  let compiled = false
  const write = later.add(() => {
    compiled = true
    return build(json, { ajv: { strict: false, allowUnionTypes: true } })
  })
  return (data) => (compiled ? undefined : interpret(json, data)) ?? write()(data)
}
