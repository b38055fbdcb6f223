import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static, TSchema } from 'typebox'
import type { Actor, RequestContext } from '../kernel/context.ts'
import type { ExpectedVersion } from './precondition.ts'
import type { Standing } from './standing.ts'

/** A schema of another library, as https://standardschema.dev describes it, with its JSON Schema on board. */
export interface StandardJsonSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
    readonly validate: (value: unknown) => unknown
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: string }) => Record<string, unknown>
      readonly output: (options: { readonly target: string }) => Record<string, unknown>
    }
  }
}

export type AnySchema = TSchema | StandardJsonSchema

/** The type that a handler sees for a schema. */
export type Infer<S> = S extends { readonly '~standard': { readonly types?: infer T } }
  ? NonNullable<T> extends { readonly output: infer O }
    ? O
    : unknown
  : S extends TSchema
    ? Static<S>
    : undefined

/**
 * Who may call a route. `public`: anybody. `authenticated`: every signed-in actor. Anything else is a permission
 * code (`noun.verb`, e.g. `webhooks.manage`), asked in the current tenant. There is no default on purpose.
 */
export type Access = 'public' | 'authenticated' | `${string}.${string}`

/** `required`: 400 without a tenant. `optional`: taken when given. `none`: the header is not looked at. */
export type TenantMode = 'required' | 'optional' | 'none'

/**
 * `optional`: If-Match, when sent, must name the version of the row. `required`: it must be sent (428). Its errors
 * and its parameter are documented by this word; the handler hands `call.expected` to its write.
 */
export type PreconditionMode = 'required' | 'optional'

/**
 * What a write does with an Idempotency-Key. `refused`: a promise that cannot be kept is not given. `ignored`: for callers who
 * send one whatever they call, where the handler itself knows a repetition (webhooks by their id).
 */
export type IdempotencyMode = 'optional' | 'required' | 'refused' | 'ignored'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** A value with a status and headers of its own; made by `created`, `noContent` and `reply`. */
export interface Answer<T> {
  readonly status: number
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly data: T
}

/** What a handler receives: validated input and the unit of work. */
export interface Call<
  Params = unknown,
  Query = unknown,
  Body = unknown,
  Expectation extends ExpectedVersion | undefined = ExpectedVersion | undefined,
> {
  readonly params: Params
  readonly query: Query
  readonly body: Body
  /** What If-Match expects, for the write that checks it; only of routes with a `precondition`. */
  readonly expected: Expectation
  readonly actor: Actor
  /** Resolved and checked tenant, or `null`. */
  readonly tenantId: string | null
  readonly context: RequestContext
  /** Client address after trusted proxies. */
  readonly ip: string
  readonly userAgent: string | undefined
  header(name: string): string | undefined
  /** Aborted when the client has gone or the route's time limit has passed. */
  readonly signal: AbortSignal
  /** Who was let in and why, to ask again while an answer lasts. */
  readonly standing: Standing
  /** Fastify's own objects, for what the framework has no word for. */
  readonly raw: { readonly request: FastifyRequest; readonly reply: FastifyReply }
}

export interface RouteLimits {
  /** Bytes of the request body. Default: the app's `FORGE_HTTP_BODY_LIMIT`. */
  readonly bodyBytes?: number
  /** Milliseconds until 503 `http.timeout`. Default: the app's `FORGE_HTTP_REQUEST_TIMEOUT`. */
  readonly timeoutMs?: number
}

export interface RouteSpec<
  Params extends AnySchema | undefined = AnySchema | undefined,
  Query extends AnySchema | undefined = AnySchema | undefined,
  Body extends AnySchema | undefined = AnySchema | undefined,
  Data extends AnySchema | null = AnySchema | null,
  Precondition extends PreconditionMode | undefined = PreconditionMode | undefined,
> {
  readonly method: Method
  /** Fastify path, e.g. `/api/v1/notes/:id`. */
  readonly url: string
  /** OpenAPI operationId, camelCase, unique in the app. */
  readonly id: string
  readonly summary: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly access: Access
  /** Default: `required` for permission routes, `optional` for authenticated, `none` for public. */
  readonly tenant?: TenantMode
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  /** Whether a write looks at If-Match. Default: it does not. */
  readonly precondition?: Precondition
  /** Success status. Default 200, or 204 when `data` is null. */
  readonly status?: number
  /** Schema of `data` in the envelope; `null` for no body. */
  readonly data: Data
  /** Catalogue codes that this route may answer besides the pipeline's own; documented in OpenAPI. */
  readonly errors?: readonly string[]
  /** `Cache-Control`. Default `no-store`. */
  readonly cacheControl?: string
  /**
   * `true`: a strong ETag over `data`, and 304 for the If-None-Match of those who have it; the default for GET.
   * `version`: the same out of `data.version`, which If-Match then names; for reads and writes of a versioned row.
   */
  readonly etag?: boolean | 'version'
  readonly limits?: RouteLimits
  /** Names of the rate limits that count calls of this route; `false` for none at all. Default: those of the whole API. */
  readonly rate?: string | readonly string[] | false
  /** How many calls one call counts for. Default 1. */
  readonly cost?: number
  /** Whether the Idempotency-Key of a write is heeded, demanded, refused, or not looked at. Default `optional`; never on GET. */
  readonly idempotency?: IdempotencyMode
  /** Never shed under overload (health routes). */
  readonly vital?: boolean
  /** Left out of the OpenAPI document. */
  readonly hidden?: boolean
  /**
   * Answers without the envelope (JWKS, metrics, documents): `data` is sent as it is when it is a string, a buffer
   * or a stream (`Readable`, or `live()`), as JSON otherwise.
   */
  readonly plain?: boolean | { readonly contentType: string }
  /**
   * The body is neither looked at nor read, whatever its type: the handler reads `call.raw.request.raw` by itself, and
   * holds it to a size. For files; without `body`, and with `idempotency` `refused` or `ignored`, since nothing knows what came.
   */
  readonly bodyStream?: boolean
  handler(
    call: Call<
      Infer<Params>,
      Infer<Query>,
      Infer<Body>,
      Precondition extends PreconditionMode ? ExpectedVersion : undefined
    >,
  ): Promise<Infer<Data> | Answer<Infer<Data>>> | Infer<Data> | Answer<Infer<Data>>
}

declare const checked: unique symbol

/** A declared route; made by `route()`. */
export interface Route extends Omit<RouteSpec, 'handler'> {
  readonly [checked]?: never
  handler(call: Call): unknown
}

/** Declares a route. The handler's types follow from its schemas. */
export function route<
  const Params extends AnySchema | undefined = undefined,
  const Query extends AnySchema | undefined = undefined,
  const Body extends AnySchema | undefined = undefined,
  const Data extends AnySchema | null = null,
  const Precondition extends PreconditionMode | undefined = undefined,
>(spec: RouteSpec<Params, Query, Body, Data, Precondition>): Route {
  return spec as unknown as Route
}

/** The mode of a route: writes heed a key unless they say otherwise, reads have no use for one. */
export function idempotencyOf({ method, idempotency }: Pick<Route, 'method' | 'idempotency'>): IdempotencyMode {
  return method === 'GET' ? 'refused' : (idempotency ?? 'optional')
}
