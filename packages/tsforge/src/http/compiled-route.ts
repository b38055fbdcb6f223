import type { Coercion } from './coercion.ts'
import { coercionsOf } from './coercion.ts'
import type { Queue } from './deadlines.ts'
import { strongTag } from './etag.ts'
import type { Around, Authenticator, Gate } from './feature.ts'
import { gatesOf } from './gates.ts'
import { Head } from './head.ts'
import type { Later } from './later.ts'
import type { RouteMeter } from './meters.ts'
import type { Outgoing } from './outgoing.ts'
import { versionTag } from './precondition.ts'
import type { Access, Call, PreconditionMode, Route, TenantMode } from './route.ts'
import { compileSerializer } from './serialization.ts'
import type { NamedAuthenticator, Site } from './site.ts'
import type { Validator, Validators } from './validation.ts'

/** A part of the input that is made of text: query or params. */
export interface TextInput {
  readonly validator: Validator
  readonly coercions: ReadonlyMap<string, Coercion>
}

/** A route with everything decided that can be decided at boot. */
export interface CompiledRoute {
  /** As it was declared; `undefined` for addresses without a route. */
  readonly declared: Route | undefined
  readonly template: string
  readonly access: Access
  readonly tenant: TenantMode
  /** Needs an actor, a tenant or a permission. */
  readonly guarded: boolean
  readonly vital: boolean
  /** Those that serve the route. */
  readonly authenticators: readonly Authenticator[]
  readonly params: TextInput | undefined
  /** `undefined` for plain routes, whose query is not looked at. */
  readonly query: TextInput | undefined
  readonly body: Validator | undefined
  /** A schema for the body was declared, so one must come. */
  readonly takesBody: boolean
  readonly bodyLimit: number
  /** Media type of a success, for Accept. */
  readonly mediaType: string
  readonly status: number
  readonly enveloped: boolean
  readonly precondition: PreconditionMode | undefined
  /** Makes the ETag of a success; `undefined` when it has none. */
  readonly tag: ((data: unknown, body: string | Buffer) => string) | undefined
  /** If-None-Match counts. */
  readonly conditional: boolean
  readonly headers: Head
  readonly errorHeaders: Head
  readonly queue: Queue
  readonly meter: RouteMeter
  /** Makes the body of a success; `undefined` when there is none. May set the content type. */
  readonly write: ((data: unknown, out: Outgoing) => string | Buffer) | undefined
  /** In front of authentication. */
  readonly arrival: readonly Gate[] | undefined
  /** Behind authorization. */
  readonly admitted: readonly Gate[] | undefined
  readonly around: Around | undefined
  handler(call: Call): unknown
}

export function tenantModeOf(route: Route): TenantMode {
  return (
    route.tenant ?? (route.access === 'public' ? 'none' : route.access === 'authenticated' ? 'optional' : 'required')
  )
}

/** Ways to sign in that callers of `route` may use. */
export function authenticatorsOf(all: readonly NamedAuthenticator[], route: Route): readonly NamedAuthenticator[] {
  return all.filter(({ serves }) => serves === undefined || serves(route))
}

/** Whether successes carry an ETag. */
export function tagged({ data, etag, method }: Pick<Route, 'data' | 'etag' | 'method'>): boolean {
  return data !== null && (etag ?? method === 'GET') !== false
}

/** The path parameters of a Fastify pattern. */
export function paramNames(url: string): string[] {
  const names = [...url.matchAll(/:([A-Za-z0-9_]+)/g)].map((match) => match[1]!)
  return url.endsWith('*') ? [...names, '*'] : names
}

export function compileRoute(site: Site, validators: Validators, route: Route, later: Later): CompiledRoute {
  const tenant = tenantModeOf(route)
  const plain = route.plain !== undefined && route.plain !== false
  const contentType =
    typeof route.plain === 'object'
      ? route.plain.contentType
      : plain
        ? 'application/json'
        : 'application/json; charset=utf-8'
  const vary = [
    ...(site.cors.varies ? ['origin'] : []),
    ...(route.access === 'public' ? [] : ['authorization']),
    ...(tenant === 'none' ? [] : ['x-tenant-id']),
  ]
  const status = route.status ?? (route.data === null ? 204 : 200)
  const text = (schema: Route['params'], place: 'query' | 'params'): TextInput => {
    const validator = validators.compile(schema ?? nothing, place, later)
    return { validator, coercions: coercionsOf(validator.schema) }
  }
  const names = paramNames(route.url)
  const serialize =
    route.data === null || (plain && isText(route.data)) ? undefined : compileSerializer(route.data, later)
  return {
    declared: route,
    template: route.url,
    access: route.access,
    tenant,
    guarded: route.access !== 'public' || tenant !== 'none',
    vital: route.vital ?? false,
    authenticators: authenticatorsOf(site.authenticators, route).map(({ authenticate }) => authenticate),
    params: names.length === 0 ? undefined : text(route.params ?? textParams(names), 'params'),
    query: plain && route.query === undefined ? undefined : text(route.query, 'query'),
    body:
      route.method === 'GET' || route.bodyStream === true
        ? undefined
        : validators.compile(route.body ?? nothing, 'body', later),
    takesBody: route.body !== undefined,
    bodyLimit: route.limits?.bodyBytes ?? site.options.bodyLimitBytes,
    mediaType: contentType.split(';')[0]!.trim().toLowerCase(),
    status,
    enveloped: !plain,
    precondition: route.precondition,
    tag: tagged(route) ? (route.etag === 'version' ? versionOf : rememberTag()) : undefined,
    conditional: tagged(route) && route.method === 'GET',
    headers: headersOf(site, vary, route.cacheControl ?? 'no-store', contentType),
    errorHeaders: headersOf(site, [...vary, 'accept', 'accept-language'], 'no-store', undefined),
    queue: site.deadlines.queue(route.limits?.timeoutMs ?? site.options.requestTimeoutMs),
    meter: site.meters.route(route.method, route.url),
    write:
      route.data === null
        ? undefined
        : plain
          ? writePlain(serialize, route.plain === true)
          : (data) => serialize!(data),
    arrival: gatesOf(site.gates, 'arrival', route),
    admitted: gatesOf(site.gates, 'admitted', route),
    around: site.around?.for(route),
    handler: (call) => route.handler(call),
  }
}

/** For requests that match no route, or none with their method. */
export function compileMissing(site: Site, template: string, handler: () => unknown): CompiledRoute {
  const headers = headersOf(
    site,
    [...(site.cors.varies ? ['origin'] : []), 'accept', 'accept-language'],
    'no-store',
    undefined,
  )
  return {
    declared: undefined,
    template,
    access: 'public',
    tenant: 'none',
    guarded: false,
    vital: true,
    authenticators: [],
    params: undefined,
    query: undefined,
    body: undefined,
    takesBody: false,
    bodyLimit: 0,
    mediaType: 'application/json',
    status: 204,
    enveloped: false,
    precondition: undefined,
    tag: undefined,
    conditional: false,
    headers,
    errorHeaders: headers,
    queue: site.deadlines.queue(site.options.requestTimeoutMs),
    meter: site.meters.route('', template),
    write: undefined,
    arrival: undefined,
    admitted: undefined,
    around: undefined,
    handler,
  }
}

const nothing = { type: 'object', properties: {}, additionalProperties: false } as unknown as NonNullable<
  Route['params']
>

function textParams(names: readonly string[]): NonNullable<Route['params']> {
  const properties = Object.fromEntries(names.map((name) => [name, { type: 'string', minLength: 1, maxLength: 255 }]))
  return { type: 'object', properties, required: names } as unknown as NonNullable<Route['params']>
}

function headersOf(site: Site, vary: readonly string[], cacheControl: string, contentType: string | undefined): Head {
  const list = contentType === undefined ? [] : ['content-type', contentType]
  list.push('cache-control', cacheControl)
  if (vary.length > 0) list.push('vary', vary.join(', '))
  return new Head([...list, ...site.security])
}

function isText(schema: NonNullable<Route['data']>): boolean {
  return (schema as { readonly type?: unknown }).type === 'string'
}

function writePlain(
  serialize: ((data: unknown) => string) | undefined,
  guessType: boolean,
): (data: unknown, out: Outgoing) => string | Buffer {
  return (data, out) => {
    if (typeof data === 'string') {
      if (guessType) out.set('content-type', 'text/plain; charset=utf-8')
      return data
    }
    if (Buffer.isBuffer(data)) {
      if (guessType) out.set('content-type', 'application/octet-stream')
      return data
    }
    return serialize === undefined ? JSON.stringify(data) : serialize(data)
  }
}

/** `checkRoutes` has seen that the schema of `data` demands the version. */
function versionOf(data: unknown): string {
  return versionTag((data as { readonly version: number }).version)
}

/** Answers that repeat (health, key sets, documents) are hashed once. */
function rememberTag(): (data: unknown, body: string | Buffer) => string {
  let lastBody = ''
  let lastTag = strongTag('')
  return (_data, body) => {
    if (typeof body !== 'string') return strongTag(body.toString('latin1'))
    if (body !== lastBody) {
      lastTag = strongTag(body)
      lastBody = body.length <= 65_536 ? body : ''
      if (lastBody === '') return lastTag
    }
    return lastTag
  }
}
