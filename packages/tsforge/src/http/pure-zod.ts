import type { StandardJsonSchema } from './route.ts'

/** Zod's inside as far as it says whether a schema does more than its JSON Schema. */
interface ZodDef {
  readonly type?: string
  readonly checks?: readonly {
    readonly _zod?: { readonly def?: { readonly check?: string; readonly format?: string } }
  }[]
  readonly [key: string]: unknown
}

const plainTypes = new Set([
  'string',
  'number',
  'int',
  'boolean',
  'null',
  'any',
  'unknown',
  'never',
  'object',
  'array',
  'tuple',
  'record',
  'enum',
  'literal',
  'union',
  'optional',
  'nullable',
  'readonly',
])
const plainChecks = new Set([
  'min_length',
  'max_length',
  'length_equals',
  'greater_than',
  'less_than',
  'multiple_of',
  'number_format',
])
const plainFormats = new Set(['regex', 'uuid', 'email', 'starts_with', 'ends_with', 'includes'])

/**
 * Whether the JSON Schema of a Zod schema says all of it: no transform, refinement, default, coercion or
 * catch anywhere inside. When in doubt (or of another vendor) the answer is no, and its own validator runs too.
 */
export function isPureZod(schema: StandardJsonSchema): boolean {
  return schema['~standard'].vendor === 'zod' && isPure(schema, new Set())
}

function isPure(schema: unknown, seen: Set<unknown>): boolean {
  const def = (schema as { readonly _zod?: { readonly def?: ZodDef } } | null | undefined)?._zod?.def
  if (def?.type === undefined || !plainTypes.has(def.type) || def['coerce'] === true) return false
  if (seen.has(schema)) return true
  seen.add(schema)
  // A format schema such as z.email() is its own check.
  if (typeof def['format'] === 'string' && def.type === 'string' && !plainFormats.has(def['format'])) return false
  for (const check of def.checks ?? []) {
    const { check: kind, format } = check._zod?.def ?? {}
    if (kind === 'string_format' ? !plainFormats.has(format ?? '') : !plainChecks.has(kind ?? '')) return false
  }
  const children: unknown[] = [
    def['element'],
    def['innerType'],
    def['valueType'],
    def['keyType'],
    def['rest'],
    def['catchall'],
  ]
  for (const list of [def['options'], def['items'], def['shape']]) {
    if (typeof list === 'object' && list !== null) children.push(...Object.values(list))
  }
  return children.every((child) => child === undefined || child === null || isPure(child, seen))
}
