import type { Role } from './memberships.ts'

/** What is known of one user in one tenant. Strangers are known, too, so that they cost one query as well. */
export interface KnownRole {
  readonly tenantId: string
  readonly role: Role | undefined
  /** Monotonic milliseconds. */
  readonly until: number
}

/** Recently asked memberships, least recently used first out. */
export class RoleCache {
  readonly #limit: number
  readonly #roles = new Map<string, KnownRole>()
  readonly #byTenant = new Map<string, Set<string>>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#roles.size
  }

  get(key: string, now: number): KnownRole | undefined {
    const known = this.#roles.get(key)
    if (known === undefined) return undefined
    if (known.until <= now) {
      this.#delete(key, known)
      return undefined
    }
    // A Map keeps insertion order: putting the entry last marks it as the most recently used.
    this.#roles.delete(key)
    this.#roles.set(key, known)
    return known
  }

  set(key: string, known: KnownRole): void {
    if (this.#limit < 1) return
    this.#roles.set(key, known)
    const keys = this.#byTenant.get(known.tenantId)
    if (keys === undefined) this.#byTenant.set(known.tenantId, new Set([key]))
    else keys.add(key)
    if (this.#roles.size <= this.#limit) return
    for (const [oldest, entry] of this.#roles) {
      this.#delete(oldest, entry)
      break
    }
  }

  deleteTenant(tenantId: string): void {
    for (const key of this.#byTenant.get(tenantId) ?? []) this.#roles.delete(key)
    this.#byTenant.delete(tenantId)
  }

  clear(): void {
    this.#roles.clear()
    this.#byTenant.clear()
  }

  #delete(key: string, { tenantId }: KnownRole): void {
    this.#roles.delete(key)
    const keys = this.#byTenant.get(tenantId)
    keys?.delete(key)
    if (keys?.size === 0) this.#byTenant.delete(tenantId)
  }
}
