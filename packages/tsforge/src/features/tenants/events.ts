import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { Role } from './memberships.ts'

export interface TenantEvent {
  readonly tenantId: string
}

/** `role` is `null` when the user is no member any more. */
export interface MemberEvent extends TenantEvent {
  readonly userId: string
  readonly role: Role | null
}

/** Published after the commit. */
export const tenantCreated: Channel<unknown, TenantEvent> = channel('tenant.created') as Channel<unknown, TenantEvent>
export const tenantUpdated: Channel<unknown, TenantEvent> = channel('tenant.updated') as Channel<unknown, TenantEvent>
export const tenantDeleted: Channel<unknown, TenantEvent> = channel('tenant.deleted') as Channel<unknown, TenantEvent>
export const memberChanged: Channel<unknown, MemberEvent> = channel('tenant.member.changed') as Channel<
  unknown,
  MemberEvent
>
