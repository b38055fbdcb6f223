import { randomUUID } from 'node:crypto'
import type { Product, Reply } from './product.ts'

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
}
export interface Welcome {
  readonly user: { readonly id: string; readonly email: string }
  readonly tokens: Tokens
}

/** The weakest that is accepted outside of tests: the tests are about other things than Argon2. */
export const cheapHashes = {
  FORGE_ACCOUNTS_HASH_MEMORY: '19mb',
  FORGE_ACCOUNTS_HASH_PASSES: '2',
  FORGE_ACCOUNTS_HASH_LANES: '1',
}

export const password = 'a long enough pass phrase 9'

export function someone(): string {
  return `${randomUUID()}@example.com`
}

export function register(product: Pick<Product, 'ask'>, email: string = someone()): Promise<Reply<Welcome>> {
  return product.ask<Welcome>('POST', '/api/v1/auth/register', { body: { email, password, name: 'Ada' } })
}

export function login(product: Pick<Product, 'ask'>, email: string): Promise<Reply<Welcome>> {
  return product.ask<Welcome>('POST', '/api/v1/auth/login', { body: { email, password } })
}

export function refresh(product: Pick<Product, 'ask'>, token: string): Promise<Reply<Tokens>> {
  return product.ask<Tokens>('POST', '/api/v1/auth/refresh', { body: { refresh_token: token } })
}
