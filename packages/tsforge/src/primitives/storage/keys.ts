import { isUuid } from '../../kernel/ids.ts'
import { storageErrors } from './errors.ts'

/** S3's own limit. */
const maxKeyBytes = 1024
/** What file systems take for a name. */
const maxPartBytes = 255
// Control characters, those that turn text around or are not seen, and slashes of other kinds, which look like ours.
const strange =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\\\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2044\u2060-\u206f\u2215\u29f8\u29f9\ufe68\ufeff\uff0e\uff0f\uff3c\ufffe\uffff]/

/**
 * Throws `storage.key_invalid` unless all drivers can keep `key`: parts of 1 to 255 bytes of UTF-8 parted by single
 * slashes, at most 1,024 bytes in all, in normal form C, without `.` and `..`, backslashes, control and invisible
 * characters and whatever resembles a slash. Percent signs are refused where they would decode to any of these.
 */
export function checkKey(key: string): string {
  const reason = faultOf(key, false)
  if (reason !== undefined) throw storageErrors.error('storage.key_invalid', { meta: { reason } })
  return key
}

/** The same for the beginning of keys, which may be empty and end anywhere. */
export function checkPrefix(prefix: string): string {
  const reason = prefix === '' ? undefined : faultOf(prefix, true)
  if (reason !== undefined) throw storageErrors.error('storage.key_invalid', { meta: { reason } })
  return prefix
}

function faultOf(key: unknown, open: boolean): string | undefined {
  if (typeof key !== 'string' || key === '') return 'empty'
  if (key.length > maxKeyBytes || Buffer.byteLength(key) > maxKeyBytes) return 'too long'
  if (!key.isWellFormed()) return 'malformed text'
  if (key.normalize('NFC') !== key) return 'not in normal form C'
  if (strange.test(key)) return 'character not allowed'
  if (key.includes('%') && strangeWhenDecoded(key)) return 'encoded path'
  const parts = key.split('/')
  const last = parts.length - 1
  for (const [at, part] of parts.entries()) {
    if (part === '' && !(open && at === last && at > 0)) return 'empty part'
    if (part === '.' || part === '..') return 'relative part'
    if (Buffer.byteLength(part) > maxPartBytes) return 'part too long'
  }
  return undefined
}

/** Whoever decodes such a key once or twice more than we do would see another path. */
function strangeWhenDecoded(key: string): boolean {
  // `%25` again and again is a percent sign for somebody. C0 and C1 begin overlong forms of ASCII.
  return /%(?:25)*(?:2e|2f|5c|[01][0-9a-f]|7f|c0|c1)/i.test(key)
}

/** `tenants/<id>/`: where the objects of a tenant lie. */
export function tenantPrefix(tenantId: string): string {
  if (!isUuid(tenantId)) throw storageErrors.error('storage.key_invalid', { meta: { reason: 'tenant' } })
  return `tenants/${tenantId.toLowerCase()}/`
}
