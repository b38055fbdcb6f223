import { createHmac } from 'node:crypto'
import { connections } from './load.ts'
import { personId } from './database.ts'

export const secret = 'bench-0123456789abcdef0123456789abcdef'

/** HS256 tokens for the rivals, one for each connection. */
export function rivalTokens(): string[] {
  return Array.from({ length: connections }, (_, index) => sign(personId(index)))
}

export function sign(sub: string, key: string = secret): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, iss: 'bench', aud: 'bench', iat: now, exp: now + 86_400 })}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}
