import { Buffer } from 'node:buffer'
import { accountsErrors } from './errors.ts'

/** RFC 5321, 4.5.3.1: a path has at most 256 octets including its brackets. */
const maxBytes = 254

/**
 * The form under which an address is unique and attempts are counted: trimmed, NFC, lower case. Idempotent.
 * NFC twice, since lower-casing can decompose (U+0130).
 */
export function normalizeEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase().normalize('NFC')
}

/** Whether a normalized text can be somebody's address. Linear in its length; knows no quoted local parts. */
export function isEmail(address: string): boolean {
  // Code units first: the cheap bound that keeps the rest cheap.
  if (address.length > maxBytes || Buffer.byteLength(address) > maxBytes || !address.isWellFormed()) return false
  const at = address.indexOf('@')
  if (at < 1 || at !== address.lastIndexOf('@')) return false
  return isLocalPart(address.slice(0, at)) && isDomain(address.slice(at + 1))
}

/** The address as given (trimmed) and normalized. Throws `user.email_invalid`. */
export function readEmail(email: string): { readonly email: string; readonly normalized: string } {
  // An absurd length is refused before any Unicode work on it.
  const normalized = email.length > 4 * maxBytes ? '' : normalizeEmail(email)
  if (!isEmail(normalized)) throw accountsErrors.error('user.email_invalid', { meta: { field: 'email' } })
  return { email: email.trim(), normalized }
}

// Control characters, white space, and what only quoting would allow.
const forbidden = /[\p{Cc}\p{Cf}\p{Z}"(),:;<>[\]\\@]/u

function isLocalPart(local: string): boolean {
  return Buffer.byteLength(local) <= 64 && !forbidden.test(local) && local.split('.').every((atom) => atom !== '')
}

function isDomain(domain: string): boolean {
  const labels = domain.split('.')
  return labels.length > 1 && labels.every(isLabel)
}

function isLabel(label: string): boolean {
  return (
    label !== '' &&
    label.length <= 63 &&
    /^[\p{L}\p{N}\p{M}-]+$/u.test(label) &&
    !label.startsWith('-') &&
    !label.endsWith('-')
  )
}
