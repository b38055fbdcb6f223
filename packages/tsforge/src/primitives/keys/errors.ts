import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type KeysErrorCode =
  | 'auth.token_invalid'
  | 'auth.token_expired'
  | 'keys.rotation_too_soon'
  | 'keys.unavailable'
  | 'keys.unknown'

export const keysErrors: ErrorCatalogue<KeysErrorCode> = defineErrors({
  'auth.token_invalid': {
    status: 401,
    message: { en: 'The access token is not valid.', id: 'Token akses tidak valid.' },
    fix: 'Log in again and send the new access token as "Authorization: Bearer <token>".',
  },
  'auth.token_expired': {
    status: 401,
    message: { en: 'The access token has expired.', id: 'Token akses telah kedaluwarsa.' },
    fix: 'Ask for a new access token with the refresh token.',
  },
  'keys.rotation_too_soon': {
    status: 409,
    message: {
      en: 'The next signing key has not been published for long enough.',
      id: 'Kunci penandatanganan berikutnya belum cukup lama dipublikasikan.',
    },
    fix: 'Wait until the time in "meta.not_before", or rotate at once when a key has leaked.',
  },
  'keys.unknown': {
    status: 404,
    message: { en: 'There is no such signing key.', id: 'Kunci penandatanganan tersebut tidak ada.' },
    fix: 'List the keys with "forge keys list".',
  },
  'keys.unavailable': {
    status: 503,
    message: {
      en: 'Signing keys are not available at the moment.',
      id: 'Kunci penandatanganan sedang tidak tersedia.',
    },
    fix: 'Try again shortly; the service reloads its keys by itself.',
  },
})
