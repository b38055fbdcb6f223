import type { Actor } from '../kernel/context.ts'
import type { PermissionSpec, Plugin, Ports } from '../kernel/plugin.ts'
import type { Route } from './route.ts'

export type { PermissionSpec } from '../kernel/plugin.ts'

/** The request as far as an authenticator may look at it. */
export interface Credentials {
  /** Scheme in lower case and the rest of `Authorization`; `undefined` when the header is absent. */
  readonly authorization: { readonly scheme: string; readonly value: string } | undefined
  header(name: string): string | undefined
}

/**
 * Turns credentials into an actor. `undefined` means "not mine, ask the next"; bad credentials of its own
 * kind throw a 401. May answer synchronously, so that the hot path costs no promise.
 */
export type Authenticator = (credentials: Credentials) => Actor | undefined | Promise<Actor | undefined>

/**
 * Decides whether the actor may work in the tenant it names. Throws 403 for non-members. Only called with a
 * well-formed UUID. May answer synchronously.
 */
export type TenantGate = (actor: Actor, tenantId: string) => void | Promise<void>

/** Answers one question: may this actor do `permission` in this tenant? Only asked for what the actor's scopes allow. */
export type Authorizer = (actor: Actor, permission: string, tenantId: string | null) => boolean | Promise<boolean>

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
  }
  /** At most one in an app. */
  tenantGate?(service: Service): TenantGate
  /** At most one in an app. */
  authorizer?(service: Service): Authorizer
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
