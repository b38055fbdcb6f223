import type { Actor } from '../../kernel/context.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'

/**
 * The one place that is asked "may this actor do that here?". The standard answer: owners everything, members
 * what is declared `grantedTo: 'member'`, nobody anything without a tenant, and never more than the
 * credential's scopes.
 */
export interface Access {
  can(actor: Actor, permission: string, tenantId: string | null): boolean | Promise<boolean>
}

export const accessPort: Port<Access> = port<Access>('access', () => import('./plugin.ts').then((m) => m.access()))
