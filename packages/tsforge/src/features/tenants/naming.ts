import { tenantsErrors } from './errors.ts'

/** Controls, line separators, bidirectional overrides, halves of a character: what hides or reorders the rest. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202A-\u202E\u2066-\u2069]/gu
const visible = /[^\p{C}\p{Z}]/u
const maxName = 100

/** 1 to 100 characters, at least one of them visible. Throws `tenant.invalid_name`. */
export function readName(raw: string): string {
  const name = raw.trim().normalize('NFC')
  const length = name.length > 2 * maxName ? maxName + 1 : [...name].length
  if (length > maxName || !visible.test(name) || name.search(unprintable) !== -1)
    throw tenantsErrors.error('tenant.invalid_name')
  return name
}

/** The name of a personal tenant, made to fit: a registration does not fail for it. */
export function personalName(userName: string): string {
  const name = [...userName.normalize('NFC').replace(unprintable, '')].slice(0, maxName).join('').trim()
  return visible.test(name) ? name : 'Personal'
}

const slugForm = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/

/** Throws `tenant.invalid_name`. */
export function readSlug(raw: string | null | undefined): string | null {
  if (raw === undefined || raw === null) return null
  if (!slugForm.test(raw)) throw tenantsErrors.error('tenant.invalid_name')
  return raw
}
