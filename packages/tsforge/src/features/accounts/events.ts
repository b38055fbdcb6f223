import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** A user exists. Published after the commit, like everything here. */
export interface UserRegistered {
  readonly userId: string
  readonly tenantId: string
  readonly sessionId: string
}

export interface UserLoggedIn {
  readonly userId: string
  readonly sessionId: string
  readonly ip: string | null
  readonly userAgent: string | null
  /** False at the first success of this user from this network (ASVS 6.3.5). */
  readonly knownNetwork: boolean
}

export type RevocationReason =
  | 'logout'
  | 'revoked'
  | 'password_changed'
  | 'token_reused'
  | 'user_disabled'
  | 'too_many_sessions'

/** One for each session that ended before its time. */
export interface SessionRevoked {
  readonly userId: string
  readonly sessionId: string
  readonly reason: RevocationReason
}

export interface UserPasswordChanged {
  readonly userId: string
}

/** A refresh token came back after its successor had taken over: one of the two holders is a thief. */
export interface RefreshReused {
  readonly userId: string
  readonly sessionId: string
  readonly ip: string | null
}

export const userRegistered: Channel<unknown, UserRegistered> = channel('user.registered') as Channel<
  unknown,
  UserRegistered
>
export const userLoggedIn: Channel<unknown, UserLoggedIn> = channel('user.logged_in') as Channel<unknown, UserLoggedIn>
export const sessionRevoked: Channel<unknown, SessionRevoked> = channel('session.revoked') as Channel<
  unknown,
  SessionRevoked
>
export const userPasswordChanged: Channel<unknown, UserPasswordChanged> = channel('user.password_changed') as Channel<
  unknown,
  UserPasswordChanged
>
export const refreshReused: Channel<unknown, RefreshReused> = channel('refresh.reused') as Channel<
  unknown,
  RefreshReused
>
