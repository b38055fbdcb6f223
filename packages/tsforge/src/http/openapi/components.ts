import { isDeepStrictEqual } from 'node:util'
import type { JsonSchema } from '../json-schema.ts'
import { jsonSchemaOf, portable } from '../json-schema.ts'
import type { AnySchema } from '../route.ts'

const prefix = '#/components/schemas/'

/** Collects the named schemas of a document and refuses one name for two shapes. */
export class Components {
  readonly schemas: Record<string, JsonSchema>

  constructor(own: Readonly<Record<string, JsonSchema>>) {
    this.schemas = { ...own }
  }

  /** `schema` as it goes into the document; its named parts become components. */
  add(schema: AnySchema, direction: 'input' | 'output'): JsonSchema {
    const { root, defs } = portable(jsonSchemaOf(schema, direction), { refPrefix: prefix, closed: true })
    for (const [name, part] of Object.entries(defs)) {
      if (!/^[A-Za-z0-9._-]+$/.test(name))
        throw new Error(`the schema name "${name}" may only have letters, digits, dots, dashes and underscores`)
      const known = this.schemas[name]
      if (known === undefined) this.schemas[name] = part
      else if (!isDeepStrictEqual(known, part)) throw new Error(`two different schemas are called "${name}"`)
    }
    return root
  }

  /** Follows a reference into the components. */
  resolve(schema: JsonSchema): JsonSchema {
    const ref = schema['$ref']
    return typeof ref === 'string' && ref.startsWith(prefix)
      ? (this.schemas[decodeURIComponent(ref.slice(prefix.length))] ?? schema)
      : schema
  }
}
