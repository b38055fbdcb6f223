import type { Actor } from '../kernel/context.ts'

/** Why a caller was let in. Outlives the request, for answers that last longer than what they rest on. */
export interface Standing {
  readonly actor: Actor
  readonly tenantId: string | null
  /**
   * Throws what the caller would get now: 401 when the credential has expired or was revoked, 403 when the actor does not
   * belong to the tenant any more, 503 when that cannot be known. Without a promise wherever memory knows the answer.
   */
  check(): void | Promise<void>
  /** Whether the actor may do `permission` in the tenant; never more than the credential's scopes. */
  can(permission: string): boolean | Promise<boolean>
}
