import type { JsonSchema } from './json-schema.ts'

/** Words that change nothing about how a value is written. */
const silent = ['title', 'description', 'examples', 'additionalProperties']
const words: Readonly<Record<string, ReadonlySet<string>>> = {
  object: new Set(['type', 'properties', 'required', ...silent]),
  string: new Set(['type', 'const', 'minLength', 'maxLength', 'pattern', ...silent]),
  integer: new Set(['type', 'minimum', 'maximum', ...silent]),
  number: new Set(['type', 'minimum', 'maximum', ...silent]),
  boolean: new Set(['type', ...silent]),
}

/**
 * Writes `value` as the compiled serializer would, straight from the schema, or gives `undefined` where that takes more
 * than flat rules: slower, but there from the first moment, when the compiler and its eighty modules are not loaded.
 */
export function interpret(schema: JsonSchema, value: unknown): string | undefined {
  const { type } = schema
  const known = typeof type === 'string' && Object.hasOwn(words, type) ? words[type] : undefined
  if (known === undefined) return undefined
  for (const word in schema) if (!known.has(word)) return undefined
  if (type === 'object') return interpretObject(schema, value)
  if (type === 'string') {
    const fits = typeof value === 'string' && (!Object.hasOwn(schema, 'const') || schema['const'] === value)
    return fits ? JSON.stringify(value) : undefined
  }
  if (type === 'boolean') return typeof value === 'boolean' ? String(value) : undefined
  return (type === 'integer' ? Number.isInteger(value) : Number.isFinite(value)) ? String(value) : undefined
}

function interpretObject(schema: JsonSchema, value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return undefined
  if (schema['additionalProperties'] !== undefined && schema['additionalProperties'] !== false) return undefined
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>
  const required = (schema['required'] ?? []) as readonly string[]
  const parts: string[] = []
  // Those that must be there come first, as the compiler puts them: an ETag stays the same.
  const names = Object.keys(properties)
  const inOrder = [
    ...names.filter((name) => required.includes(name)),
    ...names.filter((name) => !required.includes(name)),
  ]
  for (const name of inOrder) {
    const part = (value as Readonly<Record<string, unknown>>)[name]
    if (part === undefined && !required.includes(name)) continue
    const text = interpret(properties[name]!, part)
    if (text === undefined) return undefined
    parts.push(`${JSON.stringify(name)}:${text}`)
  }
  return required.every((name) => Object.hasOwn(properties, name)) ? `{${parts.join(',')}}` : undefined
}
