import { hash } from 'node:crypto'
import { weakness } from '../../kernel/secret.ts'
import { idempotencyErrors } from './errors.ts'

const visible = /^[\x21-\x7e]{1,255}$/
/** A quoted string of RFC 9651 (section 3.3.3): printable ASCII, `"` and `\` escaped. */
const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/

/**
 * The key that an `Idempotency-Key` header names: 1 to 255 visible ASCII characters, bare or as the quoted string of
 * draft-ietf-httpapi-idempotency-key-header. Both forms of one key are the same key. Throws
 * `idempotency.key_malformed`, also when the header came twice.
 */
export function parseKey(header: string): string {
  const text = header.trim()
  const inside = quoted.exec(text)?.[1]
  const key = inside === undefined ? text : inside.replaceAll(/\\(["\\])/g, '$1')
  if ((inside === undefined && text.startsWith('"')) || !visible.test(key))
    throw idempotencyErrors.error('idempotency.key_malformed')
  return key
}

/** Shorter keys can be tried out. A UUID has 36 characters, 22 in base64url. */
const minAnonymousLength = 20

/** Throws `idempotency.key_guessable` unless `key` looks random enough to be the only proof of who asks. */
export function checkUnguessable(key: string): void {
  if (weakness(key, minAnonymousLength) !== undefined) throw idempotencyErrors.error('idempotency.key_guessable')
}

/** SHA-256 over the parts, base64url (43 characters). JSON keeps the parts apart. */
export function digest(...parts: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url')
}
