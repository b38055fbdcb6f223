import type { AnySchema, StandardJsonSchema } from './route.ts'

/** JSON Schema, dialect 2020-12, as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** A schema taken apart: named parts live in `defs`, references point to them through `refPrefix`. */
export interface PortableSchema {
  readonly root: JsonSchema
  readonly defs: Readonly<Record<string, JsonSchema>>
}

export interface PortableSettings {
  /** Where named parts will be found, e.g. `#/$defs/`. */
  readonly refPrefix: string
  /** Closes every object that says nothing about further keys, so that unknown ones are reported. */
  readonly closed: boolean
  /** Tuples in the older notation (`items: [...]`), which fast-json-stringify reads. */
  readonly oldTuples?: boolean
}

const schemaMaps = new Set(['properties', 'patternProperties', 'dependentSchemas'])
const schemaLists = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const singleSchemas = new Set([
  'items',
  'additionalProperties',
  'additionalItems',
  'not',
  'if',
  'then',
  'else',
  'contains',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
])

export function isStandard(schema: AnySchema): schema is StandardJsonSchema {
  return '~standard' in schema
}

/** The JSON Schema of any accepted schema. Throws when a Standard Schema brings none. */
export function jsonSchemaOf(schema: AnySchema, direction: 'input' | 'output'): JsonSchema {
  if (!isStandard(schema)) return schema as unknown as JsonSchema
  const { vendor, jsonSchema } = schema['~standard']
  if (jsonSchema === undefined)
    throw new TypeError(`the ${vendor} schema carries no JSON Schema ("~standard".jsonSchema)`)
  return jsonSchema[direction]({ target: 'draft-2020-12' })
}

/**
 * Copies a schema into a form that stands alone wherever it is put: parts with `$id` and `$defs` become named
 * definitions, `$ref`s point to those, builder symbols and `$schema` are left behind.
 */
export function portable(schema: JsonSchema, settings: PortableSettings): PortableSchema {
  const defs: Record<string, JsonSchema> = {}
  const sources = new Map<string, unknown>()
  let selfReferring = false

  const define = (name: string, source: unknown): string => {
    if (!sources.has(name)) {
      sources.set(name, source)
      defs[name] = copy({ ...(source as object), $id: undefined }, settings.closed)
    }
    return settings.refPrefix + escapePointer(name)
  }

  const reference = (ref: string): string => {
    if (ref === '#') {
      selfReferring = true
      return `${settings.refPrefix}Self`
    }
    return (
      settings.refPrefix +
      escapePointer(ref.replace(/^#\/(\$defs|definitions|components\/schemas)\//, '').replace(/^#/, ''))
    )
  }

  function copy(node: unknown, closed: boolean): JsonSchema {
    if (typeof node !== 'object' || node === null) return node as JsonSchema
    const source = node as Record<string, unknown>
    if (typeof source['$id'] === 'string' && closed === settings.closed) return { $ref: define(source['$id'], source) }
    const out: Record<string, unknown> = {}
    const isAllOf = Array.isArray(source['allOf'])
    for (const definitions of [source['$defs'], source['definitions']]) {
      for (const [name, part] of Object.entries(definitions ?? {})) define(name, part)
    }
    for (const [key, value] of Object.entries(source)) {
      if (
        value === undefined ||
        key === '$schema' ||
        key === '$id' ||
        key === '$defs' ||
        key === 'definitions' ||
        key.startsWith('~')
      )
        continue
      if (key === '$ref') out[key] = reference(value as string)
      else if (schemaMaps.has(key))
        out[key] = Object.fromEntries(Object.entries(value as object).map(([name, part]) => [name, copy(part, closed)]))
      else if (key === 'items' && Array.isArray(value)) tuple(out, value, source, closed)
      else if (key === 'prefixItems' && settings.oldTuples === true)
        out['items'] = (value as unknown[]).map((part) => copy(part, closed))
      else if (key === 'additionalItems' && Array.isArray(source['items'])) continue
      else if (schemaLists.has(key))
        out[key] = (value as unknown[]).map((part) => copy(part, closed && key !== 'allOf'))
      else if (singleSchemas.has(key)) {
        if (key === 'items' && settings.oldTuples === true && Array.isArray(source['prefixItems']))
          out['additionalItems'] = value
        else out[key] = copy(value, closed)
      } else out[key] = typeof value === 'object' && value !== null ? structuredClone(value) : value
    }
    if (closed) close(out, isAllOf)
    return out
  }

  function tuple(
    out: Record<string, unknown>,
    items: readonly unknown[],
    source: Record<string, unknown>,
    closed: boolean,
  ): void {
    const parts = items.map((part) => copy(part, closed))
    const rest = source['additionalItems']
    if (settings.oldTuples === true) {
      out['items'] = parts
      if (rest !== undefined) out['additionalItems'] = copy(rest, closed)
    } else {
      out['prefixItems'] = parts
      if (rest !== undefined) out['items'] = copy(rest, closed)
    }
  }

  const root = copy(schema, settings.closed)
  if (!selfReferring) return { root, defs }
  defs['Self'] = root
  return { root: { $ref: `${settings.refPrefix}Self` }, defs }
}

/** `portable` as one document with its own `$defs`. */
export function standalone(schema: JsonSchema, settings: Omit<PortableSettings, 'refPrefix'>): JsonSchema {
  const { root, defs } = portable(schema, { ...settings, refPrefix: '#/$defs/' })
  return Object.keys(defs).length === 0 ? root : { ...root, $defs: defs }
}

function close(out: Record<string, unknown>, isAllOf: boolean): void {
  if ('additionalProperties' in out || 'unevaluatedProperties' in out) return
  // The branches of allOf see each other's keys as unknown, so only the whole can be closed.
  if (isAllOf) out['unevaluatedProperties'] = false
  else if ('properties' in out) out['additionalProperties'] = false
}

function escapePointer(name: string): string {
  return encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))
}
