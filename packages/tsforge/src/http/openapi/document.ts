import { authenticatorsOf, paramNames, tagged, tenantModeOf } from '../compiled-route.ts'
import { jsonSchemaOf } from '../json-schema.ts'
import type { JsonSchema } from '../json-schema.ts'
import { pageErrorsOf } from '../pagination.ts'
import type { ExtensionDocs } from '../feature.ts'
import type { Route } from '../route.ts'
import type { HttpSettings } from '../site.ts'
import { Components } from './components.ts'
import { ErrorResponses, errorSchemas, errorSpecs } from './errors.ts'
import { Extensions } from './extensions.ts'

export type OpenApiDocument = Readonly<Record<string, unknown>>

/**
 * OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0) from the very schemas that validate and serialize: the
 * envelope, errors with their codes, parameters and security included. Throws when two schemas share a name.
 */
export function openApiDocument(settings: HttpSettings, routes: readonly Route[]): OpenApiDocument {
  const components = new Components(errorSchemas)
  const extensions = new Extensions(settings)
  const errors = new ErrorResponses(errorSpecs(settings.catalogues).specs)
  const schemes = Object.fromEntries((settings.authenticators ?? []).map(({ name, scheme }) => [name, scheme]))
  const paths: Record<string, Record<string, unknown>> = {}
  const tags = new Set<string>()
  for (const route of routes) {
    if (route.hidden === true) continue
    for (const tag of route.tags ?? []) tags.add(tag)
    try {
      ;(paths[openApiPath(route.url)] ??= {})[route.method.toLowerCase()] = operation(
        route,
        components,
        errors,
        authenticatorsOf(settings.authenticators ?? [], route).map(({ name }) => name),
        extensions.of(route),
      )
    } catch (error) {
      throw new Error(`${route.method} ${route.url}: ${(error as Error).message}`, { cause: error })
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: settings.app.name, version: settings.app.version },
    servers: [{ url: settings.options.publicUrl ?? '/' }],
    tags: [...tags].map((name) => ({ name })),
    paths,
    components: {
      schemas: components.schemas,
      securitySchemes: schemes,
      parameters: {
        TenantId: {
          name: 'X-Tenant-ID',
          in: 'header',
          description: 'The tenant to work in. Default: the one that the credential names.',
          schema: { type: 'string', format: 'uuid' },
        },
        IdempotencyKey: idempotencyKey(false),
        IdempotencyKeyRequired: idempotencyKey(true),
        IfMatch: ifMatch(false),
        IfMatchRequired: ifMatch(true),
        IfNoneMatch: {
          name: 'If-None-Match',
          in: 'header',
          description: 'An ETag; 304 when the data is still the same.',
          schema: { type: 'string' },
        },
      },
      headers: {
        RequestId: {
          description: 'Names this request in logs and support cases.',
          required: true,
          schema: { type: 'string' },
        },
        ETag: {
          description: 'Names this state of the data, for If-Match and If-None-Match.',
          schema: { type: 'string' },
        },
        RetryAfter: { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 1 } },
        ...extensions.headers,
      },
      responses: {
        ...errors.shared,
        Error: {
          description: 'Any other failure.',
          headers: { 'X-Request-ID': { $ref: '#/components/headers/RequestId' } },
          content: {
            'application/json': { schema: { $ref: '#/components/schemas/ErrorEnvelope' } },
            'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
          },
        },
      },
      examples: errors.examples,
    },
  }
}

function idempotencyKey(required: boolean): object {
  return {
    name: 'Idempotency-Key',
    in: 'header',
    required,
    description: 'Makes the call safe to repeat: the same key gets the first answer again. A fresh UUID per operation.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  }
}

function ifMatch(required: boolean): object {
  return {
    name: 'If-Match',
    in: 'header',
    required,
    description: 'The ETag that was read; 412 when the resource has changed since.',
    schema: { type: 'string' },
  }
}

/** `/notes/:id` as `/notes/{id}`. */
export function openApiPath(url: string): string {
  return url.replace(/:([A-Za-z0-9_]+)(\([^/]*\))?\??/g, '{$1}').replace(/\*$/, '{wildcard}')
}

function operation(
  route: Route,
  components: Components,
  errors: ErrorResponses,
  schemes: readonly string[],
  docs: Required<ExtensionDocs>,
): unknown {
  const body =
    route.body === undefined
      ? undefined
      : { required: true, content: { 'application/json': { schema: components.add(route.body, 'input') } } }
  return {
    operationId: route.id,
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    ...(route.tags !== undefined && { tags: route.tags }),
    security: route.access === 'public' ? [] : schemes.map((name) => ({ [name]: [] })),
    ...(route.access !== 'public' && route.access !== 'authenticated' && { 'x-permission': route.access }),
    parameters: [...parameters(route, components), ...docs.parameters],
    ...(body !== undefined && { requestBody: body }),
    responses: {
      ...success(route, components, docs.headers),
      ...errors.of(pipelineCodes(route), routeCodes(route), docs),
      default: { $ref: '#/components/responses/Error' },
    },
  }
}

function parameters(route: Route, components: Components): unknown[] {
  const list: unknown[] = []
  const properties = (schema: Route['params']): { of: Record<string, JsonSchema>; required: readonly string[] } => {
    const root = schema === undefined ? {} : components.resolve(components.add(schema, 'input'))
    return {
      of: (root['properties'] ?? {}) as Record<string, JsonSchema>,
      required: (root['required'] ?? []) as string[],
    }
  }
  // The description of a parameter is the one place that readers of the document look at.
  const described = ({ description, ...schema }: JsonSchema): object =>
    description === undefined ? { schema } : { description, schema }
  const params = properties(route.params).of
  for (const name of paramNames(route.url)) {
    const schema = params[name] ?? { type: 'string' }
    list.push({ name: name === '*' ? 'wildcard' : name, in: 'path', required: true, ...described(schema) })
  }
  const query = properties(route.query)
  for (const [name, schema] of Object.entries(query.of))
    list.push({
      name,
      in: 'query',
      required: query.required.includes(name) && !('default' in schema),
      ...described(schema),
    })
  if (tenantModeOf(route) !== 'none') list.push({ $ref: '#/components/parameters/TenantId' })
  if (tagged(route) && route.method === 'GET') list.push({ $ref: '#/components/parameters/IfNoneMatch' })
  if (route.precondition !== undefined)
    list.push({ $ref: `#/components/parameters/${route.precondition === 'required' ? 'IfMatchRequired' : 'IfMatch'}` })
  return list
}

function success(route: Route, components: Components, own: ExtensionDocs['headers']): Record<string, unknown> {
  const headers: Record<string, unknown> = { 'X-Request-ID': { $ref: '#/components/headers/RequestId' }, ...own }
  const status = route.status ?? (route.data === null ? 204 : 200)
  if (route.data === null) return { [status]: { description: 'Done; there is no body.', headers } }
  const data = components.add(route.data, 'output')
  const plain = route.plain !== undefined && route.plain !== false
  const type =
    typeof route.plain === 'object'
      ? route.plain.contentType.split(';')[0]!.trim()
      : data['type'] === 'string' && plain
        ? 'text/plain'
        : 'application/json'
  const schema = plain
    ? data
    : {
        type: 'object',
        required: ['success', 'data', 'request_id'],
        additionalProperties: false,
        properties: { success: { const: true }, data, request_id: { type: 'string' } },
      }
  if (tagged(route)) headers['ETag'] = { $ref: '#/components/headers/ETag' }
  return {
    [status]: { description: route.summary, headers, content: { [type]: { schema } } },
    ...(tagged(route) &&
      route.method === 'GET' && { 304: { description: 'The data is still what If-None-Match names.', headers } }),
  }
}

/** What the route may answer besides the pipeline: its own codes and those that follow from its words. */
function routeCodes({ errors, precondition, query }: Route): string[] {
  return [
    ...(errors ?? []),
    ...(query === undefined ? [] : pageErrorsOf(jsonSchemaOf(query, 'input'))),
    ...(precondition === undefined ? [] : ['precondition.malformed', 'precondition.failed']),
    ...(precondition === 'required' ? ['precondition.required'] : []),
  ]
}

/** What the pipeline may answer in front of the route. */
function pipelineCodes(route: Route): string[] {
  const tenant = tenantModeOf(route)
  return [
    'http.request_malformed',
    'http.target_malformed',
    ...(route.method === 'GET'
      ? []
      : ['http.body_malformed', 'http.body_too_large', 'http.media_type_unsupported', 'http.encoding_unsupported']),
    ...(route.access === 'public' ? [] : ['access.unauthenticated']),
    ...(tenant === 'none' ? [] : ['tenant.invalid']),
    ...(tenant === 'required' ? ['tenant.required'] : []),
    ...(route.access === 'public' && tenant === 'none' ? [] : ['access.denied']),
    'http.not_acceptable',
    'http.validation_failed',
    'internal',
    ...(route.vital === true ? [] : ['http.overloaded']),
    'http.timeout',
  ]
}
