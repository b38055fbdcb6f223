import { AsyncLocalStorage } from 'node:async_hooks'
import { defineErrors } from './errors.ts'
import type { ErrorCatalogue } from './errors.ts'

/** Who is acting. `id` is stamped into `created_by`, `updated_by`, `deleted_by` and audit rows. */
export interface Actor {
  readonly kind: 'anonymous' | 'user' | 'service' | 'system'
  /** UUID of the user or service account; `null` for anonymous and system. */
  readonly id: string | null
  /** The session behind an interactive login. */
  readonly sessionId?: string
  /** Tenant named by the credential itself (token claim, API key), if any. */
  readonly tenantId?: string
  /** Upper bound on what the credential may do; absent means everything its owner may. */
  readonly scopes?: readonly string[]
  /** When the credential ends by itself, in milliseconds since the epoch; absent: not known to. */
  readonly expiresAt?: number
}

/** Whether the credential itself lets its owner do `permission`; without scopes it does, and `*` stands for all. */
export function withinScopes(actor: Actor, permission: string): boolean {
  return actor.scopes === undefined || actor.scopes.includes(permission) || actor.scopes.includes('*')
}

export const anonymous: Actor = Object.freeze({ kind: 'anonymous', id: null })
export const system: Actor = Object.freeze({ kind: 'system', id: null })

/** W3C trace context of the current unit of work. */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** What is known about the current unit of work: a request, a job, a command. */
export interface RequestContext {
  readonly requestId: string
  /** Replaced once authentication has run. */
  actor: Actor
  /** The resolved tenant; `null` means "no tenant", never "all tenants". */
  tenantId: string | null
  /** BCP 47 tag used for messages. */
  locale: string
  trace: TraceContext | undefined
  /** Aborted when the caller has gone or the time limit has passed. */
  readonly signal: AbortSignal | undefined
  /** The same object for all units of one kind (a route, a kind of job), so that none of them can take everything. */
  readonly kind?: object
  /** True after a write, so that later reads of this unit of work go to the primary. */
  wrote: boolean
}

const storage = new AsyncLocalStorage<RequestContext>()

/** The context of the running unit of work, or `undefined` outside of one. */
export function currentContext(): RequestContext | undefined {
  return storage.getStore()
}

/** Runs `fn(...args)` (and everything that it awaits) with `context` as the current one. */
export function runWithContext<T, A extends readonly unknown[]>(
  context: RequestContext,
  fn: (...args: A) => T,
  ...args: A
): T {
  return storage.run(context, fn, ...args)
}

export const contextErrors: ErrorCatalogue<'tenant.required'> = defineErrors({
  'tenant.required': {
    status: 400,
    message: { en: 'Name the tenant to work in.', id: 'Sebutkan tenant tempat bekerja.' },
    fix: 'Send X-Tenant-ID with the id of one of your tenants.',
  },
})

/** The tenant of the running unit of work. Throws `tenant.required` when it has none: never "all tenants". */
export function requireTenantId(): string {
  const tenantId = currentContext()?.tenantId
  if (tenantId === undefined || tenantId === null) throw contextErrors.error('tenant.required')
  return tenantId
}

/** A context for work that no request started: jobs, commands, tests. */
export function createContext(values: Partial<RequestContext> & { readonly requestId: string }): RequestContext {
  return {
    actor: system,
    tenantId: null,
    locale: 'en',
    trace: undefined,
    signal: undefined,
    wrote: false,
    ...values,
  }
}
