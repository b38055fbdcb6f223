import type { ErrorSpec } from '../../kernel/errors.ts'
import { paramNames, tenantModeOf } from '../compiled-route.ts'
import type { JsonSchema } from '../json-schema.ts'
import type { Route } from '../route.ts'
import type { HttpSettings } from '../site.ts'
import { Components } from './components.ts'
import { errorResponses, errorSchemas, errorSpecs } from './errors.ts'

export type OpenApiDocument = Readonly<Record<string, unknown>>

/**
 * OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0) from the very schemas that validate and serialize: the
 * envelope, errors with their codes, parameters and security included. Throws when two schemas share a name.
 */
export function openApiDocument(settings: HttpSettings, routes: readonly Route[]): OpenApiDocument {
  const components = new Components(errorSchemas)
  const { specs } = errorSpecs(settings.catalogues)
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
        specs,
        Object.keys(schemes),
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
        ETag: { description: 'Changes when and only when `data` does.', schema: { type: 'string' } },
        RetryAfter: { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 1 } },
      },
      responses: {
        Error: {
          description: 'Any other failure.',
          headers: { 'X-Request-ID': { $ref: '#/components/headers/RequestId' } },
          content: {
            'application/json': { schema: { $ref: '#/components/schemas/ErrorEnvelope' } },
            'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
          },
        },
      },
    },
  }
}

/** `/notes/:id` as `/notes/{id}`. */
export function openApiPath(url: string): string {
  return url.replace(/:([A-Za-z0-9_]+)(\([^/]*\))?\??/g, '{$1}').replace(/\*$/, '{wildcard}')
}

function operation(
  route: Route,
  components: Components,
  specs: ReadonlyMap<string, ErrorSpec>,
  schemes: readonly string[],
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
    parameters: parameters(route, components),
    ...(body !== undefined && { requestBody: body }),
    responses: {
      ...success(route, components),
      ...errorResponses(codesOf(route), specs),
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
  const describe = (schema: JsonSchema): object =>
    typeof schema['description'] === 'string' ? { description: schema['description'] } : {}
  const params = properties(route.params).of
  for (const name of paramNames(route.url)) {
    const schema = params[name] ?? { type: 'string' }
    list.push({ name: name === '*' ? 'wildcard' : name, in: 'path', required: true, ...describe(schema), schema })
  }
  const query = properties(route.query)
  for (const [name, schema] of Object.entries(query.of))
    list.push({
      name,
      in: 'query',
      required: query.required.includes(name) && !('default' in schema),
      ...describe(schema),
      schema,
    })
  if (tenantModeOf(route) !== 'none') list.push({ $ref: '#/components/parameters/TenantId' })
  if (hasTag(route)) list.push({ $ref: '#/components/parameters/IfNoneMatch' })
  return list
}

function success(route: Route, components: Components): Record<string, unknown> {
  const headers: Record<string, unknown> = { 'X-Request-ID': { $ref: '#/components/headers/RequestId' } }
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
  if (hasTag(route)) headers['ETag'] = { $ref: '#/components/headers/ETag' }
  return {
    [status]: { description: route.summary, headers, content: { [type]: { schema } } },
    ...(hasTag(route) && { 304: { description: 'The data is still what If-None-Match names.', headers } }),
  }
}

function hasTag(route: Route): boolean {
  return route.data !== null && (route.etag ?? route.method === 'GET')
}

/** The route's own codes and those that the pipeline may answer in front of it. */
function codesOf(route: Route): string[] {
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
    ...(route.errors ?? []),
    'internal',
    ...(route.vital === true ? [] : ['http.overloaded']),
    'http.timeout',
  ]
}
