import { hash } from 'node:crypto'
import { randomToken } from '../../kernel/ids.ts'
import type { TokenType } from '../../primitives/keys/index.ts'
import type { Parts } from './parts.ts'

/** `typ` of access tokens (RFC 9068). */
export const accessType: TokenType = 'at+jwt'

const refreshShape = /^rt_[A-Za-z0-9_-]{43}$/

/** An access token and the refresh token that brings the next pair. */
export interface TokenPair {
  readonly accessToken: string
  readonly expiresAt: Date
  /** `rt_` and 256 random bits. Works once. */
  readonly refreshToken: string
  readonly refreshExpiresAt: Date
}

export interface PairValues {
  readonly userId: string
  readonly sessionId: string
  /** Tenant that the token names, if any. */
  readonly tenantId: string | null
  readonly now: Date
  /** Also when the session ends unless it is used: the access token does not outlive it. */
  readonly refreshExpiresAt: Date
}

/** Makes a pair. Nothing is stored. */
export async function issuePair({ keys, options }: Parts, values: PairValues): Promise<TokenPair> {
  const now = values.now.getTime()
  // Whole seconds, as JWT counts.
  const lifeMs = Math.min(options.accessTtlMs, values.refreshExpiresAt.getTime() - now)
  const ttlMs = Math.max(1_000, Math.floor(lifeMs / 1_000) * 1_000)
  const claims = {
    sub: values.userId,
    sid: values.sessionId,
    ...(values.tenantId !== null && { tid: values.tenantId }),
  }
  return {
    accessToken: await keys.sign(claims, { type: accessType, ttlMs }),
    expiresAt: new Date(Math.floor(now / 1_000) * 1_000 + ttlMs),
    refreshToken: `rt_${randomToken(32)}`,
    refreshExpiresAt: values.refreshExpiresAt,
  }
}

/** Whether the text can be a refresh token at all. */
export function isRefreshToken(text: string): boolean {
  return refreshShape.test(text)
}

/** What is stored of a refresh token: 256 random bits need neither salt nor stretching. */
export function hashRefreshToken(token: string): string {
  return hash('sha256', token, 'base64url')
}

export function packPair(pair: TokenPair): string {
  return JSON.stringify([
    pair.accessToken,
    pair.expiresAt.getTime(),
    pair.refreshToken,
    pair.refreshExpiresAt.getTime(),
  ])
}

export function unpackPair(text: string): TokenPair {
  const [accessToken, expiresAt, refreshToken, refreshExpiresAt] = JSON.parse(text) as [string, number, string, number]
  return { accessToken, expiresAt: new Date(expiresAt), refreshToken, refreshExpiresAt: new Date(refreshExpiresAt) }
}
