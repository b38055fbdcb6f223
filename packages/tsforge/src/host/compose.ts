import type { AroundSpec, Authorizer, Feature, GateSpec, PermissionSpec, TenantGate } from '../http/feature.ts'
import { pageErrors } from '../http/page-errors.ts'
import { preconditionErrors } from '../http/precondition.ts'
import type { Route } from '../http/route.ts'
import type { NamedAuthenticator } from '../http/site.ts'
import type { ErrorCatalogue } from '../kernel/errors.ts'
import { repositoryErrors } from '../primitives/db/repository/index.ts'
import { hostErrors } from './errors.ts'

/** What the features of an app say to the HTTP server, gathered in plugin order. */
export interface Composition {
  readonly routes: readonly Route[]
  readonly authenticators: readonly NamedAuthenticator[]
  readonly tenantGate: TenantGate | undefined
  readonly authorizer: Authorizer | undefined
  readonly gates: readonly GateSpec[]
  readonly around: AroundSpec | undefined
  readonly permissions: Readonly<Record<string, PermissionSpec>>
  readonly catalogues: readonly ErrorCatalogue[]
}

/** The permissions that `features` declare, by their codes. */
export function permissionsOf(features: readonly Feature[]): Readonly<Record<string, PermissionSpec>> {
  return Object.assign({}, ...features.map((feature) => feature.permissions)) as Record<string, PermissionSpec>
}

/** @throws `boot.duplicate_role` when two features bring what an app can have once. */
export function compose(services: ReadonlyMap<Feature, unknown>): Composition {
  const features = [...services]
  const once = <T>(
    role: string,
    read: (feature: Feature, service: unknown) => T | undefined,
    has: (feature: Feature) => boolean,
  ): T | undefined => {
    const [first, second] = features.filter(([feature]) => has(feature))
    if (second !== undefined) {
      throw hostErrors.error('boot.duplicate_role', { meta: { role, first: first?.[0].name, second: second[0].name } })
    }
    return first === undefined ? undefined : read(...first)
  }
  return {
    routes: features.flatMap(([feature, service]) => feature.routes?.(service) ?? []),
    authenticators: features.flatMap(([feature, service]) => feature.authenticator?.(service) ?? []),
    tenantGate: once(
      'a tenant gate',
      (feature, service) => feature.tenantGate?.(service),
      (feature) => feature.tenantGate !== undefined,
    ),
    authorizer: once(
      'an authorizer',
      (feature, service) => feature.authorizer?.(service),
      (feature) => feature.authorizer !== undefined,
    ),
    gates: features.flatMap(([feature, service]) => feature.gates?.(service) ?? []),
    around: once(
      'an around of routes',
      (feature, service) => feature.around?.(service),
      (feature) => feature.around !== undefined,
    ),
    permissions: permissionsOf([...services.keys()]),
    catalogues: [
      hostErrors,
      pageErrors,
      preconditionErrors,
      repositoryErrors,
      ...features.flatMap(([feature]) => feature.errors ?? []),
    ],
  }
}
