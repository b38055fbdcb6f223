import { BoundedMap } from '../../kernel/bounded-map.ts'
import type { Role } from './memberships.ts'

/** What is known of one user in one tenant. Strangers are known, too, so that they cost one query as well. */
export interface KnownRole {
  readonly tenantId: string
  readonly role: Role | undefined
  /** Monotonic milliseconds. */
  readonly until: number
}

/** Memberships that were asked for lately, and which of them belong to a tenant. */
export class RoleCache {
  readonly #roles: BoundedMap<KnownRole>
  readonly #tenants = new Map<string, Set<string>>()

  constructor(entries: number) {
    this.#roles = new BoundedMap({ entries, onRemove: (key, known) => this.#unlink(key, known) })
  }

  get size(): number {
    return this.#roles.size
  }

  get(key: string, now: number): KnownRole | undefined {
    const known = this.#roles.get(key)
    return known === undefined || known.until <= now ? undefined : known
  }

  set(key: string, known: KnownRole): void {
    if (!this.#roles.set(key, known)) return
    const keys = this.#tenants.get(known.tenantId)
    if (keys === undefined) this.#tenants.set(known.tenantId, new Set([key]))
    else keys.add(key)
  }

  deleteTenant(tenantId: string): void {
    for (const key of [...(this.#tenants.get(tenantId) ?? [])]) this.#roles.delete(key)
  }

  clear(): void {
    this.#roles.clear()
  }

  #unlink(key: string, { tenantId }: KnownRole): void {
    const keys = this.#tenants.get(tenantId)
    keys?.delete(key)
    if (keys?.size === 0) this.#tenants.delete(tenantId)
  }
}
