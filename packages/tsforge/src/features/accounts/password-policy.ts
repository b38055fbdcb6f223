import { Buffer } from 'node:buffer'
import { isCommonPassword } from './known-passwords.ts'
import { accountsErrors } from './errors.ts'

export const minPasswordCharacters = 8
export const maxPasswordBytes = 1024

/** Whose password it is to be. */
export interface PasswordOwner {
  /** Normalized. */
  readonly email: string
  readonly name: string
}

/** Whether hashing this text is worth its cost; asked before every hash. */
export function fitsHashing(password: string): boolean {
  return password.length <= maxPasswordBytes && Buffer.byteLength(password) <= maxPasswordBytes
}

/**
 * Refuses a new password that is too short, too long, one of the most common, or the owner's own name or address.
 * No composition rules, nothing cut or folded (ASVS 5.0, 6.2.1 to 6.2.9). Throws `user.password_…`.
 */
export function refuseWeakPassword(password: string, owner: PasswordOwner): void {
  if (!fitsHashing(password)) {
    throw accountsErrors.error('user.password_too_long', { meta: { field: 'password', max: maxPasswordBytes } })
  }
  // A lone surrogate has no UTF-8 form: it would be hashed as another text.
  if ([...password].length < minPasswordCharacters || !password.isWellFormed()) {
    throw accountsErrors.error('user.password_too_short', { meta: { field: 'password', min: minPasswordCharacters } })
  }
  if (isCommonPassword(password) || new Set(password).size === 1) {
    throw accountsErrors.error('user.password_too_common', { meta: { field: 'password' } })
  }
  const folded = password.trim().normalize('NFC').toLowerCase()
  if ([owner.email, owner.email.slice(0, owner.email.indexOf('@')), owner.name.toLowerCase()].includes(folded)) {
    throw accountsErrors.error('user.password_personal', { meta: { field: 'password' } })
  }
}
