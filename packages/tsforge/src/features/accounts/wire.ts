import type { Session } from './session-repository.ts'
import type { TokenPair } from './tokens.ts'
import type { User } from './user-repository.ts'

/** A user as clients see it. Times are ISO 8601. */
export interface UserWire {
  id: string
  email: string
  name: string
  role: string
  created_at: string
  updated_at: string
}

/** A pair of tokens in the words of RFC 6749. */
export interface TokensWire {
  access_token: string
  refresh_token: string
  token_type: 'Bearer'
  expires_at: string
  refresh_expires_at: string
}

export interface SessionWire {
  id: string
  user_agent: string | null
  ip: string | null
  created_at: string
  last_used_at: string
  expires_at: string
  current: boolean
}

export function showUser(user: User): UserWire {
  return {
    id: user.id,
    email: user.email,
    name: user.name,
    role: user.role,
    created_at: user.createdAt.toISOString(),
    updated_at: user.updatedAt.toISOString(),
  }
}

export function showTokens(pair: TokenPair): TokensWire {
  return {
    access_token: pair.accessToken,
    refresh_token: pair.refreshToken,
    token_type: 'Bearer',
    expires_at: pair.expiresAt.toISOString(),
    refresh_expires_at: pair.refreshExpiresAt.toISOString(),
  }
}

export function showSession(session: Session, current: string): SessionWire {
  return {
    id: session.id,
    user_agent: session.userAgent,
    ip: session.ip,
    created_at: session.createdAt.toISOString(),
    last_used_at: session.lastUsedAt.toISOString(),
    expires_at: session.expiresAt.toISOString(),
    current: session.id === current,
  }
}
