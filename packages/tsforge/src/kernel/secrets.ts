import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { BoundedMap } from './bounded-map.ts'
import { defineErrors } from './errors.ts'
import type { ErrorCatalogue } from './errors.ts'
import type { Secret } from './secret.ts'

/** Keys derived from the app's secret, one per purpose, and sealing with them. */
export interface Secrets {
  /** 32 bytes for `purpose` (HKDF-SHA256, RFC 5869). The same for the life of the secret. */
  derive(purpose: string): Buffer
  /** Encrypts (AES-256-GCM) under the purpose's key, bound to `context`. */
  seal(purpose: string, plaintext: string | Uint8Array, context?: string): string
  /** Decrypts what `seal` made, also under previous secrets. Throws when it was altered or sealed for another context. */
  open(purpose: string, sealed: string, context?: string): Buffer
}

export interface SecretsSettings {
  /** At least 16 characters; new things are sealed under it. */
  readonly current: Secret | string
  /** Earlier secrets, newest first: only for opening what was sealed under them. */
  readonly previous?: readonly (Secret | string)[]
}

export const secretsErrors: ErrorCatalogue<'secrets.unreadable'> = defineErrors({
  'secrets.unreadable': {
    status: 500,
    message: {
      en: 'A sealed value cannot be opened: it was altered, belongs elsewhere or its secret is gone.',
      id: 'Nilai tersegel tidak dapat dibuka: telah diubah, milik tempat lain, atau rahasianya sudah tidak ada.',
    },
    fix: 'List the secret it was sealed under among the previous secrets.',
  },
})

const version = 1
const nonceBytes = 12
const tagBytes = 16
/** Purposes are constants of the code; the bound only protects against a caller that makes them up. */
const maxCachedKeys = 256

/**
 * Keys from the app's secret. A sealed value is base64url of version (1 byte), nonce (12, random), ciphertext and
 * tag (16); version and context are authenticated with it. Random nonces allow 2^32 seals for each purpose
 * (NIST SP 800-38D section 8.3).
 */
export function createSecrets({ current, previous = [] }: SecretsSettings): Secrets {
  const derivers = [current, ...previous].map(deriver)
  const newest = derivers[0]!
  return {
    // A copy, so that nobody can overwrite the cached key.
    derive: (purpose) => Buffer.from(newest(`derive:${purpose}`)),
    seal(purpose, plaintext, context = '') {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', newest(`seal:${purpose}`), nonce)
      cipher.setAAD(associated(context))
      const body = typeof plaintext === 'string' ? cipher.update(plaintext, 'utf8') : cipher.update(plaintext)
      cipher.final()
      return Buffer.concat([Buffer.of(version), nonce, body, cipher.getAuthTag()]).toString('base64url')
    },
    open(purpose, sealed, context = '') {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length >= 1 + nonceBytes + tagBytes && bytes[0] === version && bytes.toString('base64url') === sealed) {
        for (const derive of derivers) {
          const opened = decrypt(derive(`seal:${purpose}`), bytes, context)
          if (opened !== undefined) return opened
        }
      }
      throw secretsErrors.error('secrets.unreadable')
    },
  }
}

function deriver(secret: Secret | string): (purpose: string) => Buffer {
  const text = typeof secret === 'string' ? secret : secret.reveal()
  if (text.length < 16) throw new TypeError('a secret to derive keys from needs at least 16 characters')
  const keys = new BoundedMap<Buffer>({ entries: maxCachedKeys })
  return (purpose) => {
    let key = keys.get(purpose)
    if (key === undefined) {
      key = Buffer.from(hkdfSync('sha256', text, 'tsforge', purpose, 32))
      keys.set(purpose, key)
    }
    return key
  }
}

function associated(context: string): Buffer {
  return Buffer.concat([Buffer.of(version), Buffer.from(context, 'utf8')])
}

function decrypt(key: Buffer, bytes: Buffer, context: string): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 1 + nonceBytes), { authTagLength: tagBytes })
  decipher.setAAD(associated(context))
  decipher.setAuthTag(bytes.subarray(-tagBytes))
  const plain = decipher.update(bytes.subarray(1 + nonceBytes, -tagBytes))
  try {
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}
