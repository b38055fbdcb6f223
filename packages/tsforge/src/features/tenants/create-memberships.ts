import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { isUuid } from '../../kernel/ids.ts'
import { afterCommit } from '../../primitives/db/index.ts'
import type { Db, Queryable } from '../../primitives/db/index.ts'
import type { Memberships, Role } from './memberships.ts'
import type { MembershipsOptions } from './options.ts'
import { RoleCache } from './role-cache.ts'
import { selectRole } from './tenants-repository.ts'

export interface MembershipsParts {
  readonly db: Db
  readonly options: MembershipsOptions
  readonly clock: Clock
  readonly log: Log
}

/** The service with what only its plugin needs. */
export interface RunningMemberships extends Memberships {
  start(): Promise<void>
  stop(): Promise<void>
}

const channel = 'forge_tenants'

export function createMemberships(parts: MembershipsParts): RunningMemberships {
  return new CachedMemberships(parts)
}

class CachedMemberships implements RunningMemberships {
  readonly #db: Db
  readonly #clock: Clock
  readonly #log: Log
  readonly #ttlMs: number
  readonly #cache: RoleCache
  /** Questions under way. Emptied with the cache, so that nobody joins one that was asked before a change. */
  readonly #asking = new Map<string, Promise<Role | undefined>>()
  /** Grows with every change: an answer that was asked for before it is not kept. */
  #epoch = 0
  #unlisten: (() => Promise<void>) | undefined
  #stopped = false

  constructor({ db, options, clock, log }: MembershipsParts) {
    this.#db = db
    this.#clock = clock
    this.#log = log
    this.#ttlMs = options.cacheTtlMs
    this.#cache = new RoleCache(options.cacheEntries)
  }

  async start(): Promise<void> {
    // Without LISTEN (behind some poolers, or while it fails) the short time to live is what keeps the promise.
    if (!this.#db.capabilities.listen) return
    this.#stopped = false
    this.#unlisten = await this.#db
      .listen(
        channel,
        (tenantId) => this.#forget(tenantId),
        () => this.#forget(),
      )
      .catch((error: unknown) => {
        this.#log.warn({ err: error }, 'memberships are believed for their time to live: LISTEN failed')
        return undefined
      })
    // A stop that did not wait for us has found nothing to take back.
    if (this.#stopped) await this.#unlisten?.()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#unlisten?.()
  }

  roleOf(userId: string, tenantId: string): Role | undefined | Promise<Role | undefined> {
    if (!isUuid(userId) || !isUuid(tenantId)) return undefined
    const key = `${userId}${tenantId}`.toLowerCase()
    const now = this.#clock.monotonic()
    const known = this.#cache.get(key, now)
    if (known !== undefined) return known.role
    const asked = this.#asking.get(key)
    if (asked !== undefined) return asked
    const asking = this.#ask(key, userId, tenantId.toLowerCase(), now).finally(() => {
      if (this.#asking.get(key) === asking) this.#asking.delete(key)
    })
    this.#asking.set(key, asking)
    return asking
  }

  async #ask(key: string, userId: string, tenantId: string, now: number): Promise<Role | undefined> {
    const epoch = this.#epoch
    const role = await selectRole(this.#db, userId, tenantId)
    // Counted from before the question, since that is how old the answer may be.
    if (epoch === this.#epoch && this.#ttlMs > 0) this.#cache.set(key, { tenantId, role, until: now + this.#ttlMs })
    return role
  }

  async changed(tenantId: string, tx: Queryable): Promise<void> {
    await this.#db.notify(channel, tenantId.toLowerCase(), tx)
    // This replica does not wait for its own notification.
    afterCommit(tx, () => this.#forget(tenantId.toLowerCase()))
  }

  #forget(tenantId?: string): void {
    this.#epoch++
    this.#asking.clear()
    if (tenantId === undefined) this.#cache.clear()
    else this.#cache.deleteTenant(tenantId)
  }
}
