import { createHmac } from 'node:crypto'
import { equalBytes } from '../../kernel/secret.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Secrets } from '../../kernel/secrets.ts'
import type { DriverSigner, SignedGet, SignedPost, SignedPut, SizeRange } from './driver.ts'
import { storageErrors } from './errors.ts'

export const linkPath = '/storage/objects'

/** What a link allows, all of it under the signature. */
export type Permit =
  | ({ readonly method: 'PUT' } & SignedPut)
  | ({ readonly method: 'POST' } & SignedPost)
  | ({ readonly method: 'GET' } & SignedGet)

/** Links that the app serves by itself, for stores that have none of their own. */
export interface ServedLinks extends DriverSigner {
  /** What a link with this token allows for `method`; throws `storage.link_invalid`. */
  open<M extends Permit['method']>(method: M, token: string): Extract<Permit, { readonly method: M }>
}

export interface ServedLinksParts {
  readonly secrets: Secrets
  readonly clock: Clock
  readonly origin: string
}

/** Longer than any that we make. */
const maxTokenLength = 8192

/** Tokens are base64url of JSON and of its HMAC-SHA256, under a key derived from the app's secret for this alone. */
export function createServedLinks({ secrets, clock, origin }: ServedLinksParts): ServedLinks {
  const key = secrets.derive('storage.links')
  const mac = (text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const url = `${origin}${linkPath}`
  const sign = (permit: Permit): { readonly token: string; readonly expiresAt: Date } => {
    const expiresAt = clock.now() + permit.expiresInMs
    const text = Buffer.from(JSON.stringify({ ...permit, expiresAt })).toString('base64url')
    return { token: `${text}.${mac(text).toString('base64url')}`, expiresAt: new Date(expiresAt) }
  }
  return {
    put: async (wanted) => {
      const { token, expiresAt } = sign({ method: 'PUT', ...wanted })
      const headers = { 'content-type': wanted.contentType, ...(wanted.createOnly && { 'if-none-match': '*' }) }
      return { method: 'PUT', url: `${url}?link=${token}`, headers, expiresAt }
    },
    post: async (wanted) => {
      const { token, expiresAt } = sign({ method: 'POST', ...wanted })
      const kind = wanted.contentType.endsWith('/')
      const fields = { link: token, ...(!kind && { 'Content-Type': wanted.contentType }) }
      return { method: 'POST', url, fields, expiresAt }
    },
    get: async (wanted) => `${url}?link=${sign({ method: 'GET', ...wanted }).token}`,
    open: (method, token) => {
      const dot = token.indexOf('.')
      if (dot <= 0 || token.length > maxTokenLength) throw storageErrors.error('storage.link_invalid')
      const text = token.slice(0, dot)
      const given = Buffer.from(token.slice(dot + 1), 'base64url')
      const expected = mac(text)
      if (!equalBytes(expected, given)) throw storageErrors.error('storage.link_invalid')
      const permit = JSON.parse(Buffer.from(text, 'base64url').toString()) as Permit & { readonly expiresAt: number }
      if (permit.method !== method || permit.expiresAt <= clock.now()) throw storageErrors.error('storage.link_invalid')
      return permit as never
    },
  }
}

/** Throws unless so many bytes are allowed. */
export function checkSize(size: number | SizeRange, actual: number): void {
  const { min, max } = typeof size === 'number' ? { min: size, max: size } : size
  if (actual > max) throw storageErrors.error('storage.body_too_large', { meta: { limit: max } })
  if (actual < min) throw storageErrors.error('storage.upload_refused', { meta: { reason: 'size' } })
}
