import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { interpret } from '../interpret.ts'
import type { JsonSchema } from '../json-schema.ts'
import { Later } from '../later.ts'
import { Type } from '../schema.ts'
import { compileSerializer } from '../serialization.ts'

const build = createRequire(import.meta.url)('fast-json-stringify') as (schema: object) => (value: unknown) => string

interface Sample {
  readonly schema: JsonSchema
  readonly value: unknown
}

const anything = fc.oneof(
  fc.constantFrom<unknown>('ok', 'a"b\\', '\ud83d', '😀', '\0', -0, 2.5, Infinity, NaN, true, null, undefined, [], {}),
  fc.string(),
  fc.integer(),
  fc.date(),
)
const leaf: fc.Arbitrary<Sample> = fc.record({
  schema: fc.constantFrom<JsonSchema>(
    { type: 'string' },
    { type: 'string', const: 'ok' },
    { type: 'string', const: null },
    { type: 'string', minLength: 1, maxLength: 3, pattern: '^a' },
    { type: 'string', format: 'date-time' },
    { type: 'integer', minimum: 1 },
    { type: 'number' },
    { type: 'number', multipleOf: 2 },
    { type: 'boolean', description: 'a flag' },
    { type: ['string', 'null'] },
    { type: 'array', items: { type: 'string' } },
    { const: 'ok' },
    {},
  ),
  value: anything,
})
const names = fc.subarray(['a', 'b', 'c', 'constructor', 'x"y'])
const { sample } = fc.letrec<{ sample: Sample; object: Sample }>((tie) => ({
  sample: fc.oneof({ depthSize: 'small' }, leaf, tie('object')),
  object: fc
    .tuple(
      names.chain((keys) => fc.tuple(...keys.map((key) => fc.tuple(fc.constant(key), tie('sample'))))),
      names,
      fc.constantFrom({}, { additionalProperties: false }, { additionalProperties: true }, { title: 'T' }),
    )
    .map(([entries, required, more]) => {
      const made = entries as readonly (readonly [string, Sample])[]
      return {
        schema: {
          type: 'object',
          properties: Object.fromEntries(made.map(([key, { schema }]) => [key, schema])),
          required: required.filter((name) => name === 'c' || made.some(([key]) => key === name)),
          ...more,
        },
        value: Object.fromEntries([...made.map(([key, { value }]) => [key, value] as const), ['more', 'x']]),
      }
    }),
}))

test('whatever is interpreted is written byte for byte as the compiler would', () => {
  let interpreted = 0
  fc.assert(
    fc.property(sample, ({ schema, value }) => {
      const text = interpret(schema, value)
      if (text === undefined) return
      interpreted++
      expect(text).toBe(build(structuredClone(schema))(value))
    }),
    { numRuns: 1500 },
  )
  expect(interpreted).toBeGreaterThan(30)
})

const Note = Type.Object({
  note: Type.Optional(Type.String()),
  status: Type.Literal('ok'),
  owner: Type.Object({ name: Type.String(), age: Type.Integer() }),
  done: Type.Boolean(),
})
const note = { done: true, status: 'ok', secret: 'x', owner: { name: 'Zoë "Z"', age: 7, hash: 'y' }, note: 'n' }

test('flat data is written before anything is compiled, and the same afterwards, without what was not declared', () => {
  const later = new Later('GET /note')
  const serialize = compileSerializer(Note, later)
  const text = '{"status":"ok","owner":{"name":"Zoë \\"Z\\"","age":7},"done":true,"note":"n"}'
  expect(serialize(note)).toBe(text)
  expect(later.step()).toBe(true)
  expect(serialize(note)).toBe(text)
  expect(later.step()).toBe(false)
})

test('data that does not fit its schema is refused from the first answer on', () => {
  const serialize = compileSerializer(Note, new Later('GET /note'))
  expect(() => serialize({ ...note, owner: { name: 'Z' } })).toThrow('"age" is required')
  expect(() => serialize({ ...note, owner: { name: 'Z', age: 'seven' } })).toThrow('integer')
})
