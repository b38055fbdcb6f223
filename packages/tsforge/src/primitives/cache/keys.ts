import { requireTenantId } from '../../kernel/context.ts'
import { cacheErrors } from './errors.ts'

const longest = 512

/** Why `text` cannot be a key or a tag, or undefined. */
function fault(text: unknown): string | undefined {
  if (typeof text !== 'string' || text === '') return 'empty'
  // No character takes more than 3 bytes for each unit of its UTF-16.
  if (text.length > longest / 3 && Buffer.byteLength(text) > longest) return 'too long'
  // Half a surrogate pair would become the same bytes as every other half.
  if (!text.isWellFormed()) return 'not well-formed'
  // eslint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f]/.test(text) ? 'control character' : undefined
}

/** Throws `cache.key_invalid` for a key or tag that is empty, longer than 512 bytes, or holds control characters. */
export function checkKey(key: string): void {
  const reason = fault(key)
  if (reason !== undefined) throw cacheErrors.error('cache.key_invalid', { meta: { reason } })
}

export function checkKeys(keys: readonly string[]): void {
  for (const key of keys) checkKey(key)
}

/** Throws `cache.key_invalid` unless it is 1 to 64 letters, digits, `.`, `_` and `-`. */
export function checkNamespace(name: string): void {
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(name))
    throw cacheErrors.error('cache.key_invalid', { meta: { reason: 'namespace' } })
}

/** Where the entries of a namespace lie: those that all tenants share, or those of the current tenant. */
export function prefixOf(namespace: string, tenantId: string = ''): string {
  return `${namespace}:${encodeURIComponent(tenantId)}:`
}

/** The prefix of the tenant at work. Throws `tenant.required` without one. */
export function tenantPrefix(namespace: string): string {
  return prefixOf(namespace, requireTenantId())
}
