import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import { newAjv } from './ajv.ts'
import { httpErrors } from './errors.ts'
import { describeFault } from './field-messages.ts'
import type { FieldFault } from './field-messages.ts'
import { formats } from './formats.ts'
import { isStandard, jsonSchemaOf, standalone } from './json-schema.ts'
import type { JsonSchema } from './json-schema.ts'
import type { Later } from './later.ts'
import { isPureZod } from './pure-zod.ts'
import type { AnySchema, StandardJsonSchema } from './route.ts'

/** Larger inputs get their first fault only: collecting all of them is work that the caller chooses. */
const collectUpToNodes = 2000
const maxFaults = 50

export interface Validator {
  /** The closed JSON Schema that is enforced. */
  readonly schema: JsonSchema
  /**
   * Returns the value to hand on (as it came, or as the schema's own transforms made it; a promise only when
   * the schema's validator is asynchronous). Throws 422 `http.validation_failed` with `meta.fields`.
   */
  check(value: unknown, locale: string, nodes: number): unknown
}

function createAjv(allErrors: boolean): Ajv2020 {
  const ajv = newAjv({
    allErrors,
    strict: false,
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: true,
    messages: false,
    validateSchema: false,
    addUsedSchema: false,
    verbose: true,
  })
  for (const [name, validate] of Object.entries(formats)) ajv.addFormat(name, validate)
  return ajv
}

/** Makes validators, each compiled when it is first needed. One per app, so that ajv's own start-up is paid once. */
export class Validators {
  #fast: Ajv2020 | undefined
  #all: Ajv2020 | undefined

  /** Throws a `TypeError` when `schema` is none; `later`, ajv's own error when it cannot be compiled. */
  compile(schema: AnySchema, place: FieldFault['in'], later: Later): Validator {
    const closed = standalone(jsonSchemaOf(schema, 'input'), { closed: true })
    const fast = later.add(() => (this.#fast ??= createAjv(false)).compile(closed))
    const empty = closed['additionalProperties'] === false && Object.keys(closed['properties'] ?? {}).length === 0
    const refine = isStandard(schema) && !isPureZod(schema) ? schema : undefined
    let thorough: ValidateFunction | undefined
    const faults = (value: unknown, nodes: number): readonly ErrorObject[] => {
      if (nodes > collectUpToNodes) return fast().errors ?? []
      thorough ??= (this.#all ??= createAjv(true)).compile(closed)
      thorough(value)
      return thorough.errors ?? []
    }
    return {
      schema: closed,
      check: (value, locale, nodes) => {
        // What most requests to most routes have: no query.
        if (empty && isEmpty(value)) return value
        if (!fast()(value)) throw failed(toFaults(faults(value, nodes), place, locale))
        return refine === undefined ? value : refined(refine, value, place)
      },
    }
  }
}

function isEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  for (const _ in value) return false
  return true
}

export function failed(fields: readonly FieldFault[]): Error {
  return httpErrors.error('http.validation_failed', { meta: { fields } })
}

function toFaults(errors: readonly ErrorObject[], place: FieldFault['in'], locale: string): FieldFault[] {
  const seen = new Set<string>()
  const faults: FieldFault[] = []
  for (const error of errors) {
    // A branch's own faults say more than "matches none of the branches", unless there are no others.
    if ((error.keyword === 'anyOf' || error.keyword === 'oneOf' || error.keyword === 'if') && errors.length > 1)
      continue
    const path = pointerOf(error)
    const fault: FieldFault = { in: place, path, ...describeFault(error.keyword, ruleValue(error), locale) }
    const key = `${path}\0${fault.code}\0${fault.message}`
    if (seen.has(key)) continue
    seen.add(key)
    if (faults.push(fault) === maxFaults) break
  }
  return faults
}

/** Missing and unknown keys are reported at the key's own place, not at the object's. */
function pointerOf(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>
  const key = params['missingProperty'] ?? params['additionalProperty'] ?? params['unevaluatedProperty']
  if (typeof key !== 'string') return error.instancePath
  return `${error.instancePath}/${key.slice(0, 200).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

function ruleValue(error: ErrorObject): unknown {
  const params = error.params as Record<string, unknown>
  if (error.keyword === 'enum') return params['allowedValues']
  if (error.keyword === 'const') return params['allowedValue']
  return params[error.keyword] ?? params['limit'] ?? error.schema
}

interface Issue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}
type Outcome = { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly Issue[] }

function refined(schema: StandardJsonSchema, value: unknown, place: FieldFault['in']): unknown {
  const outcome = schema['~standard'].validate(value)
  return outcome instanceof Promise
    ? outcome.then((settled: unknown) => unwrap(settled as Outcome, place))
    : unwrap(outcome as Outcome, place)
}

function unwrap(outcome: Outcome, place: FieldFault['in']): unknown {
  if (outcome.issues === undefined) return outcome.value
  throw failed(
    outcome.issues.slice(0, maxFaults).map((issue) => ({
      in: place,
      path: (issue.path ?? [])
        .map(
          (part) =>
            `/${String(typeof part === 'object' ? part.key : part)
              .replaceAll('~', '~0')
              .replaceAll('/', '~1')}`,
        )
        .join(''),
      code: 'invalid',
      message: issue.message,
    })),
  )
}
