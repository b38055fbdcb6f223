import { withinScopes } from '../kernel/context.ts'
import type { Actor, RequestContext } from '../kernel/context.ts'
import { httpErrors } from './errors.ts'
import type { Site } from './site.ts'
import type { Standing } from './standing.ts'

/** Holds nothing of the request, so that it can be kept for as long as the caller stays. */
export class CallStanding implements Standing {
  readonly actor: Actor
  readonly tenantId: string | null
  readonly #site: Site

  constructor(site: Site, { actor, tenantId }: Pick<RequestContext, 'actor' | 'tenantId'>) {
    this.#site = site
    this.actor = actor
    this.tenantId = tenantId
  }

  check(): void | Promise<void> {
    const { expiresAt } = this.actor
    if (expiresAt !== undefined && expiresAt <= this.#site.clock.now()) throw httpErrors.error('access.unauthenticated')
    return this.#ask(0)
  }

  can(permission: string): boolean | Promise<boolean> {
    const { actor, tenantId } = this
    const { authorizer } = this.#site
    if (authorizer === undefined || !withinScopes(actor, permission)) return false
    const allowed = authorizer(actor, permission, tenantId)
    // Anything but `true` is a no, also when an authorizer written in JavaScript forgets to answer.
    return typeof allowed === 'object' ? allowed.then((answer) => answer === true) : allowed === true
  }

  #ask(first: number): void | Promise<void> {
    const { actor, tenantId } = this
    const { authenticators, tenantGate } = this.#site
    for (let at = first; at < authenticators.length; at++) {
      const pending = authenticators[at]!.recheck?.(actor)
      if (pending !== undefined) return pending.then(() => this.#ask(at + 1))
    }
    return tenantId === null ? undefined : tenantGate?.(actor, tenantId)
  }
}
