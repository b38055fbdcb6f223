import { statusText } from '../status-text.ts'
import { isDeepStrictEqual } from 'node:util'
import { contextErrors } from '../../kernel/context.ts'
import { fill } from '../../kernel/errors.ts'
import type { ErrorCatalogue, ErrorSpec } from '../../kernel/errors.ts'
import { httpErrors } from '../errors.ts'
import type { ExtensionDocs } from '../feature.ts'
import type { JsonSchema } from '../json-schema.ts'
import { pageErrors } from '../page-errors.ts'
import { preconditionErrors } from '../precondition.ts'

/** The shapes of failures, shared by all operations. */
export const errorSchemas: Readonly<Record<string, JsonSchema>> = {
  ErrorEnvelope: {
    type: 'object',
    required: ['success', 'error', 'request_id'],
    additionalProperties: false,
    properties: {
      success: { const: false },
      error: {
        type: 'object',
        required: ['code', 'message'],
        additionalProperties: false,
        properties: {
          code: { type: 'string', description: 'Stable, for programs.' },
          message: { type: 'string', description: 'For people, in the language of Accept-Language.' },
          meta: {
            type: 'object',
            description: 'Facts about this failure; `fields` lists what is wrong with the input.',
            properties: { fields: { type: 'array', items: { $ref: '#/components/schemas/FieldFault' } } },
          },
        },
      },
      request_id: { type: 'string' },
    },
  },
  Problem: {
    type: 'object',
    description: 'RFC 9457; sent when Accept names application/problem+json.',
    required: ['type', 'title', 'status', 'detail', 'code', 'request_id'],
    additionalProperties: false,
    properties: {
      type: { type: 'string', format: 'uri' },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string' },
      instance: { type: 'string' },
      code: { type: 'string' },
      errors: { type: 'array', items: { $ref: '#/components/schemas/FieldFault' } },
      meta: { type: 'object' },
      'violated-policies': {
        type: 'array',
        items: { type: 'string' },
        description: 'Names of the limits that were exceeded, as in RateLimit-Policy.',
      },
      request_id: { type: 'string' },
      fix: { type: 'string', description: 'What the caller can do about it.' },
    },
  },
  FieldFault: {
    type: 'object',
    required: ['in', 'path', 'code', 'message'],
    additionalProperties: false,
    properties: {
      in: { enum: ['body', 'query', 'params'] },
      path: { type: 'string', description: 'JSON Pointer (RFC 6901); empty for the whole.' },
      code: { type: 'string' },
      message: { type: 'string' },
      params: { type: 'object' },
    },
  },
}

/** The HTTP room's own catalogues; always there. */
const own: readonly ErrorCatalogue[] = [contextErrors, httpErrors, pageErrors, preconditionErrors]

/** All codes that an app can answer. A code means one thing: `clashes` names those that two catalogues explain differently. */
export function errorSpecs(catalogues: readonly ErrorCatalogue[] = []): {
  readonly specs: ReadonlyMap<string, ErrorSpec>
  readonly clashes: readonly string[]
} {
  const specs = new Map<string, ErrorSpec>()
  const clashes: string[] = []
  for (const [code, spec] of [...own, ...catalogues].flatMap((catalogue) =>
    Object.entries<ErrorSpec>(catalogue.specs),
  )) {
    const known = specs.get(code)
    if (known === undefined) specs.set(code, spec)
    else if (!isDeepStrictEqual(known, spec)) clashes.push(code)
  }
  return { specs, clashes }
}

/** Words that tell the pipeline's answers of one status apart. */
const variants: Readonly<Record<string, string>> = {
  'http.body_malformed': 'Body',
  'tenant.invalid': 'Tenant',
  'tenant.required': 'Required',
  'http.overloaded': 'OrBusy',
}

/** The failures of all operations: what many share is written once, and each code has one example. */
export class ErrorResponses {
  readonly shared: Record<string, unknown> = {}
  readonly examples: Record<string, unknown> = {}
  readonly #specs: ReadonlyMap<string, ErrorSpec>

  constructor(specs: ReadonlyMap<string, ErrorSpec>) {
    this.#specs = specs
  }

  /** The responses of one operation by status; a status without a code of the route's own is a shared response. */
  of(pipeline: readonly string[], own: readonly string[], docs: Required<ExtensionDocs>): Record<string, unknown> {
    const byStatus = new Map<number, string[]>()
    for (const code of new Set([...pipeline, ...own, ...docs.errors])) {
      const { status } = this.#example(code)
      byStatus.set(status, [...(byStatus.get(status) ?? []), code])
    }
    const statuses = [...byStatus].sort(([a], [b]) => a - b)
    return Object.fromEntries(
      statuses.map(([status, codes]) => [
        String(status),
        codes.some((code) => own.includes(code))
          ? errorResponse(status, codes, headersOf(codes, docs))
          : this.#share(status, codes, docs),
      ]),
    )
  }

  #share(status: number, codes: readonly string[], docs: Required<ExtensionDocs>): unknown {
    const variant = (code: string): string => variants[code] ?? (docs.errors.includes(code) ? pascal(code) : '')
    const name = statusText(status).replaceAll(' ', '') + codes.map(variant).join('')
    this.shared[name] ??= errorResponse(status, codes, headersOf(codes, docs))
    return { $ref: `#/components/responses/${name}` }
  }

  #example(code: string): ErrorSpec {
    const spec = this.#specs.get(code)
    if (spec === undefined) throw new Error(`the error code "${code}" is in no catalogue`)
    const summary = fill(typeof spec.message === 'string' ? spec.message : spec.message.en, undefined)
    this.examples[code] ??= {
      summary,
      ...(spec.fix !== undefined && { description: spec.fix }),
      value: { success: false, error: { code, message: summary }, request_id: '4f3c2b1a09f8e7d6c5b4a39281706f5e' },
    }
    return spec
  }
}

/** An extension's headers stand on the answers that it gives. */
function headersOf(codes: readonly string[], docs: Required<ExtensionDocs>): ExtensionDocs['headers'] {
  return codes.some((code) => docs.errors.includes(code)) ? docs.headers : {}
}

/** `ratelimit.exceeded` as `RatelimitExceeded`. */
function pascal(code: string): string {
  return code.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function errorResponse(status: number, codes: readonly string[], own: ExtensionDocs['headers']): unknown {
  const headers: Record<string, unknown> = { 'X-Request-ID': { $ref: '#/components/headers/RequestId' }, ...own }
  if (status === 401) headers['WWW-Authenticate'] = { schema: { type: 'string' } }
  if (status === 429 || status === 503) headers['Retry-After'] = { $ref: '#/components/headers/RetryAfter' }
  return {
    description: statusText(status),
    headers,
    content: {
      'application/json': {
        schema: { $ref: '#/components/schemas/ErrorEnvelope' },
        examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
      'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
    },
  }
}
