import type { Actor, RequestContext } from '../kernel/context.ts'
import type { PermissionSpec, Plugin, Ports } from '../kernel/plugin.ts'
import type { Route } from './route.ts'

export type { PermissionSpec } from '../kernel/plugin.ts'

/** The request as far as an authenticator may look at it. */
export interface Credentials {
  /** Scheme in lower case and the rest of `Authorization`; `undefined` when the header is absent. */
  readonly authorization: { readonly scheme: string; readonly value: string } | undefined
  header(name: string): string | undefined
  /** A parameter of the query that was given once, for callers who cannot send headers. */
  query(name: string): string | undefined
}

/**
 * Turns credentials into an actor. `undefined` means "not mine, ask the next"; bad credentials of its own
 * kind throw a 401. May answer synchronously, so that the hot path costs no promise.
 */
export type Authenticator = (credentials: Credentials) => Actor | undefined | Promise<Actor | undefined>

/** Throws a 401 when an actor of its own, let in a while ago, would not be any more (revoked, disabled). */
export type Recheck = (actor: Actor) => void | Promise<void>

/**
 * Decides whether the actor may work in the tenant it names. Throws 403 for non-members. Only called with a
 * well-formed UUID. May answer synchronously.
 */
export type TenantGate = (actor: Actor, tenantId: string) => void | Promise<void>

/** Answers one question: may this actor do `permission` in this tenant? Only asked for what the actor's scopes allow. */
export type Authorizer = (actor: Actor, permission: string, tenantId: string | null) => boolean | Promise<boolean>

/** The request as far as a gate may look at it. */
export interface GateCall {
  readonly route: Route
  /** Client address after trusted proxies. */
  readonly ip: string
  /** Anonymous in the phase `arrival`. */
  readonly actor: Actor
  /** Resolved and checked tenant; `null` in the phase `arrival`. */
  readonly tenantId: string | null
  header(name: string): string | undefined
  /**
   * Adds a header to whatever will be answered, refusals included. Given twice, the values make one list; what a
   * handler sets under the same name is replaced, Vary is added to. Not for Set-Cookie nor for what frames the answer.
   */
  addHeader(name: string, value: string): void
  /** The same, but in place of the values given before. */
  setHeader(name: string, value: string): void
  /**
   * Called exactly once when the exchange is over, at once when it is already; 499 when the caller has gone. `worked`: the
   * handler has begun; false for what was refused before it, and for an answer that an around had kept.
   */
  onEnd(listener: (status: number, worked: boolean) => void): void
}

/** Throws to refuse. Synchronous when it can, so that passing costs no promise. */
export type Gate = (call: GateCall) => void | Promise<void>

/** What an extension of a route means to its callers, in OpenAPI's words. */
export interface ExtensionDocs {
  /** Catalogue codes that callers may get from it. */
  readonly errors?: readonly string[]
  /** Parameter objects. */
  readonly parameters?: readonly Readonly<Record<string, unknown>>[]
  /** Header objects by name, for every answer of the route's own. */
  readonly headers?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Puts gates in front of routes; asked for each route at boot, and throws when the route's words make no sense. */
export interface GateSpec {
  /** `arrival`: before authentication. `admitted`: after authorization, before the body is read. */
  readonly phase: 'arrival' | 'admitted'
  for(route: Route): Gate | undefined
  describe?(route: Route): ExtensionDocs | undefined
}

/** An answer that can be kept and sent again. */
export interface RenderedAnswer {
  readonly status: number
  /** Name, value, name, value: what this answer has besides the standing headers of its route. Names in lower case. */
  readonly headers: readonly string[]
  readonly body: string | Buffer | undefined
  /** The handler has answered through `call.raw` by itself: there is nothing to keep. */
  readonly streamed?: true
}

export interface AroundCall extends GateCall {
  /** Path and query as they came. */
  readonly target: string
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
  /** SHA-256 in hex over the media type and the raw bytes of the body. */
  bodyHash(): string
  /** What the caller would get if the handler returned `value`. Throws when that does not fit the route. */
  render(value: unknown): RenderedAnswer
  readonly context: RequestContext
  /** Aborted when the caller has gone or the route's time limit has passed. */
  readonly signal: AbortSignal
}

/**
 * Stands around a handler, after validation: may answer without running it, and sees what it answered. `run`
 * never rejects: a handler's error comes as the answer that the caller would get. It is not aborted with the
 * request: what it did can be kept although nobody waits for it any more.
 */
export type Around = (call: AroundCall, run: () => Promise<RenderedAnswer>) => Promise<RenderedAnswer>

/** Asked for each route at boot. */
export interface AroundSpec {
  for(route: Route): Around | undefined
  describe?(route: Route): ExtensionDocs | undefined
}

/** Words for an OpenAPI security scheme. */
export type SecurityScheme = Readonly<Record<string, unknown>>

/** A plugin that also speaks HTTP. */
export interface Feature<Options = unknown, Needs extends Ports = Ports, Service = unknown> extends Plugin<
  Options,
  Needs,
  Service
> {
  /** Permission codes that its routes ask for. The app refuses to boot when a route asks for an undeclared one. */
  readonly permissions?: Readonly<Record<string, PermissionSpec>>
  routes?(service: Service): readonly Route[]
  /** At most one per scheme; tried in plugin order. */
  authenticator?(service: Service): {
    readonly name: string
    readonly scheme: SecurityScheme
    readonly authenticate: Authenticator
    /** The routes whose callers may come with it. Default: all. */
    readonly serves?: (route: Route) => boolean
    /** Asked about the callers of answers that last. Without it their credentials hold until they expire. */
    readonly recheck?: Recheck
  }
  /** At most one in an app. */
  tenantGate?(service: Service): TenantGate
  /** At most one in an app. */
  authorizer?(service: Service): Authorizer
  /** Asked in plugin order. */
  gates?(service: Service): readonly GateSpec[]
  /** At most one in an app. */
  around?(service: Service): AroundSpec
}

/**
 * Declares a feature; the types of `options`, `needs` and the service flow into its functions. They are
 * checked here and erased from the result, so that features of any kind fit one list.
 */
export function defineFeature<
  Options = Record<never, never>,
  const Needs extends Ports = Record<never, never>,
  Service = void,
>(feature: Feature<Options, Needs, Service>): Feature {
  return feature as unknown as Feature
}
