import { anonymous, contextErrors, withinScopes } from '../kernel/context.ts'
import type { Actor } from '../kernel/context.ts'
import type { ForgeError } from '../kernel/errors.ts'
import { isUuid } from '../kernel/ids.ts'
import { httpErrors } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { Credentials } from './feature.ts'
import { malformedQuery } from './query.ts'
import type { Query } from './query.ts'

/** The headers as an authenticator may see them. */
class RequestCredentials implements Credentials {
  readonly authorization: Credentials['authorization']
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    const header = exchange.req.headers.authorization
    if (header === undefined) this.authorization = undefined
    else {
      const space = header.indexOf(' ')
      this.authorization =
        space === -1
          ? { scheme: header.toLowerCase(), value: '' }
          : { scheme: header.slice(0, space).toLowerCase(), value: header.slice(space + 1).trim() }
    }
  }

  header(name: string): string | undefined {
    const value = this.#exchange.req.headers[name.toLowerCase()]
    return Array.isArray(value) ? value.join(', ') : value
  }

  query(name: string): string | undefined {
    const values = this.#exchange.request.query as Query
    const value = values === malformedQuery ? undefined : values[name]
    return typeof value === 'string' ? value : undefined
  }
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null | undefined)?.then === 'function'
}

/**
 * Lets the request in, or throws 401, 400 or 403, in this order: who is it, where does it work, may it. Each
 * step answers at once when its part does, so that a cached token and a known member cost no promise.
 */
export function guard(exchange: Exchange): void | Promise<void> {
  const actor = exchange.route.access === 'public' ? anonymous : authenticate(exchange)
  return isPromise(actor) ? actor.then((known) => enter(exchange, known)) : enter(exchange, actor)
}

function authenticate(exchange: Exchange): Actor | Promise<Actor> {
  const { authenticators } = exchange.route
  const credentials = new RequestCredentials(exchange)
  for (let at = 0; at < authenticators.length; at++) {
    const found = authenticators[at]!(credentials)
    if (isPromise(found)) return continueWith(exchange, credentials, found, at + 1)
    if (found !== undefined) return signedIn(found)
  }
  throw httpErrors.error('access.unauthenticated')
}

async function continueWith(
  exchange: Exchange,
  credentials: Credentials,
  pending: PromiseLike<Actor | undefined>,
  next: number,
): Promise<Actor> {
  let found = await pending
  for (let at = next; found === undefined && at < exchange.route.authenticators.length; at++) {
    found = await exchange.route.authenticators[at]!(credentials)
  }
  if (found === undefined) throw httpErrors.error('access.unauthenticated')
  return signedIn(found)
}

function signedIn(actor: Actor): Actor {
  if (actor.kind === 'anonymous') throw httpErrors.error('access.unauthenticated')
  return actor
}

function enter(exchange: Exchange, actor: Actor): void | Promise<void> {
  exchange.unit.actor = actor
  const tenantId = namedTenant(exchange, actor)
  if (tenantId === null) {
    if (exchange.route.tenant === 'required') throw contextErrors.error('tenant.required')
    return authorize(exchange)
  }
  const { tenantGate } = exchange.site
  if (tenantGate === undefined) {
    // Nobody knows members, so only the credential's own word counts.
    if (tenantId !== actor.tenantId?.toLowerCase()) throw httpErrors.error('access.denied')
    return admit(exchange, tenantId)
  }
  const checked = tenantGate(actor, tenantId)
  return isPromise(checked) ? checked.then(() => admit(exchange, tenantId)) : admit(exchange, tenantId)
}

/** X-Tenant-ID when given (malformed is 400, never ignored), else the credential's own tenant. */
function namedTenant(exchange: Exchange, actor: Actor): string | null {
  if (exchange.route.tenant === 'none') return null
  const header = exchange.req.headers['x-tenant-id']
  if (header !== undefined) {
    if (typeof header !== 'string' || !isUuid(header)) throw httpErrors.error('tenant.invalid')
    return header.toLowerCase()
  }
  if (actor.tenantId === undefined) return null
  if (!isUuid(actor.tenantId)) throw httpErrors.error('access.unauthenticated')
  return actor.tenantId.toLowerCase()
}

function admit(exchange: Exchange, tenantId: string): void | Promise<void> {
  exchange.unit.tenantId = tenantId
  return authorize(exchange)
}

function authorize(exchange: Exchange): void | Promise<void> {
  const { access } = exchange.route
  if (access === 'public' || access === 'authenticated') return
  const { actor, tenantId } = exchange.unit
  // Asked here, so that no authorizer can forget it.
  if (!withinScopes(actor, access)) throw denied(access)
  const allowed = exchange.site.authorizer!(actor, access, tenantId)
  if (isPromise(allowed)) return allowed.then((answer) => decide(answer, access))
  decide(allowed, access)
}

function decide(allowed: boolean, permission: string): void {
  // Anything but `true` is a no, also when an authorizer written in JavaScript forgets to answer.
  if (allowed !== true) throw denied(permission)
}

function denied(permission: string): ForgeError {
  return httpErrors.error('access.denied', { meta: { permission } })
}
