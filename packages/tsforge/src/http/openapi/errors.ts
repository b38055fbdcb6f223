import { STATUS_CODES } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import { contextErrors } from '../../kernel/context.ts'
import { fill } from '../../kernel/errors.ts'
import type { ErrorCatalogue, ErrorSpec } from '../../kernel/errors.ts'
import { httpErrors } from '../errors.ts'
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

/** The responses of `codes`, one for each status, each code with an example of its own. */
export function errorResponses(
  codes: readonly string[],
  specs: ReadonlyMap<string, ErrorSpec>,
): Record<string, unknown> {
  const byStatus = new Map<number, [string, ErrorSpec][]>()
  for (const code of new Set(codes)) {
    const spec = specs.get(code)
    if (spec === undefined) throw new Error(`the error code "${code}" is in no catalogue`)
    byStatus.set(spec.status, [...(byStatus.get(spec.status) ?? []), [code, spec]])
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, entries]) => [String(status), errorResponse(status, entries)]),
  )
}

function errorResponse(status: number, entries: readonly (readonly [string, ErrorSpec])[]): unknown {
  const examples = Object.fromEntries(
    entries.map(([code, spec]) => {
      const message = typeof spec.message === 'string' ? spec.message : spec.message.en
      const value = {
        success: false,
        error: { code, message: fill(message, undefined) },
        request_id: '4f3c2b1a09f8e7d6c5b4a39281706f5e',
      }
      return [code, { summary: message, ...(spec.fix !== undefined && { description: spec.fix }), value }]
    }),
  )
  const headers: Record<string, unknown> = { 'X-Request-ID': { $ref: '#/components/headers/RequestId' } }
  if (status === 401) headers['WWW-Authenticate'] = { schema: { type: 'string' } }
  if (status === 429 || status === 503) headers['Retry-After'] = { $ref: '#/components/headers/RetryAfter' }
  return {
    description: STATUS_CODES[status] ?? 'Error',
    headers,
    content: {
      'application/json': { schema: { $ref: '#/components/schemas/ErrorEnvelope' }, examples },
      'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
    },
  }
}
