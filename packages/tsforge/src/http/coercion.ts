import type { JsonSchema } from './json-schema.ts'

/** Turns the text of a query or path parameter into what its schema asks for; text that does not fit stays. */
export type Coercion = (raw: string | readonly string[]) => unknown

const number = /^-?(?:0|[1-9]\d{0,15})(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?$/

/**
 * Coercions for the declared properties of `schema` that are not plain strings. Only what the schema
 * declares is touched, and only spellings that mean exactly one value: `41` for an integer, `true` for a boolean.
 */
export function coercionsOf(schema: JsonSchema): ReadonlyMap<string, Coercion> {
  const found = new Map<string, Coercion>()
  const defs = (schema['$defs'] ?? {}) as Readonly<Record<string, JsonSchema>>
  collect(schema)
  return found

  function collect(node: JsonSchema): void {
    const resolved = resolve(node)
    for (const [name, property] of Object.entries((resolved['properties'] ?? {}) as Record<string, JsonSchema>)) {
      const coerce = coercion(property, 0)
      if (coerce !== undefined) found.set(name, coerce)
    }
    for (const part of (resolved['allOf'] ?? []) as JsonSchema[]) collect(part)
  }

  function resolve(node: JsonSchema): JsonSchema {
    const ref = node['$ref']
    return typeof ref === 'string' ? (defs[decodeURIComponent(ref.replace('#/$defs/', ''))] ?? node) : node
  }

  function coercion(unresolved: JsonSchema, depth: number): Coercion | undefined {
    const node = resolve(unresolved)
    const types = typesOf(node, depth)
    if (types.has('array')) {
      const item =
        typeof node['items'] === 'object' && depth < 4 ? coercion(node['items'] as JsonSchema, depth + 1) : undefined
      return (raw) => {
        const list = typeof raw === 'string' ? [raw] : raw
        return item === undefined ? list : list.map((entry) => item(entry))
      }
    }
    const numeric = types.has('number') || types.has('integer')
    if (!numeric && !types.has('boolean')) return undefined
    return (raw) => {
      if (typeof raw !== 'string') return raw
      if (types.has('boolean') && (raw === 'true' || raw === 'false')) return raw === 'true'
      if (numeric && number.test(raw)) {
        const value = Number(raw)
        if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value
      }
      return raw
    }
  }

  function typesOf(node: JsonSchema, depth: number): Set<string> {
    const types = new Set<string>()
    const declared = node['type']
    for (const type of Array.isArray(declared) ? declared : [declared]) if (typeof type === 'string') types.add(type)
    for (const value of 'const' in node ? [node['const']] : ((node['enum'] ?? []) as unknown[])) types.add(typeof value)
    for (const key of ['anyOf', 'oneOf', 'allOf']) {
      for (const part of depth < 4 ? ((node[key] ?? []) as JsonSchema[]) : [])
        for (const type of typesOf(resolve(part), depth + 1)) types.add(type)
    }
    return types
  }
}
