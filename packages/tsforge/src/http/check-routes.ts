import { paramNames } from './compiled-route.ts'
import { jsonSchemaOf } from './json-schema.ts'
import type { JsonSchema } from './json-schema.ts'
import { errorSpecs } from './openapi/errors.ts'
import { idempotencyOf } from './route.ts'
import type { IdempotencyMode, Route } from './route.ts'
import type { HttpSettings } from './site.ts'

/** Where a key has no effect. */
const keyless: ReadonlySet<IdempotencyMode> = new Set(['refused', 'ignored'])
const permission = /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$/

/** Refuses to start with routes that would fail, clash or stand open; names all faults at once. */
export function checkRoutes(settings: HttpSettings, routes: readonly Route[]): void {
  const { specs, clashes } = errorSpecs(settings.catalogues)
  const faults = clashes.map((code) => `the error code "${code}" means different things in two catalogues`)
  const ids = new Map<string, string>()
  const places = new Set<string>()
  for (const route of routes) {
    const place = `${route.method} ${route.url}`
    const fault = (text: string): unknown => faults.push(`${place}: ${text}`)
    // Names of parameters do not tell addresses apart.
    const key = `${route.method} ${route.url.replace(/:[A-Za-z0-9_]+/g, ':')}`
    if (places.has(key)) fault('another route has the same method and address')
    places.add(key)
    const twin = ids.get(route.id)
    if (twin !== undefined) fault(`its id "${route.id}" is taken by ${twin}`)
    ids.set(route.id, place)
    if (!/^[a-z][A-Za-z0-9]*$/.test(route.id)) fault(`its id "${route.id}" is not camelCase`)
    if (!route.url.startsWith('/') || (route.url.length > 1 && route.url.endsWith('/')))
      fault('an address starts with / and does not end with it')
    if (route.method === 'GET' && route.body !== undefined) fault('a GET route takes no body')
    if (route.method === 'GET' && route.precondition !== undefined) fault('If-Match is for writes, not for GET')
    if (route.method === 'GET' && route.idempotency !== undefined && route.idempotency !== 'refused')
      fault('an Idempotency-Key is for writes, not for GET')
    if (route.bodyStream === true && (route.body !== undefined || !keyless.has(idempotencyOf(route))))
      fault('a body that only its handler reads has no schema, and refuses or ignores an Idempotency-Key')
    if (route.cost !== undefined && !(Number.isSafeInteger(route.cost) && route.cost > 0))
      fault('its cost is no whole number from 1')
    if (route.etag === 'version' && !hasVersion(route)) fault('its ETag is the version, which its data does not have')
    checkAccess(settings, route, fault)
    checkParams(route, fault)
    for (const code of route.errors ?? []) if (!specs.has(code)) fault(`its error code "${code}" is in no catalogue`)
  }
  if (faults.length > 0)
    throw new Error(`the routes cannot be served:\n${faults.map((text) => `- ${text}`).join('\n')}`)
}

function hasVersion({ data }: Route): boolean {
  if (data === null) return false
  const schema = jsonSchemaOf(data, 'output')
  const properties = schema['properties'] as Readonly<Record<string, JsonSchema>> | undefined
  const required = schema['required'] as readonly string[] | undefined
  return properties?.['version']?.['type'] === 'integer' && required?.includes('version') === true
}

function checkAccess(settings: HttpSettings, route: Route, fault: (text: string) => unknown): void {
  const access: string | undefined = route.access
  if (access === undefined) return void fault('declares no access; say public, authenticated or a permission')
  const authenticators = settings.authenticators ?? []
  if (access !== 'public' && authenticators.length === 0)
    fault(`needs access "${access}", but no feature authenticates callers`)
  if (access === 'public' || access === 'authenticated') return
  if (!permission.test(access))
    return void fault(`its access "${access}" is neither public, authenticated nor a permission such as notes.write`)
  if (!Object.hasOwn(settings.permissions ?? {}, access))
    fault(`asks for the permission "${access}", which no feature declares`)
  if (settings.authorizer === undefined)
    fault(`asks for the permission "${access}", but no feature decides permissions`)
}

function checkParams(route: Route, fault: (text: string) => unknown): void {
  const properties = (route.params as { readonly properties?: object } | undefined)?.properties
  if (properties === undefined) return
  const inUrl = paramNames(route.url)
  for (const name of Object.keys(properties))
    if (!inUrl.includes(name)) fault(`its params declare "${name}", which the address does not have`)
  for (const name of inUrl)
    if (!Object.hasOwn(properties, name)) fault(`its address has ":${name}", which its params do not declare`)
}
